#!/usr/bin/env python3
"""Shows that a real Prometheus scrapes Verge, that promtool finds nothing to say, and that every query of the dashboard
returns data.

    apt-get install -y --no-install-recommends prometheus curl openssl
    python3 integration/peers/prometheus.py --verge target/release/verge

An origin and a dead one stand behind Verge, which is asked in every way that its metrics tell apart: hits, misses, errors,
purges, HTTP/1.1 and HTTP/2, in clear text and over TLS, clients that leave. Prometheus scrapes it every second meanwhile,
with the rules of config/prometheus; then the queries of config/grafana are asked.
"""
import functools
import json
import math
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from edge import Authority, Checks, Handler, Origin, Verge, arguments, body, folder, run

SHIPPED = pathlib.Path(__file__).resolve().parents[2] / "config"
DASHBOARD, RULES = SHIPPED / "grafana" / "verge.json", SHIPPED / "prometheus" / "rules.yml"
# Queries of the dashboard that may return nothing here, by panel, and why.
EXEMPT = {}
# What $... stands for in the dashboard.
VARIABLES = {"$__rate_interval": "1m", "$instance": ".*", "$site": ".*"}
# Rounds of traffic, each with at least one scrape after it.
ROUNDS = 10

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
certificates = [{{ cert = "{cert}", key = "{key}" }}]
[client]
max_connections = 64
[cache]
ram = "8MiB"
ssd = [{{ path = "{folder}/cache", size = "64MiB" }}]
[keys.main]
secret = "open sesame"
[origins.app]
servers = ["http://127.0.0.1:{origin}"]
[origins.dead]
servers = ["http://127.0.0.1:{dead}"]
[[sites]]
hosts = ["www.test"]
origin = "app"
[[sites.routes]]
path = "/pass/*"
cache = false
[[sites.routes]]
path = "/secure/*"
redirect_to_https = true
[[sites.routes]]
path = "/signed/*"
signed = {{ keys = ["main"] }}
[[sites]]
hosts = ["dead.test"]
origin = "dead"
[[sites]]
hosts = ["counted.test"]
origin = "app"
"""
PROMETHEUS = """
global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}
rule_files: ["{d}/rules.yml"]
scrape_configs: [{{ job_name: verge, static_configs: [{{ targets: ["127.0.0.1:{admin}"] }}] }}]
"""


class Source(Origin):
    """Answers /bytes/SIZE; and /confirm is to be asked about each time, /stale is so at once, /never is not for storing,
    /slow takes its time, and /endless has no end."""

    def __init__(self):
        super().__init__()
        self.RequestHandlerClass = Answers


class Answers(Handler):
    FIELDS = {
        "confirm": {"Cache-Control": "no-cache", "ETag": '"1"'},
        "stale": {"Cache-Control": "max-age=0, stale-while-revalidate=60", "ETag": '"1"'},
        "never": {"Cache-Control": "no-store"},
        "slow": {"Cache-Control": "max-age=3600"},
        "pass": {},
    }

    def do_GET(self):
        kind = self.path.split("/")[1]
        if kind == "endless":
            return self.go_on()
        if kind not in self.FIELDS:
            return super().do_GET()
        if kind == "slow":
            time.sleep(0.2)
        if self.headers.get("If-None-Match") == '"1"':
            return self.send(304, self.FIELDS[kind], b"")
        return self.send(200, self.FIELDS[kind], body(1000))

    do_OPTIONS = do_GET

    def go_on(self):
        self.send_response(200)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            while True:
                self.wfile.write(bytes(100_000))
                self.wfile.flush()
                time.sleep(0.005)
        except OSError:
            self.close_connection = True


def fetch(url, timeout=10):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode()


def until(holds, seconds=30):
    """Waits for something to hold; whether it came to."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return False


class Prometheus:
    """A real one, on a port of its own choice."""

    def __init__(self, d, admin):
        rules = RULES.read_text()
        (d / "rules.yml").write_text(rules.replace("interval: 30s", "interval: 1s"))
        (d / "prometheus.yml").write_text(PROMETHEUS.format(d=d, admin=admin))
        self.log = open(d / "prometheus.log", "w+")
        command = ["prometheus", f"--config.file={d / 'prometheus.yml'}", f"--storage.tsdb.path={d / 'data'}"]
        self.process = subprocess.Popen([*command, "--web.listen-address=127.0.0.1:0"], stdout=self.log,
                                        stderr=subprocess.STDOUT)
        self.url = None

    def printed(self):
        self.log.flush()
        return pathlib.Path(self.log.name).read_text()

    def ready(self):
        if not self.url:
            found = re.search(r'msg="Listening on" .*?address=(\S+:\d+)', self.printed())
            self.url = found and f"http://{found[1]}"
        try:
            return self.url and "ready" in fetch(self.url + "/-/ready").lower()
        except OSError:
            return False

    def ask(self, path, **parameters):
        """The data of an answer of its API, or what is wrong with the question."""
        try:
            answer = fetch(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        except urllib.error.HTTPError as error:
            answer = error.read().decode()
        answer = json.loads(answer)
        return answer["data"] if answer["status"] == "success" else answer["error"]

    def values(self, query):
        """The numbers that a query gives now; a text if it is no query."""
        data = self.ask("query", query=query)
        if isinstance(data, str):
            return data
        found = [data["result"][1]] if data["resultType"] == "scalar" else [sample["value"][1] for sample in data["result"]]
        return [number for number in map(float, found) if not math.isnan(number)]

    def scrape(self):
        """Returns after a scrape that began after the call."""
        scrapes = lambda: sum(self.values("count_over_time(up[1h])"))
        before = scrapes()
        until(lambda: scrapes() > before + 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()


class Traffic:
    """Asks Verge in every way; each round for URLs of its own."""

    def __init__(self, d, verge):
        self.d, self.verge, self.round = d, verge, 0
        self.clear, self.tls = verge.ports

    def curl(self, path, *how, host="www.test", tls=False):
        """The status of the last answer, 000 if there was none."""
        port = self.tls if tls else self.clear
        scheme = "https" if tls else "http"
        return run("curl", "-s", "-k", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}\n",
                   "--resolve", f"{host}:{port}:127.0.0.1", *how, f"{scheme}://{host}:{port}{path}").split("\n")[-2]

    def several(self, paths):
        """The same for several paths at once."""
        first, *others = paths
        more = [word for path in others for word in ("-o", "/dev/null", f"http://www.test:{self.clear}{path}")]
        return self.curl(first, "-Z", "--parallel-immediate", *more)

    def purge(self, path, soft):
        """The status of a purge of this path, and of a tag and a prefix that nothing has."""
        asked = {"urls": [f"http://www.test:{self.clear}{path}"], "tags": ["none"], "prefixes": ["www.test/none/"], "soft": soft}
        request = urllib.request.Request(f"http://127.0.0.1:{self.verge.admin}/api/purge", json.dumps(asked).encode(),
                                         {"Verge-Admin": "1", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.status)

    def go(self):
        """A round: what is asked, and the status that came of it, where it is not as it should be."""
        self.round += 1
        n, curl, tls = self.round, self.curl, functools.partial(self.curl, tls=True)
        asked = {
            "HTTP/1.1": (curl(f"/bytes/1000?{n}"), "200"),
            "a hit": (curl(f"/bytes/1000?{n}"), "200"),
            "h2c": (curl(f"/bytes/2000?{n}", "--http2-prior-knowledge"), "200"),
            "HTTP/1.1 over TLS": (tls("/bytes/3000", "--http1.1"), "200"),
            "HTTP/2 over TLS": (tls("/bytes/3000", "--http2"), "200"),
            "TLS 1.2": (tls("/bytes/3000", "--tls-max", "1.2"), "200"),
            "HEAD": (curl("/bytes/1000?head", "-I"), "200"),
            "OPTIONS": (curl("/pass/x", "-X", "OPTIONS"), "200"),
            "POST": (curl("/pass/post", "-d", "x" * 5000), "200"),
            "a pass": (curl("/pass/get"), "200"),
            "a redirect": (curl("/secure/x"), "301|302|307|308"),
            "no token": (curl("/signed/x"), "403"),
            "304": (curl("/bytes/1000?head", "-H", 'If-None-Match: "1000"'), "304"),
            "404": (curl(f"/none/{n}"), "404"),
            "an unknown host": (curl("/", host="other.test"), "404|421"),
            "a dead origin": (curl(f"/{n}", host="dead.test"), "502|503"),
            "not for storing": (curl(f"/never/{n}"), "200"),
            "validated": (curl("/confirm/x"), "200"),
            "validated again": (curl("/confirm/x"), "200"),
            "stale": (curl("/stale/x"), "200"),
            "stale again": (curl("/stale/x"), "200"),
            "left": (curl(f"/endless/{n}", "-m", "0.3"), "200"),
            "collapsed": (self.several([f"/slow/{n}"] * 8), "200"),
            "many small": (self.several([f"/bytes/100000?{n}-{number}" for number in range(12)]), "200"),
            "many large": (self.several([f"/bytes/600000?{n}-{number}" for number in range(6)]), "200"),
            "a purge": (self.purge(f"/bytes/1000?{n}", soft=n % 2 == 0), "200"),
        }
        return {what: got for what, (got, wanted) in asked.items() if got not in wanted.split("|")}

    def counted(self):
        """Nine hits and a miss of 1,000 bytes, which nobody else asks for."""
        return [self.curl("/bytes/1000?counted", host="counted.test") for _ in range(10)] == ["200"] * 10

    def resume(self):
        """A TLS session, and another connection by its ticket."""
        told = []
        for which in "-sess_out", "-sess_in":
            told.append(run("openssl", "s_client", "-connect", f"127.0.0.1:{self.tls}", "-servername", "www.test", "-tls1_2",
                            which, self.d / "session", "-ign_eof",
                            text="HEAD / HTTP/1.1\r\nHost: www.test\r\nConnection: close\r\n\r\n"))
        return "New, " in told[0] and "Reused, " in told[1]

    def no_handshake(self):
        """Something that is not TLS."""
        with socket.create_connection(("127.0.0.1", self.tls), 10) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: www.test\r\n\r\n")
            try:
                return b"HTTP/1.1 200" not in connection.recv(1000)
            except ConnectionError:
                return True

    def too_many(self):
        """More connections than max_connections: how many were refused."""
        held, refused = [], 0
        try:
            for _ in range(80):
                held.append(socket.create_connection(("127.0.0.1", self.clear), 10))
                held[-1].settimeout(0.5 if len(held) > 64 else 0)
            for connection in held[64:]:
                try:
                    refused += connection.recv(100)[9:12] in (b"503", b"")
                except (TimeoutError, ConnectionError) as error:
                    refused += isinstance(error, ConnectionError)
        finally:
            for connection in held:
                connection.close()
        return refused


def reload(verge, d, scrape):
    """Configuration read again, a broken one in between: what verge_reloads_total said of each, from first to last."""
    good, seen = (d / "edge.toml").read_text(), []
    for text, outcome in (good, "done"), (good + "\n[nonsense]\n", "failed"), (good, "done"):
        series = f'verge_reloads_total{{outcome="{outcome}"}}'
        before = value(scrape(), series)
        (d / "edge.toml").write_text(text)
        verge.process.send_signal(signal.SIGHUP)
        seen.append(before is not None and until(lambda: value(scrape(), series) > before, 10))
    return seen


def value(exposed, series):
    """A sample of what is exposed, None if it is not there."""
    found = re.search(rf"^{re.escape(series)} (\S+)", exposed, re.M)
    return float(found[1]) if found else None


def queries(dashboard):
    """Panel (or variable, or annotation) and query, as Grafana would ask it."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def substituted(query):
    for name, stands_for in VARIABLES.items():
        query = query.replace(name, stands_for)
    return query


def ask_dashboard(checks, prometheus, exposed):
    text = DASHBOARD.read_text()
    dashboard = json.loads(text)
    asked = 0
    for panel, query in queries(dashboard):
        query = substituted(query)
        found = prometheus.values(query)
        asked += 1
        if not found or isinstance(found, str):
            exempt = EXEMPT.get(panel)
            checks(f"dashboard: {panel}: returns data", bool(exempt), exempt or f"{query}: {found or 'no data'}")
        elif "$" in query:
            checks(f"dashboard: {panel}: knows its variables", False, query)
    checks("dashboard: its queries were asked", asked > 50, f"{asked}, {len(EXEMPT)} exempt")
    for variable in dashboard["templating"]["list"]:
        metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", substituted(variable["definition"])).groups()
        values = prometheus.ask(f"label/{label}/values", **{"match[]": metric})
        checks(f"dashboard: variable {variable['name']}", values and not isinstance(values, str), values)
    exported = set(re.findall(r"^# TYPE (verge_\w+)", exposed, re.M))
    shown = {name for name in exported if re.search(rf"\b{name}(_bucket|_count|_sum)?\b", text)}
    checks("dashboard: shows every metric of Verge's", exported == shown,
           ", ".join(sorted(exported - shown)) or len(exported))


def ask_rules(checks, prometheus):
    """All rules can be evaluated, what they record is there, and so is what alerts look at."""
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    sick = [f"{rule['name']}: {rule.get('lastError')}" for rule in rules if rule["health"] != "ok"]
    checks("rules: Prometheus evaluates them", len(rules) > 10 and not sick, "; ".join(sick) or len(rules))
    recorded = [rule["name"] for rule in rules if rule["type"] == "recording"]
    empty = [name for name in recorded if not prometheus.values(name)]
    checks("rules: what they record is there", not empty, ", ".join(empty) or len(recorded))
    names = {name for rule in rules for name in re.findall(r"\bverge_\w+|\bjob_\w+:[\w:]+", rule["query"])}
    unknown = sorted(name for name in names if not prometheus.values(f"count({name})"))
    checks("rules: every metric that they name is there", not unknown, ", ".join(unknown) or len(names))


# Labels of metrics, and the values that the traffic must have brought.
TOLD_APART = {
    "verge_requests_total": {
        "method": ["GET", "HEAD", "write", "other"],
        "status": ["2xx", "3xx", "4xx", "5xx"],
        "protocol": ["h1", "h1-tls", "h2c", "h2"],
        "cache": ["hit", "stale", "revalidated", "miss", "collapsed", "pass", "edge"],
        "site": ["www.test", "dead.test", "counted.test"],
    },
    "verge_fills_total": {"outcome": ["stored", "uncacheable", "failed", "abandoned", "revalidated"]},
    "verge_ram_evictions_total": {"pool": ["entries", "chunks"]},
    "verge_connections_total": {"transport": ["clear", "tls"]},
    "verge_connections_refused_total": {"reason": ["too-many"]},
    "verge_tls_handshakes_total": {"version": ["1.2", "1.3"], "resumed": ["yes", "no"]},
    "verge_tls_handshake_failures_total": {"job": ["verge"]},
    "verge_origin_requests_total": {"origin": ["app"], "status": ["2xx", "3xx", "4xx"]},
    "verge_origin_errors_total": {"origin": ["dead"]},
    "verge_origin_connections_total": {"reused": ["yes", "no"]},
    "verge_purges_total": {"selector": ["url", "tag", "prefix"], "mode": ["hard", "soft"]},
    "verge_reloads_total": {"outcome": ["done", "failed"]},
    "verge_aborted_total": {"site": ["www.test"]},
    "verge_request_bytes_total": {"site": ["www.test"]},
    "verge_tokens_denied_total": {"site": ["www.test"], "reason": ["token-missing"]},
}
# Series whose rise an alert looks for: they must be there before it, for a first value is no rise.
FROM_THE_START = [
    'verge_reloads_total{outcome="failed"}',
    "verge_log_lines_dropped_total",
    'verge_connections_refused_total{reason="too-many"}',
    'verge_connections_refused_total{reason="suspect"}',
    'verge_connections_refused_total{reason="too-many-handshakes"}',
]


def look_at_numbers(checks, prometheus):
    for metric, labels in TOLD_APART.items():
        missing = [f"{label}={wanted}" for label, values in labels.items() for wanted in values
                   if prometheus.values(f'sum({metric}{{{label}="{wanted}"}}) > 0') in ([], None)]
        checks(f"{metric} tells apart what was asked", not missing, ", ".join(missing))
    site = 'site="counted.test"'
    counted = {
        f'verge_requests_total{{{site}, status="2xx", method="GET", protocol="h1"}}': 10,
        f'verge_requests_total{{{site}, cache="hit"}}': 9,
        f'verge_requests_total{{{site}, cache="miss"}}': 1,
        f"verge_response_bytes_total{{{site}}}": 10_000,
        f"verge_first_byte_duration_seconds_count{{{site}}}": 10,
        f'verge_request_duration_seconds_bucket{{{site}, le="+Inf"}}': 10,
    }
    told = {series: prometheus.values(f"sum({series})") for series in counted}
    wrong = [f"{series}: {told[series]}, not {wanted}" for series, wanted in counted.items() if told[series] != [wanted]]
    checks("ten requests of one site are ten everywhere", not wrong, "; ".join(wrong))


def promtool(checks, exposed):
    for what, command, text in (("metrics", ["check", "metrics"], exposed), ("rules", ["check", "rules", RULES], ""),
                                ("config", ["check", "config", SHIPPED / "prometheus" / "prometheus.yml"], "")):
        done = subprocess.run(["promtool", *command], input=text, capture_output=True, text=True)
        said = (done.stdout + done.stderr).strip()
        clean = done.returncode == 0 and (what != "metrics" or not said)
        checks(f"promtool check {what}", clean, "" if clean else said.replace("\n", "; "))
    done = subprocess.run(["promtool", "test", "rules", "rules_test.yml"], cwd=RULES.parent, capture_output=True, text=True)
    checks("promtool test rules", done.returncode == 0, "" if done.returncode == 0 else done.stdout + done.stderr)


def main():
    given = arguments(__doc__)
    checks = Checks()
    with folder() as name, socket.socket() as nobody:
        d = pathlib.Path(name)
        # Bound and not listening: whoever connects is refused.
        nobody.bind(("127.0.0.1", 0))
        cert, key = Authority(d, "ca").sign("www", ["www.test"])
        config = CONFIG.format(cert=cert, key=key, folder=d, origin=Source().server_address[1],
                               dead=nobody.getsockname()[1])
        with Verge(given.verge, d, config, admin="127.0.0.1:0") as verge, Prometheus(d, verge.admin) as prometheus:
            scrape = functools.partial(fetch, f"http://127.0.0.1:{verge.admin}/metrics")
            missing = [series for series in FROM_THE_START if value(scrape(), series) is None]
            checks("what alerts look at is there from the start", not missing, ", ".join(missing))
            if not checks("Prometheus is ready", until(prometheus.ready), prometheus.url):
                print(prometheus.printed())
                checks.finish()
            traffic = Traffic(d, verge)
            checks("ten requests are answered", traffic.counted())
            checks("a TLS session is resumed", traffic.resume())
            checks("what is not TLS is not answered", traffic.no_handshake())
            wrong = {}
            for _ in range(ROUNDS):
                wrong |= traffic.go()
                prometheus.scrape()
            checks(f"{ROUNDS} rounds of traffic are answered as they should be", not wrong, wrong or "")
            refused = traffic.too_many()
            checks("connections beyond max_connections are refused", refused >= 16, refused)
            checks("reloads: done, failed, done", reload(verge, d, scrape) == [True] * 3)
            # The second one's rules see what the first one brought.
            prometheus.scrape()
            prometheus.scrape()
            targets = prometheus.ask("targets")["activeTargets"]
            checks("Prometheus scrapes Verge", [target["health"] for target in targets] == ["up"]
                   and prometheus.values("min_over_time(up[1h])") == [1], targets[0]["lastError"])
            exposed = scrape()
            promtool(checks, exposed)
            look_at_numbers(checks, prometheus)
            ask_rules(checks, prometheus)
            ask_dashboard(checks, prometheus, exposed)
            checks("Verge still runs", verge.process.poll() is None)
    checks.finish()


if __name__ == "__main__":
    main()
