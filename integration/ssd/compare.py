#!/usr/bin/env python3
"""Holds `reader.py`, which was written from FORMAT.md alone, against `verge store list --json`.

    python3 -m pip install xxhash
    cargo build && python3 integration/ssd/compare.py target/debug/verge

A real edge fills a folder: versions small and large, variants, purges, something replaced and removed. Both read it while the edge
runs, after it has ended, after it was killed, and with bits flipped, and must say the same; and what the reader finds in each
record (URL, name, status, fields, length of the body) must be what was fetched. Only loopback and free ports are used.
"""
import http.client
import http.server
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

import reader

BODIES = {"/small": 5, "/middle": 100_000, "/large": 900_000, "/vary": 3000, "/purged": 10, "/gone": 2000}
MANY = 600


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = bytes(BODIES.get(self.path.split("?")[0], 4000))
        self.send_response(200)
        self.send_header("Cache-Control", "max-age=600, stale-if-error=50")
        self.send_header("ETag", '"e"')
        self.send_header("Surrogate-Key", "one two")
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/vary":
            self.send_header("Vary", "X-Kind, Accept-Language")
        self.end_headers()
        self.wfile.write(body)

    def do_DELETE(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Edge:
    def __init__(self, verge, folder, origin):
        self.process = subprocess.Popen(
            [verge, "run", "--origin", f"http://127.0.0.1:{origin}", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
            + ["--threads", "1", "--ssd", folder, "--ssd-size", "64MiB"],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port, self.admin = (int(self.process.stdout.readline().rsplit(":", 1)[1]) for _ in range(2))

    def ask(self, paths, method="GET", **fields):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        for path in paths:
            connection.request(method, path, headers={"Host": "example.test"} | fields)
            answer = connection.getresponse()
            answer.read()
            assert answer.status in (200, 204), (path, answer.status)
        connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)


def fill(verge, edge):
    edge.ask(BODIES)
    edge.ask(["/vary"], **{"X-Kind": "other", "Accept-Language": "de, en;q=0.5"})
    edge.ask([f"/many/{number}?q={number}" for number in range(MANY)])
    edge.ask(["/gone"], "DELETE")
    for what in (["http://example.test/purged"], ["--tag", "three"], ["--site", "*", "--soft"], ["--prefix", "example.test/x"]):
        subprocess.run([verge, "purge", *what, "--admin", f"127.0.0.1:{edge.admin}"], check=True, stdout=subprocess.DEVNULL)


def compare(verge, folder, when):
    theirs = json.loads(subprocess.run([verge, "store", "list", "--json", folder], check=True, capture_output=True).stdout)
    ours = reader.listed(pathlib.Path(folder))
    assert ours == theirs, f"{when}: the reader says\n{json.dumps(ours, indent=1)}\nverge says\n{json.dumps(theirs, indent=1)}"
    kinds = {kind: tally["count"] for kind, tally in ours["records"].items()}
    print(f"{when}: both say the same of {len(ours['segments'])} segments; {kinds}, purges {ours['purges']}")
    return ours


def check_records(folder):
    """What records say is what was fetched."""
    seen = {}
    for record in reader.records(pathlib.Path(folder)):
        assert record.get("name_is_right", True) and record["body_is_right"], record
        if record["kind"] == "heads":
            seen.setdefault(record["url"], []).append(record)
            path = "/" + record["url"].split("/", 3)[3].split("?")[0]
            assert record["status"] == 200 and record["content_length"] == BODIES.get(path, 4000), record
            assert record["head"].startswith("HTTP/1.1 200 OK\r\n") and 'etag: "e"\r\n' in record["head"], record
            assert record["lifetime"] == 600 * 10**9 and record["stale_if_error"] == 50 * 10**9 and len(record["tags"]) == 2
    assert len(seen) == len(BODIES) + MANY, len(seen)
    assert {tuple(record["vary"]) for record in seen["http://example.test/vary"]} == {("accept-language", "x-kind")}
    assert len({record["name"] for record in seen["http://example.test/vary"]}) == 2
    print(f"every name follows from its key: {len(seen)} URLs, as they were fetched")


def spoil(verge, folder, seed):
    """With bits flipped anywhere but in the superblock, whose damage ends both."""
    choose = random.Random(seed)
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        for path in sorted(pathlib.Path(copy).iterdir()):
            if path.name == "superblock" or not path.stat().st_size:
                continue
            content = bytearray(path.read_bytes())
            content[choose.randrange(len(content))] ^= 1 << choose.randrange(8)
            path.write_bytes(content)
        compare(verge, copy, f"spoilt by {seed}")


def main():
    verge = sys.argv[1]
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        with Edge(verge, folder, origin.server_port) as edge:
            fill(verge, edge)
            edge.stop()
        assert compare(verge, folder, "after its end")["checkpoint"] == "right"
        check_records(folder)
        with Edge(verge, folder, origin.server_port) as edge:
            assert compare(verge, folder, "while it runs")["in_use"]
            edge.ask([f"/more/{number}" for number in range(500)])
            # What it has written so far is looked at while it writes nothing.
            edge.process.send_signal(signal.SIGSTOP)
            compare(verge, folder, "while it stands still")
        assert compare(verge, folder, "after it was killed")["segments"][-1]["state"] == "open"
        for seed in range(20):
            spoil(verge, folder, seed)
    origin.shutdown()


if __name__ == "__main__":
    main()
