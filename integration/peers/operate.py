#!/usr/bin/env python3
"""Shows that Verge is reloaded and drained under load without a failed request, and loses nothing that is stored.

    apt-get install -y wrk nghttp2-client
    python3 integration/peers/operate.py --verge target/release/verge [--times 200]

First the configuration is replaced again and again while wrk (HTTP/1.1) and h2load (HTTP/2) ask, every other time with a
broken one; sites, origins and listeners change, and after each reload that succeeds a new request must meet what is new
and everything that was stored before must still be a hit. Then Verge is drained, by SIGTERM and by its API, under wrk,
h2load and clients that do as they are told: that go elsewhere once an answer says `Connection: close`.
"""
import http.client
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request

from edge import Checks, Origin, Verge, arguments, folder

CONFIG = """
[server]
threads = 2
drain_wait = "{wait}"
drain = "20s"
[[listen]]
address = "127.0.0.1:0"
h2c = true
{more_listeners}
[tls]
reload = "0s"
[origins.app]
servers = ["http://127.0.0.1:{origin}"]
max_fetches = {max_fetches}
[[sites]]
hosts = ["127.0.0.1", "www.test"]
name = "main"
origin = "app"
max_body = "{max_body}B"
[[sites]]
hosts = ["s{serial}.test"]
origin = "app"
"""
BROKEN = ["[", "nonsense = 1", "[origins.app]\nservers = []", "[[sites]]\nhosts = [\"*\"]\norigin = \"none\"",
          "[server]\ndrain = \"soon\"", "", "[tls]\nmin_version = \"1.1\"", "[[listen]]\naddress = \"nowhere\""]
OBJECTS = 200


def config(origin, serial, wait="0s", more_listeners=""):
    return CONFIG.format(origin=origin.server_address[1], serial=serial, wait=wait, max_fetches=900 + serial % 50,
                         max_body=1_000_000 + serial, more_listeners=more_listeners)


def ask(port, path="/bytes/1000", host="127.0.0.1"):
    """Status and Cache-Status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Host": host})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status, response.headers["Cache-Status"] or ""


def wrk(port, seconds):
    return subprocess.Popen(["wrk", "-t1", "-c16", f"-d{seconds}s", f"http://127.0.0.1:{port}/bytes/1000"],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=lambda: os.nice(10))


def h2load(port, seconds):
    return subprocess.Popen(["h2load", "-t1", "-c4", "-m4", "-D", str(seconds), f"http://127.0.0.1:{port}/bytes/1000"],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=lambda: os.nice(10))


def wrk_failed(printed):
    """What wrk counts as failed."""
    socket_errors = re.search(r"Socket errors: (.*)", printed)
    others = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    return ", ".join(found[0] for found in (socket_errors, others) if found)


def h2load_failed(printed):
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", printed)
    if not counts or int(counts[1]) < 100:
        return printed[-300:]
    return "" if counts.groups()[1:] == ("0", "0", "0") else counts[0]


def reload(verge):
    said = len(verge.errors)
    verge.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        told = [line for line in verge.errors[said:] if line.endswith("verge: reloaded") or "not reloaded" in line]
        if told:
            return "not reloaded" not in told[0]
        time.sleep(0.002)
    return None


def reloads(checks, program, times):
    with folder() as name:
        path, origin = pathlib.Path(name, "edge.toml"), Origin()
        with Verge(program, name, config(origin, 0), admin="127.0.0.1:0") as verge:
            port = verge.ports[0]
            for number in range(OBJECTS):
                ask(port, f"/bytes/{1000 + number}")
            seconds = max(5, times // 20)
            loads = [wrk(port, seconds), h2load(port, seconds)]
            began, wrong, lost, done, refused = time.monotonic(), [], 0, 0, 0
            for number in range(1, times + 1):
                broken = number % 2 == 0
                path.write_text(BROKEN[number // 2 % len(BROKEN)] if broken else config(origin, number))
                outcome = reload(verge)
                if outcome is not (not broken):
                    wrong.append(f"{number}: {outcome}")
                done, refused = done + (outcome is True), refused + (outcome is False)
                newest = number - number % 2 - 1 if broken else number
                if ask(port, host=f"s{newest}.test")[0] != 200:
                    wrong.append(f"{number}: its site is not there")
                if newest > 2 and ask(port, host=f"s{newest - 2}.test")[0] != 421:
                    wrong.append(f"{number}: the site before is still there")
                status = ask(port, f"/bytes/{1000 + number % OBJECTS}")
                lost += "hit" not in status[1]
                time.sleep(max(0, began + number * seconds * 0.9 / times - time.monotonic()))
            printed = [load.communicate(timeout=120)[0] for load in loads]
            lost += sum("hit" not in ask(port, f"/bytes/{1000 + number}")[1] for number in range(OBJECTS))
            checks("each reload does what it should", not wrong, "; ".join(wrong[:4]) or f"{done} done, {refused} refused")
            checks("no stored object is lost", lost == 0, f"{lost} lost")
            checks("no request of wrk's failed", not wrk_failed(printed[0]), wrk_failed(printed[0]) or summary(printed[0]))
            checks("nor of h2load's", not h2load_failed(printed[1]), h2load_failed(printed[1]) or summary(printed[1]))
            checks("Verge still runs", verge.process.poll() is None)


def summary(printed):
    found = re.search(r"\d+ requests in .*|requests: .*", printed)
    return found[0] if found else ""


class Obedient(threading.Thread):
    """Asks over a kept connection until an answer says that it ends; then no more."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.answered, self.failed = port, 0, []

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            while True:
                connection.request("GET", "/bytes/1000")
                response = connection.getresponse()
                response.read()
                self.answered += 1
                if response.status != 200:
                    self.failed.append(str(response.status))
                if (response.headers["Connection"] or "").lower() == "close":
                    return
        except (OSError, http.client.HTTPException) as error:
            self.failed.append(repr(error))


def drains(checks, program, how):
    """With a wait longer than the loads last, for those who do not heed `Connection: close`; and without one."""
    for wait in ("5s", "0s"):
        with folder() as name:
            origin = Origin()
            with Verge(program, name, config(origin, 0, wait), admin="127.0.0.1:0") as verge:
                port, admin = verge.ports[0], verge.admin
                ask(port)
                clients = [Obedient(port) for _ in range(16)]
                for client in clients:
                    client.start()
                loads = [wrk(port, 3), h2load(port, 3)] if wait != "0s" else []
                time.sleep(1)
                if how == "SIGTERM":
                    verge.process.terminate()
                else:
                    request = urllib.request.Request(f"http://127.0.0.1:{admin}/api/drain", b"", {"Verge-Admin": "1"})
                    urllib.request.urlopen(request, timeout=5).read()
                ready = readiness(admin)
                printed = [load.communicate(timeout=60)[0] for load in loads]
                for client in clients:
                    client.join(30)
                verge.process.wait(30)
                what = f"{how}, drain_wait {wait}"
                failures = [failure for client in clients for failure in client.failed]
                answered = sum(client.answered for client in clients)
                checks(f"{what}: no request failed", not failures and not any(client.is_alive() for client in clients),
                       ", ".join(failures[:3]) or f"{answered} answered")
                if loads:
                    checks(f"{what}: not ready at once", ready.startswith("not ready"), ready.strip())
                    checks(f"{what}: none of wrk's", not wrk_failed(printed[0]), wrk_failed(printed[0]) or summary(printed[0]))
                    checks(f"{what}: none of h2load's", not h2load_failed(printed[1]),
                           h2load_failed(printed[1]) or summary(printed[1]))
                checks(f"{what}: exit status 0", verge.process.returncode == 0, f"{verge.process.returncode}")


def readiness(admin):
    """What /readyz says, asked as simple checkers do."""
    try:
        with socket.create_connection(("127.0.0.1", admin), 5) as connection:
            connection.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            answer = b""
            while piece := connection.recv(4096):
                answer += piece
            return answer.split(b"\r\n\r\n", 1)[1].decode()
    except OSError as error:
        return repr(error)


def second_signal(checks, program):
    with folder() as name:
        with Verge(program, name, config(Origin(), 0, "60s")) as verge:
            ask(verge.ports[0])
            verge.process.terminate()
            while not any("draining" in line for line in verge.errors):
                time.sleep(0.01)
            verge.process.terminate()
            verge.process.wait(10)
            checks("a second signal ends it at once", verge.process.returncode == 0, f"{verge.process.returncode}")


def main():
    given = arguments(__doc__, lambda parser: parser.add_argument("--times", type=int, default=200))
    checks = Checks()
    reloads(checks, given.verge, given.times)
    for how in ("SIGTERM", "the API"):
        drains(checks, given.verge, how)
    second_signal(checks, given.verge)
    checks.finish()


if __name__ == "__main__":
    main()
