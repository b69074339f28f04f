#!/usr/bin/env python3
"""Shows that edges can be drained, stopped and started behind geo-DNS without a failed request, and that the pool follows.

    apt-get install -y --no-install-recommends gdnsd
    python3 integration/peers/gdnsd.py --verge target/release/verge    # Linux: 127.0.0.2 and .3 need no setting up

A real gdnsd, configured as config/gdnsd is but for addresses and ports, watches /readyz of two edges. Clients resolve the
name before each request, and ask the edge that they were told, over a new connection. Meanwhile one edge is drained by
its admin API, stopped and started again, and then the other one is only told to end.
"""
import http.client
import pathlib
import random
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request

from edge import Checks, Origin, Verge, arguments, folder

SHIPPED = pathlib.Path(__file__).resolve().parents[2] / "config" / "gdnsd"
NAME, EDGES = "www.cdn.example.com", ("127.0.0.2", "127.0.0.3")
CONFIG = """
[server]
threads = 1
drain_wait = "{wait}s"
[[listen]]
address = "{address}:{port}"
[origins.app]
servers = ["http://127.0.0.1:{origin}"]
[[sites]]
hosts = ["www.cdn.example.com"]
origin = "app"
"""
# Seconds. gdnsd needs up to 6 to notice that an edge is not ready, and 12 that it is; its records are not kept here.
DRAIN_WAIT, PATIENCE = 12, 40


def free_port(kind=socket.SOCK_STREAM, addresses=EDGES):
    """A port that nobody has at any of these addresses."""
    while True:
        with socket.socket(type=kind) as first:
            first.bind((addresses[0], 0))
            port = first.getsockname()[1]
        try:
            for address in addresses:
                with socket.socket(type=kind) as other:
                    other.bind((address, port))
            return port
        except OSError:
            continue


def query(name, number):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", number, 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)


def past_name(answer, at):
    while length := answer[at]:
        if length >= 0xC0:
            return at + 2
        at += 1 + length
    return at + 1


def resolve(port, name=NAME):
    """The name's addresses, in the order in which they came."""
    number = random.randrange(1 << 16)
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect(("127.0.0.1", port))
        client.send(query(name, number))
        answer = client.recv(4096)
    told, flags, questions, answers, _, _ = struct.unpack("!6H", answer[:12])
    if told != number or flags & 0xF:
        raise OSError(f"DNS: answer {told} to {number}, code {flags & 0xF}")
    at, addresses = 12, []
    for _ in range(questions):
        at = past_name(answer, at) + 4
    for _ in range(answers):
        at = past_name(answer, at)
        kind, _, _, length = struct.unpack("!2HIH", answer[at:at + 10])
        if kind == 1:
            addresses.append(socket.inet_ntoa(answer[at + 10:at + 14]))
        at += 10 + length
    return addresses


class Client(threading.Thread):
    """Resolves and asks, over and over."""

    def __init__(self, dns, port):
        super().__init__(daemon=True)
        self.dns, self.port, self.stopping = dns, port, threading.Event()
        self.answered, self.failures = dict.fromkeys(EDGES, 0), []

    def run(self):
        while not self.stopping.wait(0.005):
            edge = "nobody"
            try:
                edge = resolve(self.dns)[0]
                status, length = ask(edge, self.port)
                if (status, length) != (200, 1000):
                    self.failures.append(f"{edge}: {status}, {length} bytes")
                self.answered[edge] += 1
            except (OSError, http.client.HTTPException, IndexError) as error:
                self.failures.append(f"{edge}: {error!r}")


def ask(edge, port):
    """Status and length of an answer, over a new connection."""
    connection = http.client.HTTPConnection(edge, port, timeout=10)
    try:
        connection.request("GET", f"/bytes/1000?{random.randrange(100)}", headers={"Host": NAME})
        response = connection.getresponse()
        return response.status, len(response.read())
    finally:
        connection.close()


class Gdnsd:
    """A real one, on a high port."""

    def __init__(self, checks, d, admin):
        self.port = free_port(socket.SOCK_DGRAM, ["127.0.0.1"])
        (d / "zones").mkdir()
        shutil.copy(SHIPPED / "config", d)
        shutil.copy(SHIPPED / "cdn.example.com", d / "zones")
        said = self.check(d)
        checks("gdnsd takes the example as it is", said.returncode == 0, said.stderr[-300:] if said.returncode else "")
        text = "\n".join(line for line in (SHIPPED / "config").read_text().splitlines() if not line.startswith("#"))
        for shipped, here in (
            ("[ 192.0.2.53, 2001:db8::53 ]", f"127.0.0.1:{self.port}, run_dir => {d}/run, state_dir => {d}/state"),
            ("port => 9180", f"port => {admin}"),
            ("edge1 => 192.0.2.1, edge2 => 192.0.2.2", f"edge1 => {EDGES[0]}, edge2 => {EDGES[1]}"),
            ("addrs_v6 => { edge1 => 2001:db8::1, edge2 => 2001:db8::2 },", ""),
        ):
            if text.count(shipped) != 1:
                sys.exit(f"{SHIPPED / 'config'} no longer says `{shipped}` once: this program must follow")
            text = text.replace(shipped, here)
        (d / "config").write_text(text)
        self.log = open(d / "gdnsd.log", "w+")
        self.process = subprocess.Popen(["gdnsd", "-c", d, "start"], stdout=self.log, stderr=subprocess.STDOUT)

    @staticmethod
    def check(d):
        return subprocess.run(["gdnsd", "-c", d, "-S", "checkconf"], capture_output=True, text=True)

    def pool(self):
        try:
            return set(resolve(self.port))
        except OSError:
            return set()

    def printed(self):
        return pathlib.Path(self.log.name).read_text()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()


class Edges:
    """Both edges, each with a folder of its own."""

    def __init__(self, program, d, origin):
        self.program, self.d, self.origin = program, d, origin
        self.port, self.admin = free_port(), free_port()
        self.running = {}
        for address in EDGES:
            (d / address).mkdir()

    def start(self, address):
        config = CONFIG.format(wait=DRAIN_WAIT, address=address, port=self.port, origin=self.origin)
        self.running[address] = Verge(self.program, self.d / address, config, admin=f"{address}:{self.admin}")

    def drain(self, address):
        request = urllib.request.Request(f"http://{address}:{self.admin}/api/drain", b"", {"Verge-Admin": "1"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status

    def end(self, address):
        self.running[address].process.terminate()

    def ended(self, address):
        """The exit code, None if it does not come."""
        try:
            return self.running[address].process.wait(DRAIN_WAIT + PATIENCE)
        except subprocess.TimeoutExpired:
            return None

    def __enter__(self):
        for address in EDGES:
            self.start(address)
        return self

    def __exit__(self, *_):
        for edge in self.running.values():
            edge.process.kill()
            edge.process.wait()


def follows(gdnsd, wanted):
    """Waits for the pool to be as it should be: the seconds that it took, None if it does not come to be."""
    began = time.monotonic()
    while time.monotonic() < began + PATIENCE:
        if gdnsd.pool() == set(wanted):
            return time.monotonic() - began
        time.sleep(0.05)
    return None


def seconds(taken):
    return "never" if taken is None else f"{taken:.1f} s"


def leave_and_return(checks, edges, gdnsd, clients, edge, by_api):
    """An edge is drained or told to end, ends and is started again; the other one has the clients meanwhile."""
    other = next(address for address in EDGES if address != edge)
    how = "drained by its API" if by_api else "told to end"
    if by_api:
        checks(f"{edge} is {how}", edges.drain(edge) in (200, 202, 204))
    else:
        edges.end(edge)
    taken = follows(gdnsd, {other})
    checks(f"{edge} is {how}: the pool follows", taken is not None, seconds(taken))
    alive = edges.running[edge].process.poll() is None
    checks(f"{edge} still runs, and answers those who come late", alive and ask(edge, edges.port) == (200, 1000))
    before = {address: sum(client.answered[address] for client in clients) for address in EDGES}
    checks(f"{edge} ends with code 0", edges.ended(edge) == 0)
    late = {address: sum(client.answered[address] for client in clients) - before[address] for address in EDGES}
    # What was resolved before the pool followed may still have been under way.
    checks(f"{other} has had all clients since", late[edge] <= len(clients) and late[other] > 0, late)
    checks("gdnsd still answers with the other edge only", gdnsd.pool() == {other})
    edges.start(edge)
    taken = follows(gdnsd, EDGES)
    checks(f"{edge} is started: the pool follows", taken is not None, seconds(taken))


def main():
    given = arguments(__doc__)
    checks = Checks()
    with folder() as name:
        d = pathlib.Path(name)
        with Edges(given.verge, d, Origin().server_address[1]) as edges, Gdnsd(checks, d, edges.admin) as gdnsd:
            if not checks("both edges are in the pool", follows(gdnsd, EDGES) is not None):
                print(gdnsd.printed())
                checks.finish()
            clients = [Client(gdnsd.port, edges.port) for _ in range(4)]
            for client in clients:
                client.start()
            leave_and_return(checks, edges, gdnsd, clients, EDGES[0], by_api=True)
            leave_and_return(checks, edges, gdnsd, clients, EDGES[1], by_api=False)
            for client in clients:
                client.stopping.set()
                client.join()
            answered = {edge: sum(client.answered[edge] for client in clients) for edge in EDGES}
            failures = [failure for client in clients for failure in client.failures]
            checks("no request failed", not failures and min(answered.values()) > 100,
                   ", ".join(failures[:3]) or ", ".join(f"{edge}: {count}" for edge, count in answered.items()))
    checks.finish()


if __name__ == "__main__":
    main()
