#!/usr/bin/env python3
"""The share of requests, and of bytes, that the tiers answer of traces as a CDN sees them, beside other policies at the same sizes.

    python3 -m pip install libcachesim numpy
    cargo build --example ratios
    python3 integration/ratios/ratios.py target/debug/examples/ratios

Prints a table; `RESULTS.md` has one, and what follows from it. The stores are the real ones (`main.rs`), the other policies are
libcachesim's, on whole objects. The first half of a trace warms them up, the second is counted.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

import oracle
import traces

RAM = 256 << 20
SSD = 2 << 30

# What the stores are told: the share of RAM for chunks, what of a segment may be kept, and what is admitted to the SSD.
SETTINGS = {
    "always": ("0.25", "0.1", "always"),
    "second-hit": ("0.25", "0.1", "second-hit"),
}


def percent(ratios):
    return " / ".join(f"{100 * ratio:.1f}" for ratio in ratios)


def written(run):
    return f"{run['written_bytes'] / 2**30:.0f} GiB"


def row(cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def measure(program, name, halves):
    """Rows of a trace: of RAM, and of both tiers."""
    ours = {}
    for called, settings in SETTINGS.items():
        chunks, kept, rule = settings
        ran = subprocess.run([program, str(RAM), chunks, str(SSD), kept, rule, *halves], check=True, capture_output=True)
        ours[called] = json.loads(ran.stdout)
    for tier, size in (("ram", RAM), ("both", RAM + SSD)):
        others = [percent(oracle.ratios(policy, halves, size)) for policy in oracle.POLICIES]
        mine = [percent(run[tier]) for run in ours.values()]
        row([name, {"ram": "RAM", "both": "both"}[tier], *mine, *others, ", ".join(written(run) for run in ours.values() if tier == "both")])


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("program")
    args.add_argument("--requests", type=int, default=traces.REQUESTS, help="of each trace, from its middle on both sides")
    args.add_argument("--trace", action="append", choices=traces.TRACES)
    args = args.parse_args()
    row(["trace", "tier", *SETTINGS, *oracle.POLICIES, "written"])
    row(["---"] * (len(SETTINGS) + len(oracle.POLICIES) + 3))
    for name in args.trace or traces.TRACES:
        with tempfile.TemporaryDirectory() as folder:
            requests = traces.make(name)
            middle, half = len(requests) // 2, args.requests // 2
            halves = [str(pathlib.Path(folder) / part) for part in ("first", "second")]
            requests[middle - half : middle].tofile(halves[0])
            requests[middle : middle + half].tofile(halves[1])
            measure(args.program, name, halves)


if __name__ == "__main__":
    main()
