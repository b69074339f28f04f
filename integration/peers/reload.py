#!/usr/bin/env python3
"""Shows that certificates are replaced under load without a failed request, and that broken ones change nothing.

    apt-get install -y nghttp2-client openssl
    python3 integration/peers/reload.py --verge target/release/verge [--times 100]

Every time, certificate and key are replaced together (a symbolic link to their folder) and Verge gets SIGHUP; one time in ten
they are broken. Meanwhile clients ask over kept connections (HTTP/1.1 here, HTTP/2 by h2load) and over a new one for
every request, and each new handshake must show the certificate that was put there last.
"""
import http.client
import multiprocessing
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

from edge import Authority, Checks, Origin, Verge, arguments, folder

CONFIG = """
[server]
threads = 1
[[listen]]
address = "127.0.0.1:0"
tls = true
[tls]
certificates = [{{ cert = "{d}/current/cert.pem", key = "{d}/current/key.pem" }}]
reload = "0s"
[origins.app]
servers = ["http://127.0.0.1:{origin}"]
[[sites]]
hosts = ["www.test", "127.0.0.1"]
origin = "app"
"""


class Client(multiprocessing.Process):
    """Asks until it is told to stop, over one connection or a new one for each request."""

    def __init__(self, port, authority, kept):
        super().__init__(daemon=True)
        self.port, self.authority, self.kept = port, authority, kept
        self.stopping, self.result = multiprocessing.Event(), multiprocessing.SimpleQueue()

    def connect(self, context):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10)
        connection.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 10), server_hostname="www.test")
        return connection

    def run(self):
        context = ssl.create_default_context(cafile=self.authority)
        connection, answered, failures = None, 0, []
        while not self.stopping.is_set():
            try:
                connection = connection or self.connect(context)
                connection.request("GET", "/bytes/1000", headers={"Host": "www.test"})
                response = connection.getresponse()
                whole = response.status == 200 and len(response.read()) == 1000
                told = response.status
            except (OSError, http.client.HTTPException) as error:
                whole, told = False, repr(error)
            answered += whole
            if not whole:
                failures.append(f"{'kept' if self.kept else 'new'}: {told}")
            if connection and not (self.kept and whole):
                connection.close()
                connection = None
            time.sleep(0.002)
        self.result.put((answered, failures))

    def stop(self):
        """How many answers came, and what failed."""
        self.stopping.set()
        result = self.result.get()
        self.join()
        return result


def served(port, context):
    """The serial number that a new handshake shows."""
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10), server_hostname="www.test") as shaken:
        return int(shaken.getpeercert()["serialNumber"], 16)


def cut(path):
    path.write_bytes(path.read_bytes()[:-120])


# Ways to break a pair, and the file that must be named.
BROKEN = {
    "the key is missing": (lambda pair, other: (pair / "key.pem").unlink(), "key.pem"),
    "the key of another certificate": (lambda pair, other: shutil.copy(other / "key.pem", pair / "key.pem"), "key.pem"),
    "the certificate cut short": (lambda pair, other: cut(pair / "cert.pem"), "cert.pem"),
    "the key cut short": (lambda pair, other: cut(pair / "key.pem"), "key.pem"),
    "the certificate is missing": (lambda pair, other: (pair / "cert.pem").unlink(), "cert.pem"),
    "the certificate is empty": (lambda pair, other: (pair / "cert.pem").write_text(""), "cert.pem"),
    "the key is empty": (lambda pair, other: (pair / "key.pem").write_text(""), "key.pem"),
    "no PEM": (lambda pair, other: (pair / "cert.pem").write_bytes(os.urandom(1000)), "cert.pem"),
    "a key as certificate": (lambda pair, other: shutil.copy(pair / "key.pem", pair / "cert.pem"), "cert.pem"),
    "the folder is missing": (lambda pair, other: shutil.rmtree(pair), "cert.pem"),
}


def make_pairs(d, authority, times):
    """Folders with a pair each; serial numbers count from 1000."""
    for number in range(times + 1):
        kind = "rsa" if number % 20 == 7 else "ec"
        pem, key = authority.sign("pair", ["www.test", "127.0.0.1"], serial=1000 + number, kind=kind)
        pair = d / f"pair{number}"
        pair.mkdir()
        pem.rename(pair / "cert.pem")
        key.rename(pair / "key.pem")


# What Verge says of a reload.
DONE, FAILED = "verge: reloaded", "not reloaded"


def point(d, pair):
    (d / "next").symlink_to(pair)
    os.replace(d / "next", d / "current")


def reload(verge, d, pair):
    """Points to a pair and lets Verge read it; gives what it says on stderr."""
    said = len(verge.errors)
    point(d, pair)
    verge.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if any("reloaded" in line for line in verge.errors[said:]):
            break
        time.sleep(0.005)
    return verge.errors[said:]


def main():
    given = arguments(__doc__, lambda parser: parser.add_argument("--times", type=int, default=100))
    checks = Checks()
    with folder() as name:
        d = pathlib.Path(name)
        authority = Authority(d, "ca")
        make_pairs(d, authority, given.times)
        point(d, d / "pair0")
        context = ssl.create_default_context(cafile=authority.pem)
        origin = Origin()
        with Verge(given.verge, d, CONFIG.format(d=d, origin=origin.server_address[1])) as verge:
            clients = [Client(verge.ports[0], authority.pem, kept) for kept in (True, True, False, False)]
            for client in clients:
                client.start()
            before, _ = verge.memory()
            seconds = given.times // 4 + 1
            h2load = subprocess.Popen(["h2load", "-t1", "-c4", "-m4", "-D", str(seconds),
                                       f"https://127.0.0.1:{verge.ports[0]}/bytes/1000"], stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True, preexec_fn=lambda: os.nice(15))
            breaks, serial, wrong, began = iter(BROKEN.items()), 1000, [], time.monotonic()
            followed = stayed = 0
            for number in range(1, given.times + 1):
                pair = d / f"pair{number}"
                fault = next(breaks, None) if number % 10 == 5 else None
                if fault:
                    what, (spoil, file) = fault
                    spoil(pair, d / f"pair{number - 1}")
                said = reload(verge, d, pair)
                if not fault:
                    serial = 1000 + number
                shown = served(verge.ports[0], context)
                if fault:
                    stayed += shown == serial
                    checks(f"{what}: the old certificate is served, and the file named", shown == serial
                           and "not reloaded" in said[-1] and any(file in line for line in said),
                           said[0].replace(name, "…") if said else "nothing said")
                elif shown == serial and said and "not reloaded" not in said[-1]:
                    followed += 1
                else:
                    wrong.append(f"{number}: {shown} {said}")
                time.sleep(max(0, began + number * 0.25 - time.monotonic()))
            results = [client.stop() for client in clients]
            answered, failures = [count for count, _ in results], [failure for _, some in results for failure in some]
            printed = h2load.communicate(timeout=60)[0]
            checks("every good pair is served from the next handshake on", not wrong,
                   "; ".join(wrong[:3]) or f"{followed} good, {stayed} broken")
            checks("no request failed", not failures, ", ".join(failures[:3]) or
                   f"{sum(answered[:2])} on kept connections, {sum(answered[2:])} with a handshake each")
            counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", printed)
            checks("nor of h2load's", counts and int(counts[1]) > 1000 and counts.groups()[1:] == ("0", "0", "0"),
                   counts[0] if counts else printed[-300:])
            now, most = verge.memory()
            checks("memory stays bounded", now < before + 64 * 1024,
                   f"{before // 1024} MiB before, {now // 1024} after, at most {most // 1024}")
            checks("Verge still runs", verge.process.poll() is None)
    checks.finish()


if __name__ == "__main__":
    main()
