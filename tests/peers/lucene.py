"""Judged questions over articles of law with Zonglan and with Lucene, on the same machine in one run.

    apt-get install liblucene8-java openjdk-17-jdk-headless
    python3 tests/peers/lucene.py FOLDER

FOLDER holds articles.jsonl.gz (id, name, text), questions.tsv and relevant.tsv (two columns with a
header). Zonglan: the articles are imported as the dataset `statute` into a new data directory, each
question is one `POST /api/v1/search` (limit 100) over HTTP on one connection, the words of packs and
what `zonglan eval` learned are used as the program does. Lucene 8 in process: CJKAnalyzer (bigrams),
BM25 as it comes, one disjunction of terms, 100 hits with their stored ids. Both: two rounds, the
second is measured, one question at a time. R@k, MRR and NDCG@10 by the same code below.

What is learned, is learned from other questions: five folds by the number of the question.
"""

import gzip
import http.client
import json
import math
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", pathlib.Path.home() / ".cache/zonglan-target"))
BINARY = TARGET / "debug/zonglan"
JARS = [f"/usr/share/java/lucene-{part}.jar" for part in ("core-8.7.0", "analyzers-common-8.7.0")]
QUOTES = str.maketrans({c: " " for c in '"“”「」『』'})


def pairs(path):
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    return [line.split("\t", 1) for line in lines if "\t" in line]


def figures(rankings, relevant):
    names = ["R@5", "R@10", "R@20", "R@100", "MRR", "NDCG@10"]
    sums = [0.0] * len(names)
    for question, wanted in relevant.items():
        ranked = rankings.get(question, [])
        for i, k in enumerate((5, 10, 20, 100)):
            sums[i] += len(wanted & set(ranked[:k])) / len(wanted)
        first = next((i for i, r in enumerate(ranked) if r in wanted), None)
        sums[4] += 0 if first is None else 1 / (first + 1)
        gain = sum(1 / math.log2(i + 2) for i, r in enumerate(ranked[:10]) if r in wanted)
        sums[5] += gain / sum(1 / math.log2(i + 2) for i in range(min(10, len(wanted))))
    return {name: total / len(relevant) for name, total in zip(names, sums)}


def lucene(work, articles, questions):
    (work / "articles.tsv").write_text("".join(f"{a}\t{t}\n" for a, t in articles), encoding="utf-8")
    (work / "questions.tsv").write_text("".join(f"{q}\t{t}\n" for q, t in questions), encoding="utf-8")
    classes = work / "classes"
    classes.mkdir()
    path = ":".join(JARS)
    source = ROOT / "tests/peers/LuceneBench.java"
    subprocess.run(["javac", "-cp", path, "-d", str(classes), str(source)], check=True)
    command = ["java", "-Xmx2g", "-cp", f"{classes}:{path}", "LuceneBench"]
    files = [str(work / name) for name in ("articles.tsv", "questions.tsv", "rankings.tsv")]
    out = subprocess.run(command + files, check=True, capture_output=True, text=True).stdout.strip().split("\t")
    rankings = {}
    for line in (work / "rankings.tsv").read_text(encoding="utf-8").splitlines():
        question, *ranked = line.split("\t")
        rankings[question] = ranked
    return {"seconds": float(out[1]), "p50": int(out[2]) / 1000, "p95": int(out[3]) / 1000, "rankings": rankings}


class Server:
    """The program over a data directory; signs in as a user of the demo."""

    def __init__(self, data):
        environment = dict(os.environ, ZONGLAN_DEMO_PASSWORD="peer-of-lucene-8", RUST_LOG="warn")
        command = [str(BINARY), "serve", "--data", str(data), "--demo", "--listen", "127.0.0.1:0"]
        environment.update({"ZONGLAN_DEMO_ROWS": "300", "ZONGLAN_DEMO_LIVE_S": "0", "ZONGLAN_LIMITS_REQUESTS_PER_SECOND": "10000"})
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            found = re.search(r"listening on http://([\d.]+):(\d+)", line)
            if found:
                self.connection = http.client.HTTPConnection(found[1], int(found[2]))
                break
        self.sign_in("analyst")

    def sign_in(self, user):
        self.headers = {"content-type": "application/json"}
        answer, headers = self.ask("POST", "/api/v1/session", {"username": user, "password": "peer-of-lucene-8"}, raw=True)
        self.headers["cookie"] = headers["set-cookie"].split(";")[0]
        self.headers["x-csrf-token"] = answer["csrf"]

    def ask(self, method, path, body, raw=False):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request(method, path, data, self.headers)
        reply = self.connection.getresponse()
        text = reply.read()
        if reply.status >= 300:
            raise SystemExit(f"{path}: {reply.status} {text[:500]}")
        answer = json.loads(text)
        return (answer, reply.headers) if raw else answer

    def stop(self):
        self.process.terminate()
        self.process.wait()


def answer(server, questions, rounds):
    rankings, times = {}, []
    for last in [False] * (rounds - 1) + [True]:
        for question, text in questions:
            body = {"dataset": "statute", "query": text.translate(QUOTES), "limit": 100}
            start = time.perf_counter()
            page = server.ask("POST", "/api/v1/search", body)
            took = (time.perf_counter() - start) * 1000
            if last:
                times.append(took)
                rankings[question] = [hit["id"] for hit in page["hits"]]
    return rankings, times


def main(folder):
    articles = [json.loads(line) for line in gzip.open(folder / "articles.jsonl.gz", "rt", encoding="utf-8")]
    relevant = {}
    for question, article in pairs(folder / "relevant.tsv"):
        relevant.setdefault(question, set()).add(article)
    questions = [(q, t) for q, t in pairs(folder / "questions.tsv") if q in relevant]
    work = pathlib.Path(tempfile.mkdtemp(prefix="lucene-peer-"))
    data = work / "data"
    server = None
    try:
        server = Server(data)
        server.sign_in("admin")
        server.headers["content-type"] = "application/octet-stream"
        start = time.perf_counter()
        lines = "".join(json.dumps(a, ensure_ascii=False) + "\n" for a in articles).encode()
        report = server.ask("POST", "/api/v1/import/statute", lines)
        seconds = time.perf_counter() - start
        server.sign_in("analyst")
        assert report["loaded"] == len(articles), report
        rules, times = answer(server, questions, 2)
        server.stop()

        # Learned words: each fold is answered with what the other folds taught.
        learned, learned_times = {}, []
        header = "question_id\t{}\n"
        for fold in range(5):
            train = [(q, t) for i, (q, t) in enumerate(questions) if i % 5 != fold]
            (work / "q.tsv").write_text(header.format("question") + "".join(f"{q}\t{t}\n" for q, t in train), encoding="utf-8")
            rows = "".join(f"{q}\t{a}\n" for q, _ in train for a in relevant[q])
            (work / "r.tsv").write_text(header.format("article_id") + rows, encoding="utf-8")
            command = [str(BINARY), "eval", "--data", str(data), "--dataset", "statute", "--folds", "0", "--learn"]
            command += ["--questions", str(work / "q.tsv"), "--relevant", str(work / "r.tsv")]
            subprocess.run(command, check=True, capture_output=True)
            server = Server(data)
            found, took = answer(server, [q for i, q in enumerate(questions) if i % 5 == fold], 2)
            learned.update(found)
            learned_times += took
            server.stop()

        # Names and texts, as Zonglan searches both.
        of = [(a["id"], f'{a["name"]} {a["text"]}'.replace("\t", " ").replace("\n", " ")) for a in articles]
        peer = lucene(work, of, questions)
        rows = [
            ("Zonglan, words of packs, HTTP", seconds, statistics.median(times), sorted(times)[len(times) * 95 // 100], rules),
            ("Zonglan, and learned, HTTP", seconds, statistics.median(learned_times), sorted(learned_times)[len(times) * 95 // 100], learned),
            ("Lucene 8.7 CJKAnalyzer, in process", peer["seconds"], peer["p50"], peer["p95"], peer["rankings"]),
        ]
        print(f"{len(articles)} articles, {len(questions)} questions")
        for name, took, median, p95, rankings in rows:
            figs = ", ".join(f"{k} {v:.4f}" for k, v in figures(rankings, relevant).items())
            print(f"{name}: loaded in {took:.1f} s, p50 {median:.2f} ms, p95 {p95:.2f} ms, {figs}")
    finally:
        if server:
            server.stop()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
