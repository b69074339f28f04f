#!/usr/bin/env python3
"""Kills a `verge run` with an SSD tier, over and over, and looks at what the next one serves.

    python3 integration/peers/crash.py --verge target/release/verge [--rounds 500]

Clients fetch, hit and ask for ranges, the origin's objects change and are purged, and the folder is so small that segments
are given up all the time. Then the process is killed (SIGKILL) and started anew. Every byte follows from the object's number,
its version and the offset, so that a wrong one shows. What is counted:

- wrong bytes, and answers that are older than an acknowledged purge: none may be;
- of what was on the device at least one and a half seconds before the kill, and is not so old that it may have been given up: how much
  is a hit. Asked: 99 %.

Needs Python alone. A round takes about two seconds.
"""

import argparse
import functools
import hashlib
import http.client
import http.server
import json
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HOST = "objects.example"
OBJECTS = 4000
SIZE = 128 * 1024 * 1024


@functools.lru_cache(maxsize=None)
def length_of(number):
    """Bytes of an object: most are small, some are larger than a chunk."""
    spread = random.Random(number)
    kind = spread.random()
    if kind < 0.7:
        return spread.randrange(0, 20_000)
    if kind < 0.95:
        return spread.randrange(20_000, 250_000)
    return spread.randrange(262_144, 900_000)


@functools.lru_cache(maxsize=2000)
def whole(number, version):
    return hashlib.shake_128(f"{number} {version}".encode()).digest(length_of(number))


def content(number, version, start=0, end=None):
    """No two versions of any two objects are alike at any place."""
    return whole(number, version)[start:end]


class Objects:
    """What the origin has, what was purged, and what must be on the device."""

    def __init__(self):
        self.lock = threading.Lock()
        self.version = [0] * OBJECTS
        self.least = [0] * OBJECTS
        self.stored = {}
        self.written = 0
        self.fetches = 0
        self.wrong = []

    def fetched(self, number, version):
        with self.lock:
            self.written += length_of(number) + 2000
            self.stored[number] = (version, time.monotonic(), self.written)


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        objects = self.server.objects
        number = int(self.path.rsplit("/", 1)[1])
        version = objects.version[number]
        objects.fetches += 1
        body = content(number, version)
        status, start, end = 200, 0, len(body)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted and self.headers.get("If-Range", f'"{number}-{version}"') == f'"{number}-{version}"':
            start, end = int(wanted[1]), min(int(wanted[2] or len(body)) + 1, len(body))
            status = 206 if start < end else 200
        if status == 200:
            start, end = 0, len(body)
        self.send_response(status)
        self.send_header("Cache-Control", "max-age=86400")
        self.send_header("ETag", f'"{number}-{version}"')
        self.send_header("X-Version", str(version))
        self.send_header("Cache-Tag", f"t{number % 50}")
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(body)}")
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        self.wfile.write(body[start:end])

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        pass


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Edge:
    """A process, and how it is asked."""

    def __init__(self, verge, origin, folder, admin):
        command = [verge, "run", "--origin", origin, "--listen", "127.0.0.1:0", "--admin", f"127.0.0.1:{admin}"]
        command += ["--ssd", folder, "--ssd-size", str(SIZE), "--ram", "24MiB", "--threads", "2"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.admin = admin
        self.port = None
        while self.port is None:
            line = self.process.stdout.readline()
            if not line:
                raise SystemExit(f"verge ended: {self.process.stderr.read()}")
            found = re.search(r"listening on http://.*:(\d+)", line)
            self.port = found and int(found[1])
        threading.Thread(target=self.read_errors, daemon=True).start()

    def read_errors(self):
        for line in self.process.stderr:
            if "panic" in line or "store-state" in line:
                print(line, end="", flush=True)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def purge(self, what):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=10)
        fields = {"Content-Type": "application/json", "Verge-Admin": "1"}
        connection.request("POST", "/api/purge", json.dumps(what), fields)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status == 200


def ask(connection, objects, number, span=None):
    """One request; every byte is compared. Gives whether it was a hit."""
    least = objects.least[number]
    fields = {"Host": HOST}
    if span:
        fields["Range"] = f"bytes={span[0]}-{span[1] - 1}"
    connection.request("GET", f"/o/{number}", headers=fields)
    response = connection.getresponse()
    body = response.read()
    if response.status not in (200, 206):
        return None
    version = int(response.getheader("X-Version"))
    status = response.getheader("Cache-Status", "")
    right = content(number, version, *span) if response.status == 206 else content(number, version)
    if body != right:
        objects.wrong.append(f"object {number}, version {version}, {span}: wrong bytes ({status})")
    if version < least:
        objects.wrong.append(f"object {number}: version {version}, though {least} was purged for ({status})")
    if "stored" in status and response.status == 200 and not span:
        objects.fetched(number, version)
    return "; hit" in status


def client(edge, objects, until, seed):
    spread = random.Random(seed)
    connection = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=10)
    while time.monotonic() < until:
        number = min(int(spread.paretovariate(0.6)) - 1, OBJECTS - 1) if spread.random() < 0.7 else spread.randrange(OBJECTS)
        length = length_of(number)
        span = None
        if length > 2 and spread.random() < 0.1:
            start = spread.randrange(length - 1)
            span = (start, spread.randrange(start + 1, length))
        try:
            ask(connection, objects, number, span)
        except (OSError, http.client.HTTPException, TypeError, ValueError):
            connection.close()
            connection = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=10)
            if edge.process.poll() is not None:
                return


def purger(edge, objects, until, seed):
    spread = random.Random(seed)
    while time.monotonic() < until:
        by_tag = spread.random() < 0.1
        tag = spread.randrange(50)
        numbers = range(tag, OBJECTS, 50) if by_tag else [spread.randrange(OBJECTS)]
        with objects.lock:
            for number in numbers:
                objects.version[number] += 1
            versions = {number: objects.version[number] for number in numbers}
        what = {"tags": [f"t{tag}"]} if by_tag else {"urls": [f"http://{HOST}/o/{numbers[0]}"]}
        try:
            acknowledged = edge.purge(what)
        except (OSError, http.client.HTTPException):
            return
        if acknowledged:
            for number, version in versions.items():
                objects.least[number] = max(objects.least[number], version)
        time.sleep(spread.random() * 0.05)


def expected(objects, killed):
    """What must be on the device: not too young, not so old that it may have been given up, and not purged."""
    with objects.lock:
        since = objects.written - SIZE * 0.6
        return [
            number
            for number, (version, at, written) in objects.stored.items()
            if at < killed - 1.5 and written > since and version == objects.version[number]
        ]


def survey(edge, objects, killed, spread):
    """How much of what must be there is a hit."""
    numbers = expected(objects, killed)
    spread.shuffle(numbers)
    connection = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=10)
    numbers = numbers[:60]
    hits = sum(bool(ask(connection, objects, number)) for number in numbers)
    for number in spread.sample(range(OBJECTS), 20):
        ask(connection, objects, number)
    connection.close()
    return len(numbers), hits


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verge", required=True)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    objects = Objects()
    server = Server(("127.0.0.1", 0), Origin)
    server.objects = objects
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder = tempfile.mkdtemp(prefix="verge-crash-")
    origin, admin = f"http://127.0.0.1:{server.server_address[1]}", free_port()
    spread = random.Random(given.seed)
    asked = hits = 0
    killed = 0.0
    for number in range(given.rounds):
        edge = Edge(given.verge, origin, folder, admin)
        if number:
            more, there = survey(edge, objects, killed, spread)
            asked, hits = asked + more, hits + there
        until = time.monotonic() + spread.uniform(0.3, 2.0)
        threads = [threading.Thread(target=client, args=(edge, objects, until + 1, spread.random())) for _ in range(4)]
        threads += [threading.Thread(target=purger, args=(edge, objects, until + 1, spread.random()))]
        for thread in threads:
            thread.start()
        time.sleep(max(0.0, until - time.monotonic()))
        killed = time.monotonic()
        edge.kill()
        for thread in threads:
            thread.join()
        if objects.wrong or number % 50 == 49:
            share = 100 * hits / max(asked, 1)
            print(f"{number + 1} kills: {hits} hits of {asked} ({share:.2f} %), wrong: {len(objects.wrong)}", flush=True)
        if objects.wrong:
            break
    shutil.rmtree(folder, ignore_errors=True)
    for wrong in objects.wrong[:10]:
        print(wrong)
    share = hits / max(asked, 1)
    print(f"fetches: {objects.fetches}; written: {objects.written // 1_000_000} MB; hits of what must be there: {share:.4f}")
    sys.exit(bool(objects.wrong) or share < 0.99)


if __name__ == "__main__":
    main()
