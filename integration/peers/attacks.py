#!/usr/bin/env python3
"""Shows what an ordinary client notices while others attack by HTTP/2, and what Verge does about them.

    apt-get install -y nghttp2-client openssl    # Linux, two cores
    python3 integration/peers/attacks.py --verge target/release/verge [--rounds 3] [--only WORD]

Verge has one thread, on core 0; all else shares core 1, the attackers at the lowest priority. The ordinary client asks
for something cached over TLS, some hundred times a second, and now and then for something new; where it may, it takes
core 1 before all others, so that what it waits for is Verge. Its p99 is measured
before an attack, with core 1 as busy, and during it; rounds of all attacks take turns, and medians are taken. A round is
repeated, but not without end, if a virtual machine's host took the cores away for more than 5 % of it. For comparison
h2load takes the place of the attackers: that is what any busy client does to its neighbours. Fails if an ordinary
request fails, if Verge ends or grows by more than 384 MiB, if under 100,000 streams were reset, or if a p99 more than
doubles and is beyond what h2load causes, too.
"""
import asyncio
import multiprocessing
import os
import pathlib
import re
import select
import shutil
import socket
import ssl
import statistics
import struct
import subprocess
import time

from edge import Authority, Checks, Verge, arguments, folder

CONFIG = """
[[listen]]
address = "127.0.0.1:0"
h2c = true
[[listen]]
address = "127.0.0.1:0"
tls = true
[tls]
certificates = [{{ cert = "{cert}", key = "{key}" }}]
[client]
head_timeout = "2s"
io_timeout = "3s"
[cache]
ram = "64MiB"
[origins.app]
servers = ["http://127.0.0.1:{origin}"]
[[sites]]
hosts = ["www.test", "127.0.0.1"]
origin = "app"
"""
HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 1, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4
INITIAL_WINDOW_SIZE = 4
STREAMS = 3000
NOISY, TRIES = 0.05, 2
LARGE = 1 << 20


# The origin.

async def answer(reader, writer):
    """Slowish for /slow, 1 MiB for /large, all of it to be stored."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1]
            if path.startswith(b"/slow"):
                await asyncio.sleep(0.02)
            length = LARGE if b"large" in path else 1000
            writer.write(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: %d\r\n\r\n" % length + bytes(length))
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        writer.close()


def originate(port):
    async def serve():
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()
    os.nice(5)
    asyncio.run(serve())


# The ordinary client.

class Ordinary:
    """Asks over one kept connection, and counts what fails."""

    def __init__(self, port, context):
        self.port, self.context, self.socket = port, context, None
        self.failed, self.asked, self.serial, self.missed = [], 0, 0, 0

    def ask(self, path):
        """Seconds until the whole answer was there, or None."""
        began = time.perf_counter()
        self.asked += 1
        try:
            if self.socket is None:
                raw = socket.create_connection(("127.0.0.1", self.port), 10)
                self.socket = self.context.wrap_socket(raw, server_hostname="www.test")
            self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: www.test\r\n\r\n".encode())
            got = b""
            while b"\r\n\r\n" not in got or len(got) < got.index(b"\r\n\r\n") + 4 + 1000:
                piece = self.socket.recv(65536)
                if not piece:
                    raise OSError("closed")
                got += piece
                if not got.startswith(b"HTTP/1.1 200"):
                    raise OSError(got[:60].decode(errors="replace"))
            self.missed += path == "/hit" and b"verge; hit" not in got
        except OSError as error:
            self.failed.append(str(error))
            self.socket = None
            return None
        return time.perf_counter() - began

    def measure(self, enough):
        """p99, in milliseconds, of what was asked until `enough` says so."""
        took = []
        while not enough():
            took.append(self.ask("/hit"))
            if len(took) % 20 == 0:
                self.serial += 1
                self.ask(f"/slow/ordinary-{self.serial}")
            time.sleep(0.002)
        return 1000 * statistics.quantiles([t for t in took if t is not None] * 2 or [0, 0], n=100)[98]


# The attackers.

def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def block(path, tls):
    """GET, as HPACK writes it without a table."""
    return b"\x82" + (b"\x87" if tls else b"\x86") + b"\x01\x08www.test" + b"\x04" + bytes([len(path)]) + path


def requests(path, tls, count, more=lambda stream: b""):
    """So many requests; UNIQUE in the path is replaced for each connection, NNNN is the stream's number."""
    def one(stream):
        named = path.replace(b"NNNN", b"%04d" % stream)
        return frame(HEADERS, END_STREAM | END_HEADERS, stream, block(named, tls)) + more(stream)
    return b"".join(one(stream) for stream in range(1, 2 * count, 2))


class Attack:
    """What is sent once and then again and again on each of some connections."""

    def __init__(self, first, again=b"", settings=b"", width=4, tls=False, reads=True, pause=0.0, resets=False):
        self.first, self.again, self.settings, self.width, self.tls = first, again, settings, width, tls
        self.reads, self.pause, self.resets = reads, pause, resets


def settings(identifier, value):
    return struct.pack(">HI", identifier, value)


def attacks():
    def reset(stream):
        return frame(RST_STREAM, 0, stream, struct.pack(">I", 8))
    hit, unique, large = b"/hit", b"/slow/UNIQUE/NNNN", b"/large/UNIQUE/NNNN"
    windows = frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 30))
    bytewise = b"".join(frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", 1)) for stream in range(1, 200, 2))
    tiny, none = settings(INITIAL_WINDOW_SIZE, 1), settings(INITIAL_WINDOW_SIZE, 0)
    opened = frame(HEADERS, END_STREAM, 1, block(hit, False))
    return {
        "rapid reset, cached, h2c": Attack(requests(hit, False, STREAMS, reset), resets=True),
        "rapid reset, cached, TLS": Attack(requests(hit, True, STREAMS, reset), resets=True, tls=True),
        "rapid reset, uncached, h2c": Attack(requests(unique, False, STREAMS, reset), resets=True),
        "rapid reset, uncached, TLS": Attack(requests(unique, True, STREAMS, reset), resets=True, tls=True),
        "CONTINUATION flood, empty": Attack(opened, frame(CONTINUATION, 0, 1) * 1000),
        "CONTINUATION flood, one byte each": Attack(opened, frame(CONTINUATION, 0, 1, b"\x40") * 1000),
        "PING flood, nothing read": Attack(b"", frame(PING, 0, 0, bytes(8)) * 1000, reads=False),
        "SETTINGS flood, nothing read": Attack(b"", frame(SETTINGS, 0, 0, tiny) * 1000, reads=False),
        "WINDOW_UPDATE flood": Attack(b"", frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1024)) * 5000),
        "1-byte windows, cached": Attack(windows + requests(b"/large", False, 100), bytewise, tiny),
        "1-byte windows, uncached": Attack(windows + requests(large, False, 100), bytewise, tiny),
        "zero windows, cached": Attack(requests(b"/large", False, 100), settings=none, width=50, pause=0.01),
        "zero windows, uncached": Attack(requests(large, False, 100), settings=none, width=10, pause=0.01),
        "slow heads, HTTP/2": Attack(frame(HEADERS, END_STREAM, 1, block(hit, False)), frame(CONTINUATION, 0, 1, b"\x40"),
                                     width=200, pause=0.2),
        "slow heads, HTTP/1.1": Attack(None, b"X", width=200, pause=0.2),
    }


class Wire:
    """A connection of an attacker's."""

    def __init__(self, attack, port, serial):
        self.attack, self.out, self.sent = attack, bytearray(), 0
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        if attack.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_alpn_protocols(["h2"])
            self.socket = context.wrap_socket(self.socket, server_hostname="www.test")
        if attack.first is None:
            self.start = b"GET / HTTP/1.1\r\nHost: www.test\r\nX: "
        else:
            self.start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, attack.settings)
            self.start += attack.first.replace(b"UNIQUE", b"%06d" % serial)
        self.out += self.start
        self.socket.setblocking(False)

    def turn(self):
        """Sends and reads what can be; whether the connection still is."""
        again = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
        try:
            if not self.out:
                self.out += self.attack.again
            if self.out:
                gone = self.socket.send(self.out[:1 << 16])
                self.sent += gone
                del self.out[:gone]
        except again:
            pass
        except OSError:
            return False
        try:
            while self.attack.reads:
                if not self.socket.recv(1 << 16):
                    return False
        except again:
            pass
        except OSError:
            return False
        return True

    def streams(self):
        """Of the requests that are reset, how many have been sent."""
        each = len(self.start) / STREAMS
        return min(STREAMS, int(self.sent / each)) if self.attack.resets else 0


def assail(attack, port, stop, sent, opened, ended):
    """Attacks until told to stop; opens a connection anew whenever one ends."""
    os.nice(19)
    wires, serial = [None] * attack.width, os.getpid() % 100 * 10000
    while not stop.is_set():
        for at, wire in enumerate(wires):
            try:
                if wire is None:
                    serial += 1
                    wires[at] = wire = Wire(attack, port, serial)
                    opened.value += 1
                alive = wire.turn()
            except OSError:
                alive = False
            if not alive:
                ended.value += 1
                if wire is not None:
                    sent.value += wire.streams()
                    wire.socket.close()
                wires[at] = None
        if attack.pause:
            time.sleep(attack.pause)
        else:
            select.select([], [wire.socket for wire in wires if wire], [], 0.01)
    sent.value += sum(wire.streams() for wire in wires if wire)


def before_all_others():
    """Has the ordinary client's processor go to it whenever it wants it: what it waits for is Verge, not origin and attackers."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except PermissionError:
        print("       not allowed to be a real-time process: the ordinary client shares core 1 with all others")


def spin():
    os.nice(19)
    while True:
        pass


def stolen():
    """Hundredths of seconds that the host has taken, of all cores, and that there were."""
    times = list(map(int, pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]))
    return times[7], sum(times)


def one_round(verge, ordinary, attack, seconds):
    """What there is to say about one attack."""
    pathlib.Path(f"/proc/{verge.process.pid}/clear_refs").write_text("5")
    spinner = multiprocessing.Process(target=spin, daemon=True)
    spinner.start()
    stolen_before, all_before = stolen()
    end = time.monotonic() + seconds
    before = ordinary.measure(lambda: time.monotonic() > end)
    spinner.terminate()
    spinner.join()
    resident, _ = verge.memory()
    stop = multiprocessing.Event()
    counters = [multiprocessing.Value("q", 0) for _ in range(3)]
    if attack is None:
        assailant = subprocess.Popen(["nice", "-n", "19", "h2load", "-t1", "-c4", "-m32", "-D", str(int(seconds) + 1),
                                      f"https://127.0.0.1:{verge.ports[1]}/hit"], stdout=subprocess.DEVNULL)
    else:
        port = verge.ports[1 if attack.tls else 0]
        assailant = multiprocessing.Process(target=assail, args=(attack, port, stop, *counters), daemon=True)
        assailant.start()
    time.sleep(0.3)
    end_of_attack = time.monotonic() + seconds
    during = ordinary.measure(lambda: time.monotonic() > end_of_attack)
    stop.set()
    if attack is None:
        # It goes on for ever where some of its connections have ended.
        assailant.terminate()
        assailant.wait()
    else:
        assailant.join(10)
    now, most = verge.memory()
    stolen_after, all_after = stolen()
    sent, opened, ended = (counter.value for counter in counters)
    return {"before": before, "during": during, "ratio": during / before, "resident": resident, "most": most, "sent": sent,
            "opened": opened, "ended": ended, "stolen": (stolen_after - stolen_before) / (all_after - all_before)}


def quiet_round(*how):
    """The quietest of a few rounds, or the first one that was quiet."""
    best = None
    for _ in range(TRIES):
        one = one_round(*how)
        if best is None or one["stolen"] < best["stolen"]:
            best = one
        if one["stolen"] < NOISY:
            break
    return best


def report(checks, name, rounds, reference):
    middle = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
    sent, opened, ended = (sum(one[key] for one in rounds) for key in ("sent", "opened", "ended"))
    most, resident = max(one["most"] for one in rounds), min(one["resident"] for one in rounds)
    told = [f"p99 {middle['before']:.2f} ms before, {middle['during']:.2f} during, ratio {middle['ratio']:.2f}",
            f"{resident // 1024} MiB before, {most // 1024} at most", f"{opened} connections, {ended} ended by Verge"]
    told += [f"{sent} streams sent and reset"] if sent else []
    told += [f"host took {middle['stolen']:.0%}"] if middle["stolen"] > 0.02 else []
    if reference is None:
        print("      ", f"{name}: {', '.join(told[:2] + told[3:])}")
        return
    most_time = max(2 * middle["before"], 1.25 * reference)
    checks(name, middle["during"] <= most_time and most < resident + 384 * 1024, ", ".join(told))


def main():
    def more(parser):
        parser.add_argument("--rounds", type=int, default=3)
        parser.add_argument("--seconds", type=float, default=3, help="of a round, before as well as during")
        parser.add_argument("--only", default="", help="attacks with this in their names")
    given = arguments(__doc__, more)
    checks = Checks()
    os.sched_setaffinity(0, {1})
    before_all_others()
    with folder() as name:
        d = pathlib.Path(name)
        authority = Authority(d, "ca")
        cert, key = authority.sign("www", ["www.test", "127.0.0.1"])
        port = multiprocessing.SimpleQueue()
        origin = multiprocessing.Process(target=originate, args=(port,), daemon=True)
        origin.start()
        chosen = {name: attack for name, attack in attacks().items() if given.only in name}
        with Verge(given.verge, d, CONFIG.format(cert=cert, key=key, origin=port.get()), "--threads", "1", core=0) as verge:
            ordinary = Ordinary(verge.ports[1], ssl.create_default_context(cafile=authority.pem))
            ordinary.ask("/hit")
            ordinary.missed = 0
            all_rounds = {name: [] for name in ["h2load, for comparison", *chosen]}
            failed = {}
            for _ in range(given.rounds):
                for name in all_rounds:
                    one = quiet_round(verge, ordinary, chosen.get(name), given.seconds)
                    all_rounds[name].append(one)
                    print(f"        a round of {name}: {one['before']:.2f} ms, {one['during']:.2f} ms", flush=True)
                    failed.setdefault(name, []).extend(ordinary.failed)
                    ordinary.failed.clear()
                    if verge.process.poll() is not None:
                        break
            compared = all_rounds.pop("h2load, for comparison")
            report(checks, "h2load, for comparison", compared, None)
            reference = statistics.median(one["during"] for one in compared)
            for name, rounds in all_rounds.items():
                report(checks, name, rounds, reference)
            bad = {name: some for name, some in failed.items() if some}
            told = "; ".join(f"{name}: {len(some)}, {some[0]}" for name, some in bad.items())
            checks("no ordinary request failed", not bad, told or f"{ordinary.asked} asked")
            checks("what was cached stayed so", ordinary.missed < 3, f"{ordinary.missed} times it was not")
            reset = sum(one["sent"] for rounds in all_rounds.values() for one in rounds)
            if not given.only:
                checks("100,000 streams were reset", reset >= 100_000, f"{reset}")
            time.sleep(4)
            checks("Verge still runs", verge.process.poll() is None, f"{verge.memory()[0] // 1024} MiB at the end")
        origin.terminate()
    checks.finish()


if __name__ == "__main__":
    main()
