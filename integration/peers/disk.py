#!/usr/bin/env python3
"""Hits that are not in RAM, of Verge and of nginx on the same disk.

    apt-get install -y nginx wrk openssl
    python3 integration/peers/disk.py --verge target/release/verge [--objects 10000] [--rounds 5] [--seconds 4]

Both have one thread, on core 0, and the same objects of 16 KiB in a folder of the same file system; load and origin have core 1. Verge
has 8 MiB of RAM, so that nearly nothing is there; nginx keeps the files open, for which the limit of open files must be larger than
their number. *Warm*: the files are in the system's page cache. *Cold*: they are dropped
from it before each round, which asks for every object once. In clear text and over TLS. Rounds take turns; printed are
medians: requests a second, requests for a CPU-second of the server, and the 99th percentile.
"""
import argparse
import http.client
import http.server
import os
import pathlib
import re
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time

BODY = os.urandom(16 * 1024)

NGINX = """
daemon off;
worker_processes 1;
worker_rlimit_nofile 200000;
error_log {folder}/error.log;
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    aio threads;
    open_file_cache max=200000 inactive=1h;
    keepalive_requests 1000000;
    proxy_cache_path {folder}/cache levels=1:2 keys_zone=z:64m max_size=4g inactive=1d use_temp_path=off;
    server {{
        listen 127.0.0.1:{clear};
        listen 127.0.0.1:{secure} ssl;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        location / {{
            proxy_pass http://127.0.0.1:{origin};
            proxy_cache z;
            proxy_cache_key $uri;
            proxy_cache_valid 200 1d;
        }}
    }}
}}
"""

SCRIPT = """
local objects, first, step = {objects}, {first}, 0
request = function()
    step = step + 1
    if {cold} and step >= objects then wrk.thread:stop() end
    local number = {how}
    return wrk.format("GET", "/o/" .. number, {{Host = "disk.test"}})
end
"""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        self.send_response(200)
        self.send_header("Cache-Control", "max-age=86400")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A server, the processes that it is, and where its files are."""

    def __init__(self, name, command, clear, secure, files):
        self.name, self.clear, self.secure, self.files = name, clear, secure, files
        self.process = subprocess.Popen(["taskset", "-c", "0", *command], stdout=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", clear)) == 0:
                    return
            time.sleep(0.05)
        sys.exit(f"{name} does not listen")

    def pids(self):
        children = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True).stdout.split()
        return [str(self.process.pid), *children]

    def cpu(self):
        total = 0
        for pid in self.pids():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def forget_pages(self):
        """Has the system drop what it has of the files."""
        os.sync()
        for path in pathlib.Path(self.files).rglob("*"):
            if path.is_file():
                descriptor = os.open(path, os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)


def fill(server, objects):
    """In clear text and over TLS: to Verge these are two URLs, each with a response of its own."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    clear = http.client.HTTPConnection("127.0.0.1", server.clear, timeout=30)
    secure = http.client.HTTPSConnection("127.0.0.1", server.secure, timeout=30, context=trusting)
    for connection in (clear, secure):
        for number in range(objects):
            connection.request("GET", f"/o/{number}", headers={"Host": "disk.test"})
            if len(connection.getresponse().read()) != len(BODY):
                sys.exit(f"{server.name} gave a wrong body")
        connection.close()


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def load(server, scheme, folder, given, first, cold):
    """One round: requests a second, for a CPU-second, and the 99th percentile in milliseconds."""
    # Cold: one after the other in an order that no read-ahead knows.
    how = f"(first + step * 7919) % {given.objects}" if cold else "math.random(0, objects - 1)"
    script = pathlib.Path(folder) / "load.lua"
    script.write_text(SCRIPT.format(objects=given.objects, first=first, how=how, cold=str(cold).lower()))
    seconds = given.seconds
    port = server.secure if scheme == "https" else server.clear
    command = ["taskset", "-c", "1", "wrk", "-t1", "-c32", f"-d{seconds}s", "--latency", "-s", str(script)]
    before = server.cpu()
    printed = subprocess.run([*command, f"{scheme}://127.0.0.1:{port}"], capture_output=True, text=True).stdout
    spent = server.cpu() - before
    requests = int(re.search(r"(\d+) requests in", printed)[1])
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)", printed)
    if failed:
        print(f"     {server.name}: {failed[0]}")
        if server.name == "verge":
            sys.exit(printed)
    return requests / seconds, requests / max(spent, 0.01), milliseconds(re.search(r"99%\s+(\S+)", printed)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verge", required=True)
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    given = parser.parse_args()
    os.sched_setaffinity(0, {1})
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    port = origin.server_address[1]
    folder = tempfile.mkdtemp(prefix="verge-disk-", dir=os.getcwd())
    os.chmod(folder, 0o755)
    servers = []
    try:
        names = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        names += ["-subj", "/CN=disk.test", "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"]
        subprocess.run(names, check=True, capture_output=True)
        clear, secure = free_port(), free_port()
        verge = [os.path.abspath(given.verge), "run", "--origin", f"http://127.0.0.1:{port}", "--threads", "1", "--ram", "8MiB"]
        verge += ["--listen", f"127.0.0.1:{clear}", "--listen-tls", f"127.0.0.1:{secure}", "--admin", "off"]
        verge += ["--cert", f"{folder}/cert.pem", "--key", f"{folder}/key.pem"]
        verge += ["--ssd", f"{folder}/verge", "--ssd-size", "2GiB"]
        servers.append(Server("verge", verge, clear, secure, f"{folder}/verge"))
        clear, secure = free_port(), free_port()
        pathlib.Path(f"{folder}/nginx.conf").write_text(NGINX.format(folder=folder, clear=clear, secure=secure, origin=port))
        nginx = ["nginx", "-c", f"{folder}/nginx.conf", "-p", folder]
        servers.append(Server("nginx", nginx, clear, secure, f"{folder}/cache"))
        for server in servers:
            fill(server, given.objects)
        time.sleep(2)
        for cold in (False, True):
            for scheme in ("http", "https"):
                rounds = {server.name: [] for server in servers}
                for number in range(given.rounds):
                    for server in servers:
                        if cold:
                            server.forget_pages()
                        first = number * given.objects // given.rounds
                        rounds[server.name].append(load(server, scheme, folder, given, first, cold))
                middle = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in rounds.items()}
                for name, (rate, per_cpu, late) in middle.items():
                    print(f"{'cold' if cold else 'warm'} {scheme:5} {name:6} {rate:9.0f}/s {per_cpu:9.0f}/cpu-s  p99 {late:.2f} ms")
                pairs = list(zip(rounds["verge"], rounds["nginx"]))
                ratios = [statistics.median(one[at] / other[at] for one, other in pairs) for at in range(3)]
                print(f"     verge / nginx: rate {ratios[0]:.2f}, per CPU-second {ratios[1]:.2f}, p99 {ratios[2]:.2f}", flush=True)
    finally:
        for server in servers:
            server.process.terminate()
            server.process.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
