"""What the programs of this folder share: checks, certificates, an origin, and Verge itself."""
import argparse
import hashlib
import http.server
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time


def arguments(doc, more=lambda parser: None):
    """The program's arguments; `--verge` is among them always."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verge", required=True, metavar="PATH", help="the program `verge`")
    more(parser)
    given = parser.parse_args()
    # Told to end, a program still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given.verge = os.path.abspath(given.verge)
    return given


class Checks:
    """Prints one line a check, and remembers whether one failed."""

    def __init__(self):
        self.failed = 0

    def __call__(self, what, holds, detail=""):
        self.failed += not holds
        print("ok    " if holds else "FAILED", what, f"({detail})" if detail else "", flush=True)
        return holds

    def finish(self):
        print(f"{self.failed} failed" if self.failed else "all ok")
        sys.exit(bool(self.failed))


def run(*command, text="", timeout=120):
    """What a command prints, errors included; it may fail."""
    done = subprocess.run([str(part) for part in command], input=text.encode(), timeout=timeout, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return done.stdout.decode(errors="replace")


def must(*command):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stdout}")


class Authority:
    """A certificate authority in a folder, made with openssl."""

    def __init__(self, folder, name):
        self.folder, self.pem, self.key = folder, folder / f"{name}.pem", folder / f"{name}.key"
        must("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 30,
             "-subj", f"/CN=Test authority {name}", "-keyout", self.key, "-out", self.pem,
             "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-addext", "basicConstraints=critical,CA:true")

    def sign(self, name, hosts=(), kind="ec", serial=None, usage="serverAuth", days=30):
        """A pair NAME.pem and NAME.key for these hosts; gives both paths."""
        pem, key, ask, extensions = (self.folder / f"{name}.{end}" for end in ("pem", "key", "csr", "ext"))
        kinds = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}
        names = ",".join(("IP:" if re.fullmatch(r"[\d.]+", host) else "DNS:") + host for host in hosts)
        extensions.write_text("basicConstraints=CA:false\nkeyUsage=critical,digitalSignature\n"
                              f"extendedKeyUsage={usage}\n" + (f"subjectAltName={names}\n" if names else ""))
        must("openssl", "req", "-newkey", *kinds[kind], "-nodes", "-subj", f"/CN={hosts[0] if hosts else name}", "-keyout", key,
             "-out", ask)
        number = int.from_bytes(os.urandom(15), "big") if serial is None else serial
        must("openssl", "x509", "-req", "-in", ask, "-CA", self.pem, "-CAkey", self.key, "-days", days, "-set_serial", number,
             "-extfile", extensions, "-out", pem)
        return pem, key


def body(size):
    """Bytes that no shift of themselves equals."""
    return b"".join(hashlib.sha256(b"%d" % at).digest() for at in range(size // 32 + 1))[:size]


class Origin(http.server.ThreadingHTTPServer):
    """Answers /bytes/SIZE so that it may be stored, and tells of any upload how long it was and its SHA-256."""
    daemon_threads, request_queue_size = True, 1024

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.fetched, self.lock = 0, threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def answer(self, path):
        """Status, fields and body for a path."""
        match = re.fullmatch(r"/bytes/(\d+).*", path)
        if not match:
            return 404, {}, b"not found"
        content = body(int(match[1]))
        return 200, {"ETag": f'"{len(content)}"', "Cache-Control": "max-age=3600"}, content


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16

    def send(self, status, fields, content):
        self.send_response(status)
        for name, value in {**fields, "Content-Length": len(content)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_GET(self):
        with self.server.lock:
            self.server.fetched += 1
        self.send(*self.server.answer(self.path))

    do_HEAD = do_GET

    def do_POST(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            taken = b""
            while size := int(self.rfile.readline(), 16):
                taken += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            taken = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send(200, {}, f"{len(taken)} {hashlib.sha256(taken).hexdigest()}".encode())

    do_PUT = do_POST

    def log_message(self, *_):
        pass


class Verge:
    """`verge run` with a configuration; it is ended where the `with` ends. `ports` are those of its listeners, in order.

    `admin` is where the admin listener is to be, and then its port."""

    def __init__(self, program, folder, config, *flags, core=None, admin="off"):
        path = pathlib.Path(folder, "edge.toml")
        path.write_text(config)
        self.errors = []
        pinned = [] if core is None else ["taskset", "-c", str(core)]
        command = [*pinned, program, "run", "--config", path, "--admin", admin, *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self.read_errors, daemon=True).start()
        self.ports, self.admin = [], None
        while len(self.ports) < config.count("[[listen]]") or admin != "off" and not self.admin:
            line = self.process.stdout.readline()
            if not line:
                self.process.wait()
                time.sleep(0.2)
                sys.exit("verge does not start:\n" + "\n".join(self.errors))
            self.ports += [int(port) for port in re.findall(r"listening on .*:(\d+)", line)]
            self.admin = self.admin or next((int(port) for port in re.findall(r"admin on .*:(\d+)", line)), None)

    def read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line.rstrip())

    def memory(self):
        """KiB resident: now, and at most so far."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return tuple(int(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("VmRSS", "VmHWM"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def folder():
    """A folder of its own, gone at the end."""
    return tempfile.TemporaryDirectory(prefix="verge-peers-")
