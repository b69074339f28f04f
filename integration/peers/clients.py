#!/usr/bin/env python3
"""Shows that curl, nghttp, h2load, wrk and openssl are served: HTTP/1.1 and HTTP/2, in clear text and over TLS.

    apt-get install -y curl nghttp2-client wrk openssl
    python3 integration/peers/clients.py --verge target/release/verge

Certificates by SNI and by kind (ECDSA, RSA), client certificates, tickets, ALPN and a stapled OCSP response are looked at
with `openssl s_client`; key exchange with X25519MLKEM768 only where openssl is 3.5 or newer.
"""
import hashlib
import pathlib
import re
import shutil

from edge import Authority, Checks, Origin, Verge, arguments, body, folder, must, run

CONFIG = """
[server]
threads = 1
[[listen]]
address = "127.0.0.1:0"
h2c = true
[[listen]]
address = "127.0.0.1:0"
tls = true
[tls]
certificates = [
    {{ cert = "{d}/rsa.pem", key = "{d}/rsa.key" }},
    {{ cert = "{d}/www.pem", key = "{d}/www.key", ocsp = "{d}/www.ocsp" }},
    {{ cert = "{d}/other.pem", key = "{d}/other.key" }},
    {{ cert = "{d}/locked.pem", key = "{d}/locked.key" }},
]
[origins.app]
servers = ["http://127.0.0.1:{origin}"]
[[sites]]
hosts = ["www.test", "127.0.0.1", "other.test"]
origin = "app"
[[sites]]
hosts = ["locked.test"]
origin = "app"
client_certificates = "require"
client_ca = "{d}/clients.pem"
"""


def staple(d, authority):
    """An OCSP response that calls www.pem good."""
    serial = run("openssl", "x509", "-in", d / "www.pem", "-noout", "-serial").split("=")[1].strip()
    (d / "index").write_text(f"V\t491231235959Z\t\t{serial}\tunknown\t/CN=www.test\n")
    must("openssl", "ocsp", "-issuer", authority.pem, "-cert", d / "www.pem", "-reqout", d / "www.ask", "-no_nonce")
    must("openssl", "ocsp", "-index", d / "index", "-CA", authority.pem, "-rsigner", authority.pem, "-rkey", authority.key,
         "-reqin", d / "www.ask", "-respout", d / "www.ocsp", "-ndays", "7")


def curl(checks, d, name, url, *how):
    """Everything that is asked of each transport."""
    def ask(path, *more):
        """Body and head."""
        got, head = d / "got", d / "head"
        got.write_bytes(b"")
        head.write_bytes(b"")
        printed = run("curl", "-sS", "--max-time", "30", "-D", head, "-o", got, "-w", "%{http_version} %{http_code}", *how,
                      *more, url + path)
        return printed.strip(), head.read_text().lower(), got.read_bytes()

    version = "1.1" if "--http1.1" in how else "2"
    path = f"/bytes/300000?{name.replace(' ', '-')}"
    for turn, wanted in ("cold", "fwd="), ("warm", "verge; hit"):
        printed, head, got = ask(path)
        checks(f"curl, {name}: {turn}", printed == f"{version} 200" and got == body(300000) and wanted in head, printed)
    printed, head, got = ask(path, "-r", "1000-1999")
    checks(f"curl, {name}: a range", printed == f"{version} 206" and got == body(300000)[1000:2000], printed)
    printed, head, got = ask(path, "-r", "-10")
    checks(f"curl, {name}: the last bytes", printed == f"{version} 206" and got == body(300000)[-10:], printed)
    printed, head, got = ask(path, "-I")
    length = re.search(r"content-length: (\d+)", head)
    checks(f"curl, {name}: HEAD", printed == f"{version} 200" and length and length[1] == "300000", printed)
    printed, head, got = ask(path, "-H", 'If-None-Match: "300000"')
    checks(f"curl, {name}: 304", printed == f"{version} 304" and not got, printed)
    (d / "upload").write_bytes(sent := body(2_000_000))
    told = f"2000000 {hashlib.sha256(sent).hexdigest()}".encode()
    printed, head, got = ask("/upload", "-T", d / "upload")
    checks(f"curl, {name}: upload", printed == f"{version} 200" and got == told, f"{printed} {got[:20]}")
    printed, head, got = ask("/upload", "-H", "Expect:", "--data-binary", f"@{d / 'upload'}")
    checks(f"curl, {name}: POST", printed == f"{version} 200" and got == told, f"{printed} {got[:20]}")


def load(checks, clear, tls):
    """Many requests, on several connections and streams."""
    runs = [("HTTP/2, TLS", [], tls), ("h2c", [], clear), ("HTTP/1.1, TLS", ["--h1"], tls)]
    for name, more, url in runs:
        printed = run("h2load", "-t1", "-c", "8", "-m", "32", "-n", "40000", *more, f"{url}/bytes/1000")
        counts = re.search(r"requests: .*", printed)
        rate = re.search(r"finished in .*?, ([\d.]+) req/s", printed)
        checks(f"h2load, {name}: 40,000 of 40,000", "40000 succeeded, 0 failed, 0 errored, 0 timeout" in printed,
               f"{rate[1]} requests/s" if rate else counts[0] if counts else printed[-200:])
    printed = run("h2load", "-t1", "-c", "4", "-m", "8", "-n", "400", f"{tls}/bytes/3000000")
    checks("h2load, HTTP/2, TLS: 400 of 3 MB", "400 succeeded, 0 failed, 0 errored, 0 timeout" in printed)
    printed = run("wrk", "-t1", "-c16", "-d3s", "--latency", f"{tls}/bytes/1000")
    rate = re.search(r"Requests/sec:\s+(\S+)", printed)
    checks("wrk, TLS", rate and float(rate[1]) > 100 and "Socket errors" not in printed and "Non-2xx" not in printed,
           f"{rate[1]} requests/s" if rate else printed)


def nghttp(checks, d, clear, tls):
    paths = [f"/bytes/{size}" for size in (1, 1000, 100_000, 2_000_000)]
    for name, url in ("TLS", tls), ("h2c", clear):
        printed = run("nghttp", "-n", "-s", "--no-verify-peer", *(url + path for path in paths))
        answered = len(re.findall(r"\s200\s", printed))
        checks(f"nghttp, {name}: four sizes at once", answered == 4, f"{answered} answered")
    must("openssl", "rand", "-out", d / "random", "1000000")
    printed = run("nghttp", "-v", "--no-verify-peer", "-d", d / "random", f"{tls}/upload")
    told = f"1000000 {hashlib.sha256((d / 'random').read_bytes()).hexdigest()}"
    checks("nghttp, TLS: upload", told in printed)


def openssl(checks, d, port):
    """What a TLS handshake comes to."""
    def shake(*more, name="www.test"):
        text = f"GET /bytes/10 HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
        return run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name, "-CAfile", d / "ca.pem",
                   "-verify_return_error", "-verify_hostname", name, "-ign_eof", *more, text=text, timeout=30)

    for version, flag in ("1.2", "-tls1_2"), ("1.3", "-tls1_3"):
        printed = shake(flag, "-sess_out", d / "session")
        checks(f"openssl, TLS {version}", f"New, TLSv{version}" in printed and "HTTP/1.1 200" in printed
               and "Verification: OK" in printed)
        # Over TLS 1.2 the ticket is the same as before, over TLS 1.3 each connection gives new ones.
        for turn in "once", "twice":
            printed = shake(flag, "-sess_in", d / "session", "-sess_out", d / "session")
            checks(f"openssl, TLS {version}: resumed by ticket, {turn}",
                   f"Reused, TLSv{version}" in printed and "HTTP/1.1 200" in printed)
        for kind, algorithms in ("ECDSA", "ECDSA+SHA256"), ("RSA", "RSA-PSS+SHA256"):
            printed = shake(flag, "-sigalgs", algorithms)
            fits = ("Peer signature type: " + {"RSA": "RSA-PSS"}.get(kind, kind)) in printed
            checks(f"openssl, TLS {version}: a client of {kind} only", fits and "HTTP/1.1 200" in printed)
    printed = shake("-tls1_2", "-sigalgs", "RSA+SHA256", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256")
    checks("openssl, TLS 1.2: PKCS #1 signatures", "HTTP/1.1 200" in printed)
    printed = shake("-sigalgs", "RSA-PSS+SHA256:ECDSA+SHA256")
    checks("openssl: ECDSA before RSA", "Peer signature type: ECDSA" in printed)
    for old in "-tls1_1", "-tls1":
        printed = shake(old, "-cipher", "ALL:@SECLEVEL=0")
        checks(f"openssl: no {old[1:]}", "Cipher is (NONE)" in printed)
    for group in "X25519", "P-256", "P-384":
        printed = shake("-groups", group)
        checks(f"openssl: key exchange by {group}", "HTTP/1.1 200" in printed)
    printed = run("openssl", "version")
    if tuple(map(int, re.findall(r"\d+", printed)[:2])) >= (3, 5):
        checks("openssl: X25519MLKEM768", "HTTP/1.1 200" in shake("-groups", "X25519MLKEM768"))
    else:
        print("not tried: X25519MLKEM768, which openssl knows since 3.5")
    for name in "www.test", "other.test":
        printed = shake(name=name)
        checks(f"openssl: SNI {name}", re.search(rf"subject=CN ?= ?{name}", printed) and "HTTP/1.1 200" in printed)
    for asked, wanted in ("h2,http/1.1", "h2"), ("http/1.1", "http/1.1"), ("http/1.1,h2", "h2"):
        printed = run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "www.test", "-alpn", asked)
        checks(f"openssl: ALPN {asked} gives {wanted}", f"ALPN protocol: {wanted}\n" in printed)
    printed = shake("-status")
    good = "OCSP Response Status: successful" in printed and "Cert Status: good" in printed
    checks("openssl: the OCSP response is stapled", good)
    printed = shake("-status", name="other.test")
    checks("openssl: and only where there is one", "OCSP response: no response sent" in printed)

    who = ["-cert", d / "alice.pem", "-key", d / "alice.key"]
    stranger = ["-cert", d / "mallory.pem", "-key", d / "mallory.key"]
    for version in "-tls1_2", "-tls1_3":
        printed = shake(version, *who, "-sess_out", d / "session", name="locked.test")
        checks(f"openssl {version}: with a client certificate", "HTTP/1.1 200" in printed)
        printed = shake(version, *who, "-sess_in", d / "session", name="locked.test")
        checks(f"openssl {version}: resumed with one", "Reused" in printed and "HTTP/1.1 200" in printed)
        printed = shake(version, name="locked.test")
        checks(f"openssl {version}: without one, refused", "HTTP/1.1" not in printed and "alert" in printed,
               "".join(re.findall(r"alert [a-z ]+", printed)[:1]))
        printed = shake(version, *stranger, name="locked.test")
        checks(f"openssl {version}: with a stranger's, refused", "HTTP/1.1" not in printed and "alert" in printed,
               "".join(re.findall(r"alert [a-z ]+", printed)[:1]))


def main():
    given = arguments(__doc__)
    checks = Checks()
    with folder() as name:
        d = pathlib.Path(name)
        authority, clients = Authority(d, "ca"), Authority(d, "clients")
        authority.sign("www", ["www.test", "127.0.0.1"])
        authority.sign("rsa", ["www.test", "127.0.0.1"], kind="rsa")
        authority.sign("other", ["other.test"])
        authority.sign("locked", ["locked.test"])
        clients.sign("alice", usage="clientAuth")
        authority.sign("mallory", usage="clientAuth")
        staple(d, authority)
        origin = Origin()
        with Verge(given.verge, d, CONFIG.format(d=d, origin=origin.server_address[1])) as verge:
            clear, tls = verge.ports
            www = ["--resolve", f"www.test:{tls}:127.0.0.1", "--resolve", f"www.test:{clear}:127.0.0.1",
                   "--cacert", authority.pem]
            curl(checks, d, "HTTP/1.1 clear", f"http://www.test:{clear}", *www, "--http1.1")
            curl(checks, d, "HTTP/1.1 TLS", f"https://www.test:{tls}", *www, "--http1.1")
            curl(checks, d, "HTTP/2 TLS", f"https://www.test:{tls}", *www, "--http2")
            curl(checks, d, "h2c", f"http://www.test:{clear}", *www, "--http2-prior-knowledge")
            locked = ["curl", "-sS", "--resolve", f"locked.test:{tls}:127.0.0.1", "--cacert", authority.pem, "-o", "/dev/null",
                      "-w", "%{http_version} %{http_code}", f"https://locked.test:{tls}/bytes/10"]
            printed = run(*locked, "--cert", d / "alice.pem", "--key", d / "alice.key")
            checks("curl: a client certificate over HTTP/2", printed == "2 200", printed)
            checks("curl: none, refused", "200" not in (printed := run(*locked)), printed[:60].strip())
            printed = run("curl", "-sS", *www, "-H", "Host: locked.test", "-o", "/dev/null", "-w", "%{http_code}",
                          f"https://www.test:{tls}/bytes/10")
            checks("curl: the host of a site that requires one, on another's connection", printed == "421", printed)
            if shutil.which("nghttp"):
                nghttp(checks, d, f"http://127.0.0.1:{clear}", f"https://127.0.0.1:{tls}")
            load(checks, f"http://127.0.0.1:{clear}", f"https://127.0.0.1:{tls}")
            openssl(checks, d, tls)
            checks("Verge still runs", verge.process.poll() is None)
    checks.finish()


if __name__ == "__main__":
    main()
