#!/usr/bin/env python3
"""Measures what a token costs a hit, and what those who guess tokens cost others.

    apt-get install -y wrk openssl    # Linux, two cores
    python3 integration/peers/tokens.py --verge target/release/verge [--rounds 5] [--seconds 4] [--guesses 10000]

Verge has one thread, on core 0; all else shares core 1. First wrk asks for 1 KiB that is cached, in clear text: without a
token, with one token of Verge's own (HMAC-SHA256), with 200,000 of them in turn, more than are remembered, with a query of
the same length where no token is asked for, and without a token but with 200,000 fields of that length in turn: so many
unlike requests make wrk slow, and then each wakes Verge for itself. What is told is requests a second of Verge's own
processor time, each right beside what it is held against; rounds take turns, and medians are taken. Fails if one token
costs more than 15 % of the rate without; what 200,000 cost is told. Then so many wrong tokens a second
come from 1,000 addresses of the loopback network, none of which is held off for long, while an ordinary client asks over TLS
as in attacks.py; for comparison as many requests without a token where none is asked for. Fails if its p99 more than doubles,
if one of its requests fails, or if a guess is answered with anything but 403 and 429.
"""
import base64
import hashlib
import hmac
import multiprocessing
import os
import pathlib
import re
import select
import socket
import ssl
import statistics
import time

from attacks import NOISY, TRIES, Ordinary, originate, spin, stolen
from edge import Authority, Checks, Verge, arguments, folder, run

CONFIG = """
[[listen]]
address = "127.0.0.1:0"
[[listen]]
address = "127.0.0.1:0"
tls = true
[tls]
certificates = [{{ cert = "{cert}", key = "{key}" }}]
[client]
max_connections = 5000
[cache]
ram = "64MiB"
[keys.main]
secret = "{secret}"
[origins.app]
servers = ["http://127.0.0.1:{origin}"]
[[sites]]
hosts = ["www.test", "127.0.0.1"]
origin = "app"
[[sites.routes]]
path = "/signed/*"
signed = {{ keys = ["main"] }}
"""
SECRET = os.urandom(16).hex()
TOKENS = 200_000
ADDRESSES, AT_ONCE = 1000, 10
MOST_COST, MOST_WAIT = 0.15, 2.0
SCRIPT = """
local targets, at = {}, 0
for line in io.lines("FILE") do
    local target, field = line:match("(%S+) ?(%S*)")
    targets[#targets + 1] = wrk.format("GET", target, field ~= "" and {["X-Field"] = field} or nil)
end
request = function() at = at % #targets + 1; return targets[at] end
"""


def token(path, expires):
    """One of Verge's own, as src/access/verge.rs describes it."""
    text = f"v1~kmain~e{expires}"
    message = f"verge1\nwww.test\n{path}\n\n{text}".encode()
    tag = hmac.new(SECRET.encode(), message, hashlib.sha256).digest()
    return f"{text}~s{base64.urlsafe_b64encode(tag).rstrip(b'=').decode()}"


# What a token costs.

def kinds():
    """What is asked for in turn, by what that is, and what each is held against. A target, and maybe a field's value."""
    path, end = "/signed/hit", int(time.time()) + 100_000
    tokens = [token(path, end + more) for more in range(TOKENS)]
    fields, none = f"{TOKENS:,} fields of the same length", "no token"
    return {
        none: (["/hit"], none),
        "one token": ([f"{path}?verge={tokens[0]}"], none),
        "a query of the same length": ([f"/hit?verge={tokens[0]}"], none),
        fields: ([f"/hit {one}" for one in tokens], none),
        f"{TOKENS:,} tokens": ([f"{path}?verge={one}" for one in tokens], fields),
    }


def seconds_used(verge):
    """Of a processor, by Verge."""
    fields = pathlib.Path(f"/proc/{verge.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rate(verge, script, seconds):
    """Requests a second of Verge's processor time; how many failed; the share that the host took."""
    used, (stolen_before, all_before) = seconds_used(verge), stolen()
    printed = run("wrk", "-t1", "-c64", f"-d{seconds}s", "-H", "Host: www.test", "-s", script,
                  f"http://127.0.0.1:{verge.ports[0]}/", timeout=seconds + 60)
    used = seconds_used(verge) - used
    stolen_after, all_after = stolen()
    asked = int(re.search(r"(\d+) requests in", printed)[1])
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)", printed)
    return asked / used, wrong and wrong[0], (stolen_after - stolen_before) / (all_after - all_before)


def cost(checks, verge, d, given):
    scripts, against = {}, {}
    for at, (name, (targets, against[name])) in enumerate(kinds().items()):
        listed, scripts[name] = d / f"targets{at}", d / f"script{at}.lua"
        listed.write_text("\n".join(targets) + "\n")
        scripts[name].write_text(SCRIPT.replace("FILE", str(listed)))
    rates, wrong = {name: [] for name in scripts}, []

    def measured(name):
        for _ in range(TRIES):
            one, failed, taken = rate(verge, scripts[name], given.seconds)
            wrong.extend([f"{name}: {failed}"] if failed else [])
            if taken < NOISY:
                break
        return one

    for _ in range(given.rounds):
        for name in scripts:
            # One right after the other: a machine's speed changes within seconds.
            rates[name].append((measured(name), measured(against[name])))
            print(f"        a round of {name}: {rates[name][-1][0]:,.0f} of {rates[name][-1][1]:,.0f}", flush=True)

    def told(name):
        one, other = (statistics.median(some) for some in zip(*rates[name]))
        less = statistics.median(1 - with_it / without for with_it, without in rates[name])
        return less, f"{one:,.0f} a second, {less:.1%} less than {against[name]}, {1e6 / one - 1e6 / other:.2f} us more"

    for name in rates:
        print("      ", f"{name}: {told(name)[1]}")
    less, what = told("one token")
    checks(f"a token costs at most {MOST_COST:.0%}", less <= MOST_COST, what)
    checks("every hit was answered", not wrong, "; ".join(wrong))


# What guesses cost others.

def guess(port, a_second, wrong, stop, sent, odd):
    """Sends so many a second, from many addresses in turn, and counts what is answered otherwise than it should be."""
    os.nice(19)
    end, serial, sockets = int(time.time()) + 100_000, 0, []
    for at in range(ADDRESSES):
        one = socket.socket()
        one.bind((f"127.1.{at // 250}.{at % 250 + 1}", 0))
        one.connect(("127.0.0.1", port))
        one.setblocking(False)
        sockets.append(one)
    began = time.monotonic()
    while not stop.is_set():
        due = int((time.monotonic() - began) * a_second) - sent.value
        for _ in range(max(0, due) // AT_ONCE):
            asked = b""
            for _ in range(AT_ONCE):
                serial += 1
                made = base64.urlsafe_b64encode(serial.to_bytes(32, "big")).rstrip(b"=").decode()
                target = f"/signed/hit?verge=v1~kmain~e{end}~s{made}" if wrong else "/hit"
                asked += f"GET {target} HTTP/1.1\r\nHost: www.test\r\n\r\n".encode()
            try:
                sockets[serial // AT_ONCE % ADDRESSES].send(asked)
            except BlockingIOError:
                pass
            sent.value += AT_ONCE
        for one in select.select(sockets, [], [], 0.002)[0]:
            got = one.recv(1 << 16)
            statuses = re.findall(rb"HTTP/1\.1 (\d+)", got)
            expected = (b"403", b"429") if wrong else (b"200",)
            odd.value += sum(status not in expected for status in statuses) + (not got)
    for one in sockets:
        one.close()


def one_round(verge, ordinary, wrong, given):
    """The ordinary client's p99 before and during it, and what there was."""
    spinner = multiprocessing.Process(target=spin, daemon=True)
    spinner.start()
    stolen_before, all_before = stolen()
    end = time.monotonic() + given.seconds
    before = ordinary.measure(lambda: time.monotonic() > end)
    spinner.terminate()
    spinner.join()
    stop = multiprocessing.Event()
    sent, odd = multiprocessing.Value("q", 0), multiprocessing.Value("q", 0)
    guessing = multiprocessing.Process(target=guess, args=(verge.ports[0], given.guesses, wrong, stop, sent, odd), daemon=True)
    guessing.start()
    time.sleep(1)
    used, already, began = seconds_used(verge), sent.value, time.monotonic()
    end_of_guesses = began + given.seconds
    during = ordinary.measure(lambda: time.monotonic() > end_of_guesses)
    took = time.monotonic() - began
    used, there_were = (seconds_used(verge) - used) / took, (sent.value - already) / took
    stop.set()
    guessing.join(10)
    stolen_after, all_after = stolen()
    return {"before": before, "during": during, "ratio": during / before, "a second": there_were, "odd": odd.value,
            "used": used, "stolen": (stolen_after - stolen_before) / (all_after - all_before)}


def guesses(checks, verge, context, given):
    ordinary = Ordinary(verge.ports[1], context)
    ordinary.ask("/hit")
    ordinary.missed = 0
    rounds = {"guesses": [], "requests without a token, for comparison": []}
    for _ in range(given.rounds):
        for name, some in rounds.items():
            tried = [one_round(verge, ordinary, name == "guesses", given)]
            while tried[-1]["stolen"] >= NOISY and len(tried) < TRIES:
                tried.append(one_round(verge, ordinary, name == "guesses", given))
            some.append(min(tried, key=lambda one: one["stolen"]))
            print(f"        a round of {name}: {some[-1]['before']:.2f} ms, {some[-1]['during']:.2f} ms", flush=True)
    middle = {name: {key: statistics.median(one[key] for one in some) for key in some[0]} for name, some in rounds.items()}
    for name, one in middle.items():
        print("      ", f"{name}: {one['a second']:,.0f} a second, p99 {one['before']:.2f} ms before, {one['during']:.2f} during, "
              f"ratio {one['ratio']:.2f}, {one['used']:.0%} of a core")
    guessed, compared = middle.values()
    most = MOST_WAIT * guessed["before"]
    checks("guesses at most double others' p99", guessed["during"] <= most,
           f"{guessed['during']:.2f} ms of {most:.2f}; as many requests without a token: {compared['during']:.2f}")
    odd = sum(one["odd"] for some in rounds.values() for one in some)
    checks("every guess was denied, every other request answered", not odd, f"{odd} were not")
    checks("no ordinary request failed", not ordinary.failed, f"{len(ordinary.failed)}, {ordinary.failed[:1]}"
           if ordinary.failed else f"{ordinary.asked} asked")


def main():
    def more(parser):
        parser.add_argument("--rounds", type=int, default=5)
        parser.add_argument("--seconds", type=int, default=4, help="of a round")
        parser.add_argument("--guesses", type=int, default=10_000, help="a second")
    given = arguments(__doc__, more)
    checks = Checks()
    os.sched_setaffinity(0, {1})
    with folder() as name:
        d = pathlib.Path(name)
        authority = Authority(d, "ca")
        cert, key = authority.sign("www", ["www.test", "127.0.0.1"])
        port = multiprocessing.SimpleQueue()
        origin = multiprocessing.Process(target=originate, args=(port,), daemon=True)
        origin.start()
        config = CONFIG.format(cert=cert, key=key, secret=SECRET, origin=port.get())
        with Verge(given.verge, d, config, "--threads", "1", core=0) as verge:
            cost(checks, verge, d, given)
            guesses(checks, verge, ssl.create_default_context(cafile=authority.pem), given)
            checks("Verge still runs", verge.process.poll() is None, f"{verge.memory()[0] // 1024} MiB at the end")
        origin.terminate()
    checks.finish()


if __name__ == "__main__":
    main()
