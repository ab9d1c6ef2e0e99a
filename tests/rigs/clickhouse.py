"""The real ClickHouse engine behind a small HTTP endpoint, for tests.

    python3 clickhouse.py [PORT]

The engine is the one of the PyPI wheel chdb-core. It runs one statement at a time and has no
replicas and no KILL; statements that need those are answered as if they had worked and written
down. Prints its port when it listens. GET /statements lists what was sent; POST /behave sets
how the next statements fail: a JSON list of [HTTP status, exception code or null], or [0,
milliseconds] to wait before the statement runs. Ends when its
standard input ends, so that no test leaves one behind.
"""

import json
import os
import re
import sys
import tempfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import chdb
from chdb import session

ENGINE = session.Session()
LOCK = threading.Lock()
STATEMENTS = []
FAILURES = []
INSERT = re.compile(r"\s*(INSERT\s+INTO\s+\S+\s+\([^)]*\))\s*(SETTINGS\s+.+?)?\s*FORMAT\s+(\w+)\s*$", re.I | re.S)
CODE = re.compile(r"Code: (\d+)")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while True:
            size = int(self.rfile.readline().split(b";")[0], 16)
            parts.append(self.rfile.read(size))
            self.rfile.readline()
            if size == 0:
                return b"".join(parts)

    def reply(self, status, content, code=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if code is not None:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        self.end_headers()
        try:
            self.wfile.write(content)
        except BrokenPipeError:
            pass

    def do_GET(self):
        if self.path == "/statements":
            return self.reply(200, json.dumps(STATEMENTS).encode())
        self.reply(200, b"Ok.\n")

    def do_POST(self):
        body = self.body()
        url = urllib.parse.urlparse(self.path)
        if url.path == "/behave":
            FAILURES[:] = json.loads(body)
            return self.reply(200, b"")
        parameters = dict(urllib.parse.parse_qsl(url.query))
        statement, rows = parameters.get("query"), body
        if statement is None:
            statement, rows = body.decode(), None
        STATEMENTS.append([parameters.get("query_id"), statement[:2000]])
        if FAILURES:
            status, code = FAILURES.pop(0)
            if status != 0:
                return self.reply(status, b"as the test asked", code)
            time.sleep(code / 1000)
        if statement.startswith("KILL QUERY"):
            return self.reply(200, b"")
        try:
            with LOCK:
                self.reply(200, self.insert(statement, rows) if rows is not None else self.select(statement))
        except Exception as error:  # the engine's exceptions are plain RuntimeErrors
            code = CODE.search(str(error))
            self.reply(500, str(error).encode(), code[1] if code else 1)

    @staticmethod
    def select(statement):
        found = re.search(r"\bFORMAT\s+(\w+)\s*$", statement)
        if not found:
            return ENGINE.query(statement, "TabSeparated").bytes() or b""
        return ENGINE.query(statement[: found.start()], found[1]).bytes() or b""

    @staticmethod
    def insert(statement, rows):
        target, settings, form = INSERT.match(statement).groups()
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(rows)
        try:
            ENGINE.query(f"{target} FROM INFILE '{file.name}' {settings or ''} FORMAT {form}")
        finally:
            os.unlink(file.name)
        return b""


def main():
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], chdb.__version__, flush=True)
    sys.stdin.read()
    os._exit(0)


main()
