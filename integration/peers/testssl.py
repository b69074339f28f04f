#!/usr/bin/env python3
"""Shows what testssl.sh says of Verge's TLS, with an ECDSA certificate of an authority of its own.

    apt-get install -y testssl.sh openssl
    python3 integration/peers/testssl.py --verge target/release/verge [--keep integration/peers/testssl.txt]

Fails if anything is rated above LOW, but for what only a public authority could give (OCSP or CRL addresses, CAA
records). All that is rated LOW or above is printed. Takes some minutes.
"""
import json
import os
import pathlib
import re
import subprocess
import sys

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
hosts = ["localhost", "127.0.0.1"]
origin = "app"
hsts = "max-age=31536000"
"""

# What an authority of one's own does not have.
OWN_AUTHORITY = {"cert_revocation", "cert_crlDistributionPoints", "cert_ocspURL", "DNS_CAArecord", "OCSP_stapling",
                 "cert_chain_of_trust", "certificate_transparency"}
# Fields that testssl misses where no origin sends them.
FIELDS = {"Content-Security-Policy": "default-src 'self'", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
          "Referrer-Policy": "no-referrer"}
SEVERE = ["MEDIUM", "HIGH", "CRITICAL", "FATAL"]


class Origin(edge.Origin):
    def answer(self, path):
        return 200, FIELDS, b"ok"


def trimmed(report, d, port):
    """The report without this machine's paths, names, ports and dates."""
    report = report.replace(d, "FOLDER").replace(str(port), "PORT").replace(os.uname().nodename, "HOST")
    report = re.sub(r"(?m)^.*(Start|Done) .*$\n?", "", report)
    report = re.sub(r"on \S+:/\S+openssl", "on HOST:openssl", report)
    report = re.sub(r"\(?\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?\)?|(Mon|Tue|Wed|Thu|Fri|Sat|Sun),? .*(GMT|UTC)", "DATE", report)
    return re.sub(r"[ \t]+\n", "\n", report).strip() + "\n"


def main():
    given = arguments(__doc__, lambda parser: parser.add_argument("--keep", metavar="FILE", help="where the report is kept"))
    checks = Checks()
    with folder() as d:
        authority = Authority(pathlib.Path(d), "ca")
        cert, key = authority.sign("localhost", ["localhost", "127.0.0.1"], days=90)
        origin = Origin()
        with Verge(given.verge, d, CONFIG.format(cert=cert, key=key, origin=origin.server_address[1])) as verge:
            rated = pathlib.Path(d, "rated.json")
            port = verge.ports[0]
            done = subprocess.run(["testssl", "--color", "0", "--warnings", "off", "--add-ca", authority.pem, "--ip", "127.0.0.1",
                                   "--jsonfile", rated, f"localhost:{port}"], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, cwd=d)
            alive = verge.process.poll() is None
        if given.keep:
            pathlib.Path(given.keep).write_text(trimmed(done.stdout, d, port))
        try:
            findings = json.loads(rated.read_text())
        except (OSError, ValueError) as error:
            sys.exit(f"testssl left no findings ({error}):\n{done.stdout[-3000:]}")
    for finding in findings:
        if finding["severity"] in ["LOW", "WARN", *SEVERE]:
            print(f"  {finding['severity']}: {finding['id']}: {finding['finding']}")
    above = [f["id"] for f in findings if f["severity"] in SEVERE and f["id"].split()[0] not in OWN_AUTHORITY]
    checks("testssl has looked at everything", len(findings) > 80, f"{len(findings)} findings")
    checks("nothing is rated above LOW", not above, ", ".join(above))
    checks("Verge still runs", alive)
    checks.finish()


if __name__ == "__main__":
    main()
