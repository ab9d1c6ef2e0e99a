"""Imports one plain nine-column CSV with Zonglan and with DuckDB, on the same machine in one run.

    pip install duckdb
    python3 tests/peers/import_csv.py [rows] [rounds]

Zonglan runs `zonglan ingest` into a new data directory (parse, check, key, columnar store, index
off: the dataset has no text field for search); DuckDB creates a native table from read_csv with
the column types given and two threads. The median of the rounds is printed.
"""

import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import duckdb

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", pathlib.Path.home() / ".cache/zonglan-target"))
BINARY = TARGET / "debug/zonglan"

DATASET = """name = "plain"
label = { zh = "平表", en = "Plain" }
source = "import"
key = ["id"]
time = "at"
region = "district"
owner = "bench"
field = [
  { name = "id", label = { zh = "编号", en = "Id" }, type = "text", required = true },
  { name = "at", label = { zh = "时间", en = "At" }, type = "instant", required = true },
  { name = "category", label = { zh = "类别", en = "Category" }, type = "text" },
  { name = "district", label = { zh = "区", en = "District" }, type = "region", level = "district", required = true },
  { name = "status", label = { zh = "状态", en = "Status" }, type = "text" },
  { name = "minutes", label = { zh = "分钟", en = "Minutes" }, type = "int" },
  { name = "loss", label = { zh = "损失", en = "Loss" }, type = "decimal", scale = 2 },
  { name = "closed", label = { zh = "办结", en = "Closed" }, type = "bool" },
  { name = "address", label = { zh = "地址", en = "Address" }, type = "text" },
]
[[measure]]
name = "count"
label = { zh = "数", en = "Count" }
agg = "count"
definition = "全部"
"""

DISTRICTS = "310101 310104 310105 310106 310107 310109 310110 310112 310113 310114 310115 310116 310117 310118 310120 310151".split()
CATEGORIES = "traffic criminal public_order dispute help fire noise fraud other invalid".split()


def write_csv(path, rows):
    rng = random.Random(7)
    with open(path, "w", encoding="utf-8") as out:
        out.write("id,at,category,district,status,minutes,loss,closed,address\n")
        for n in range(rows):
            day, minute = divmod(n * 1_576_800 // rows, 1440)
            date = time.strftime("%Y-%m-%d", time.gmtime(1_672_531_200 + day * 86_400))
            out.write(
                f"J{n:010},{date} {minute // 60:02}:{minute % 60:02}:{n % 60:02},{rng.choice(CATEGORIES)},{rng.choice(DISTRICTS)},"
                f"{'closed' if n % 7 else 'open'},{rng.randrange(200)},{rng.randrange(1_000_000) / 100:.2f},"
                f"{'true' if n % 3 else 'false'},人民路{rng.randrange(3_000)}号\n"
            )


def peak_and_seconds(command, env):
    start = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(output.decode())
    return usage.ru_maxrss / 1024, time.perf_counter() - start


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    work = pathlib.Path(tempfile.mkdtemp(prefix="zonglan-peer-"))
    try:
        csv = work / "plain.csv"
        write_csv(csv, rows)
        (work / "catalogue/datasets").mkdir(parents=True)
        (work / "catalogue/datasets/plain.toml").write_text(DATASET, encoding="utf-8")
        ours, theirs, memory = [], [], []
        for n in range(rounds):
            env = dict(os.environ, ZONGLAN_DATA_DIR=str(work / f"data{n}"), ZONGLAN_OVERLAYS=str(work / "catalogue"))
            peak, seconds = peak_and_seconds([BINARY, "ingest", "--dataset", "plain", csv], env)
            ours.append(seconds)
            memory.append(peak)
            answer = subprocess.run([BINARY, "query", "--dataset", "plain", "--measures", "count", "--format", "csv"], env=env, stdout=subprocess.PIPE, check=True)
            if str(rows) not in answer.stdout.decode():
                sys.exit(f"{rows} rows were loaded, the answer is {answer.stdout.decode()}")
            shutil.rmtree(work / f"data{n}")
            start = time.perf_counter()
            connection = duckdb.connect(str(work / f"duck{n}.db"))
            connection.execute("SET threads = 2")
            connection.execute(
                "CREATE TABLE plain AS SELECT * FROM read_csv(?, header = true, columns = {'id': 'VARCHAR', 'at': 'TIMESTAMP', "
                "'category': 'VARCHAR', 'district': 'VARCHAR', 'status': 'VARCHAR', 'minutes': 'INTEGER', 'loss': 'DECIMAL(12,2)', "
                "'closed': 'BOOLEAN', 'address': 'VARCHAR'})",
                [str(csv)],
            )
            connection.close()
            theirs.append(time.perf_counter() - start)
        us, them = statistics.median(ours), statistics.median(theirs)
        print(f"{rows} rows, {csv.stat().st_size / 1e6:.0f} MB, median of {rounds}, DuckDB {duckdb.__version__}")
        print(f"zonglan {us:.2f} s {rows / us:,.0f} rows/s, peak {max(memory):.0f} MB for the whole process")
        print(f"duckdb  {them:.2f} s {rows / them:,.0f} rows/s")
        print(f"ratio zonglan/duckdb {us / them:.2f}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
