#!/usr/bin/env python3
"""A mirror of a real documentation tree, fetched through Verge in front of nginx, cold and then warm.

    apt-get install -y nginx libstdc++-12-doc
    python3 integration/mirror.py target/release/verge /usr/share/doc/gcc-12-base/libstdc++

Every file of the tree is asked for twice over eight kept-alive connections. Fails unless both mirrors are byte for byte
the tree and at least 99 % of the second round are hits. Only loopback and free ports are used.
"""
import http.client
import os
import pathlib
import queue
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

NGINX = """
daemon off; pid {d}/pid; error_log {d}/error; worker_processes 1;
events {{ }}
http {{ access_log off; types {{ text/html html; }} default_type application/octet-stream;
  client_body_temp_path {d}/b; proxy_temp_path {d}/p; fastcgi_temp_path {d}/f; uwsgi_temp_path {d}/u; scgi_temp_path {d}/s;
  server {{ listen 127.0.0.1:{port}; root {root}; }} }}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port):
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"nothing answers on port {port}")


def fetch_all(address, root, files):
    """Fetches every file; gives the paths that differ, and the number of hits."""
    work = queue.SimpleQueue()
    for file in files:
        work.put(file)
    wrong, hits, lock = [], 0, threading.Lock()

    def worker():
        nonlocal hits
        connection = http.client.HTTPConnection(*address, timeout=30)
        while True:
            try:
                file = work.get_nowait()
            except queue.Empty:
                return
            connection.request("GET", "/" + urllib.parse.quote(str(file.relative_to(root))))
            response = connection.getresponse()
            body = response.read()
            with lock:
                hits += "verge; hit" in (response.getheader("cache-status") or "")
                if response.status != 200 or body != file.read_bytes():
                    wrong.append(f"{file} ({response.status})")

    threads = [threading.Thread(target=worker) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong, hits


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    program, root = sys.argv[1], pathlib.Path(sys.argv[2])
    files = [f for f in root.rglob("*") if f.is_file() and os.access(f, os.R_OK)]
    if len(files) < 2000:
        sys.exit(f"{root} has {len(files)} files; name a tree of at least 2,000")
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)
        port = free_port()
        pathlib.Path(d, "conf").write_text(NGINX.format(d=d, port=port, root=root))
        nginx = subprocess.Popen(["nginx", "-c", f"{d}/conf"], stderr=subprocess.DEVNULL)
        edge = subprocess.Popen([program, "run", "--origin", f"http://127.0.0.1:{port}", "--listen", "127.0.0.1:0"],
                                stdout=subprocess.PIPE, text=True)
        try:
            wait_for(port)
            host, edge_port = re.search(r"http://(.*):(\d+)", edge.stdout.readline()).groups()
            failed = False
            for name, least in [("cold", 0), ("warm", 0.99)]:
                began = time.monotonic()
                wrong, hits = fetch_all((host, int(edge_port)), root, files)
                share = hits / len(files)
                print(f"{name}: {len(files)} files, {len(wrong)} differ, {share:.2%} hits, {time.monotonic() - began:.1f} s")
                failed |= bool(wrong) or share < least
                for path in wrong[:5]:
                    print("  differs:", path)
            sys.exit(failed)
        finally:
            edge.terminate()
            nginx.terminate()
            edge.wait()
            nginx.wait()


if __name__ == "__main__":
    main()
