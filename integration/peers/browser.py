#!/usr/bin/env python3
"""Shows that Chromium loads a page of 50 objects over HTTP/2 and TLS, the second time out of the edge's cache.

    apt-get install -y chromium openssl
    python3 integration/peers/browser.py --verge target/release/verge

The page has 20 images, 10 style sheets, 10 scripts and 10 things that it fetches. It counts what came, and asks the
browser by which protocol. Each load is by a browser that has nothing stored.
"""
import html
import json
import pathlib
import re
import subprocess

import edge
from edge import Authority, Checks, Verge, arguments, folder

CONFIG = """
[server]
threads = 1
[[listen]]
address = "127.0.0.1:0"
tls = true
[tls]
certificates = [{{ cert = "{cert}", key = "{key}" }}]
[origins.app]
servers = ["http://127.0.0.1:{origin}"]
[[sites]]
hosts = ["www.test"]
origin = "app"
"""

PAGE = """<!doctype html><title>50 objects</title><link rel="icon" href="data:,"><pre id="result">nothing yet</pre><script>
let came = 0, left = 50;
const done = ok => {
  came += ok;
  if (--left) return;
  const entries = performance.getEntriesByType('resource');
  const protocols = entries.map(entry => entry.nextHopProtocol);
  document.getElementById('result').textContent = JSON.stringify({came, scripts: window.scripts, protocols,
    page: performance.getEntriesByType('navigation')[0].nextHopProtocol});
};
const add = (kind, fields) => {
  const element = Object.assign(document.createElement(kind), fields);
  element.onload = () => done(true);
  element.onerror = () => done(false);
  document.head.append(element);
};
window.scripts = 0;
for (let i = 0; i < 20; i++) add('img', {src: `/image/${i}.svg`});
for (let i = 0; i < 10; i++) add('link', {rel: 'stylesheet', href: `/style/${i}.css`});
for (let i = 0; i < 10; i++) add('script', {src: `/script/${i}.js`});
for (let i = 0; i < 10; i++)
  fetch(`/data/${i}.json`).then(got => got.json()).then(got => done(got.length === 5000 + i)).catch(() => done(false));
</script>
"""
KINDS = {"svg": "image/svg+xml", "css": "text/css", "js": "text/javascript", "json": "application/json"}
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-extensions", "--no-proxy-server", "--disable-dev-shm-usage",
         "--ignore-certificate-errors", "--virtual-time-budget=20000", "--dump-dom"]


class Origin(edge.Origin):
    def answer(self, path):
        fields = {"Cache-Control": "max-age=3600"}
        if path == "/":
            return 200, {**fields, "Content-Type": "text/html"}, PAGE.encode()
        number, kind = re.fullmatch(r"/\w+/(\d+)\.(\w+)", path).groups()
        content = {
            "svg": f'<svg xmlns="http://www.w3.org/2000/svg" width="{int(number) + 1}" height="9"><!--{"x" * 20000}--></svg>',
            "css": f".c{number} {{ color: red }} /*{'x' * 5000}*/",
            "js": f"window.scripts++; //{'x' * 5000}",
            "json": json.dumps([0] * (5000 + int(number))),
        }[kind]
        return 200, {**fields, "Content-Type": KINDS[kind]}, content.encode()


def main():
    given = arguments(__doc__)
    checks = Checks()
    with folder() as name:
        d = pathlib.Path(name)
        cert, key = Authority(d, "ca").sign("www", ["www.test"])
        origin = Origin()
        with Verge(given.verge, d, CONFIG.format(cert=cert, key=key, origin=origin.server_address[1])) as verge:
            for turn, fetches in ("first", 51), ("second", 0):
                before = origin.fetched
                shown = subprocess.run(["chromium", *FLAGS, f"--user-data-dir={d / turn}",
                                        "--host-resolver-rules=MAP www.test 127.0.0.1", f"https://www.test:{verge.ports[0]}/"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
                found = re.search(r'<pre id="result">(.*?)</pre>', shown.stdout, re.S)
                if not checks(f"{turn} load: the page is shown", found and found[1].startswith("{"),
                              (found[1] if found else shown.stderr[-500:]) if not found or found[1][0] != "{" else ""):
                    continue
                result = json.loads(html.unescape(found[1]))
                protocols = result["protocols"]
                checks(f"{turn} load: 50 of 50 objects came", result["came"] == 50 and result["scripts"] == 10,
                       f"{result['came']} came")
                checks(f"{turn} load: all over HTTP/2", len(protocols) == 50 and {*protocols, result["page"]} == {"h2"},
                       f"{protocols.count('h2')} of {len(protocols)}, the page itself {result['page']}")
                checks(f"{turn} load: {fetches} fetches from the origin", origin.fetched - before == fetches,
                       f"{origin.fetched - before} fetches")
            checks("Verge still runs", verge.process.poll() is None)
    checks.finish()


if __name__ == "__main__":
    main()
