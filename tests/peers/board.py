"""Measures the home board of a running program: cold, warm, hot, idle memory and first paint.

    python3 tests/peers/board.py [incidents] [rounds]

Starts `zonglan serve --demo` on a data directory of its own (kept in ZONGLAN_BENCH_DATA, so that a
second run does not make the city again). Cold is the first request after a restart with the page
cache of the system warm; warm follows a change of the data, so that no answer is cached but the
columns are loaded; hot repeats the same request. All panels come in one streamed answer.
"""

import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", pathlib.Path.home() / ".cache/zonglan-target"))
BINARY = TARGET / "debug/zonglan"
PASSWORD = "bench-password-7"


class Server:
    def __init__(self, data, incidents):
        env = dict(os.environ, ZONGLAN_DEMO_PASSWORD=PASSWORD, ZONGLAN_DEMO_ROWS=str(incidents), ZONGLAN_DEMO_LIVE_S="0")
        start = time.perf_counter()
        self.process = subprocess.Popen(
            [BINARY, "serve", "--demo", "--listen", "127.0.0.1:0", "--data", data], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for line in self.process.stdout:
            found = re.match(r"listening on (\S+)", line)
            if found:
                self.address = found[1]
                break
        else:
            sys.exit("the program did not start")
        self.started = time.perf_counter() - start

    def memory(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def session(self, user):
        body = json.dumps({"username": user, "password": PASSWORD}).encode()
        request = urllib.request.Request(f"{self.address}/api/v1/session", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return answer.headers["set-cookie"].split(";")[0], json.load(answer)["csrf"]

    def login(self, user):
        self.cookie, _ = self.session(user)
        self.importer = self.session("admin")

    def board(self):
        request = urllib.request.Request(f"{self.address}/api/v1/boards/home/data", headers={"cookie": self.cookie})
        start = time.perf_counter()
        with urllib.request.urlopen(request) as answer:
            body = answer.read()
        return (time.perf_counter() - start) * 1000, body

    def touch(self, n):
        row = f"id,reported_at,category,district\nBENCH{n},2026-01-01 08:00:00,traffic,310104\n".encode()
        cookie, csrf = self.importer
        headers = {"cookie": cookie, "x-csrf-token": csrf, "content-type": "application/octet-stream", "content-disposition": f'attachment; filename="b{n}.csv"'}
        with urllib.request.urlopen(urllib.request.Request(f"{self.address}/api/v1/import/incident", row, headers)) as answer:
            answer.read()

    def stop(self):
        self.process.terminate()
        self.process.wait()


def main():
    incidents = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    data = os.environ.get("ZONGLAN_BENCH_DATA") or os.path.join(tempfile.gettempdir(), f"zonglan-bench-{incidents}")
    server = Server(data, incidents)
    print(f"first start {server.started:.1f} s")
    server.stop()
    cold, warm, hot = [], [], []
    for _ in range(max(3, rounds // 3)):
        server = Server(data, incidents)
        again = server.started
        idle = server.memory()
        server.login("leader")
        cold.append(server.board()[0])
        server.stop()
    print(f"second start {again:.2f} s, idle memory {idle:.0f} MB")
    server = Server(data, incidents)
    server.login("leader")
    size = len(server.board()[1])
    for n in range(rounds):
        server.touch(f"{os.getpid()}-{n}")
        time.sleep(1.2)
        warm.append(server.board()[0])
        hot.extend(server.board()[0] for _ in range(5))
    print(f"{incidents} incidents, board of {size / 1000:.0f} kB as JSON, memory after {server.memory():.0f} MB")
    for name, figures in (("cold", cold), ("warm", warm), ("hot", hot)):
        print(f"{name}: median {statistics.median(figures):.1f} ms, worst of {len(figures)} {max(figures):.1f} ms")
    server.stop()


if __name__ == "__main__":
    main()
