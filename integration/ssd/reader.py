#!/usr/bin/env python3
"""Reads the folder of an SSD store, by `src/store/ssd/FORMAT.md` alone. Prints what `verge store list --json` prints.

    python3 -m pip install xxhash
    python3 integration/ssd/reader.py FOLDER                 # the list
    python3 integration/ssd/reader.py FOLDER --records       # every record, a line of JSON each, with all that it says

Nothing is written. `compare.py` holds both readers against each other.
"""
import argparse
import fcntl
import json
import pathlib
import struct
import sys

import xxhash

MASK = 2**64 - 1
ALL_ONES = MASK
KINDS = {1: "heads", 2: "indexes", 3: "chunks", 4: "tombstones"}
BLOCK = 65536


def mix(value):
    value = (value + 0x9E3779B97F4A7C15) & MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def checksum(seed, content):
    return xxhash.xxh3_64_intdigest(content, seed)


def place(store, segment, at):
    return mix(mix(store["seed"] ^ segment) ^ at)


def numbers(layout, content, at=0):
    return struct.unpack_from("<" + layout, content, at)


def known(number):
    return None if number == ALL_ONES else number


# The superblock.


def superblock(folder):
    content = (folder / "superblock").read_bytes()
    for copy in (content[:4096], content[4096:8192]):
        if copy[8:16] == b"VrgStore" and numbers("I", copy, 16) == (1,) and numbers("Q", copy)[0] == checksum(0, copy[8:]):
            seed, size, reserved, starts, latest = numbers("QQQQQ", copy, 56)
            return {
                "number": copy[24:40],
                "secret": copy[40:56],
                "seed": seed,
                "size": size,
                "reserved": reserved,
                "starts": starts,
                "latest": latest,
            }
    sys.exit(f"{folder}: no copy of the superblock is right, or it is of another version")


# Segments.


def record_at(store, segment, content, at, whole):
    """The record that begins at `at`, or nothing."""
    if content[at + 8 : at + 12] != b"VRec" or len(content) < at + 80:
        return None
    kind = content[at + 12]
    name = content[at + 16 : at + 32]
    part, key, description, body = numbers("IIII", content, at + 32)
    epoch, generation, began, expires = numbers("QQQQ", content, at + 48)
    if kind not in KINDS or key > 128 << 10 or description > 1 << 20 or body > 2 << 20:
        return None
    key_at = at + 80 + 8 * -(-body // BLOCK)
    body_at = key_at + key + description
    if body_at + body > whole or numbers("Q", content, at)[0] != checksum(place(store, segment, at), content[at + 8 : body_at]):
        return None
    return {
        "kind": KINDS[kind],
        "name": int.from_bytes(name, "little"),
        "part": part,
        "key": content[key_at : key_at + key],
        "description": content[key_at + key : body_at],
        "body": content[body_at : body_at + body],
        "sums": numbers("Q" * -(-body // BLOCK), content, at + 80),
        "epoch": epoch,
        "generation": generation,
        "began": began,
        "expires": expires,
        "at": at,
        "length": -(-(body_at + body - at) // 64) * 64,
    }


def body_is_right(store, record):
    name = mix(store["seed"] ^ (record["name"] & MASK)) ^ (record["name"] >> 64)
    of = mix(name ^ record["generation"])
    blocks = [record["body"][at : at + BLOCK] for at in range(0, len(record["body"]), BLOCK)]
    seeds = [mix(of ^ (record["part"] << 32 | number)) for number in range(len(blocks))]
    return [checksum(seed, block) for seed, block in zip(seeds, blocks)] == list(record["sums"])


def summary(store, segment, content):
    """What a sealed segment tells of its records (what, offset, length), and the oldest epoch; nothing if it is not sealed."""
    at = len(content) - 64
    if at < 64 or content[at + 8 : at + 16] != b"VrgSeal." or numbers("Q", content, at)[0] != checksum(place(store, segment, at), content[at + 8 :]):
        return None
    begins, count, oldest, right = numbers("QQQQ", content, at + 16)
    entries = content[begins:at]
    if len(entries) != 32 * count or right != checksum(place(store, segment, begins), entries):
        return None
    told = []
    for entry in range(0, len(entries), 32):
        offset, length, _, kind = numbers("IIIB", entries, entry + 16)
        told.append((KINDS[kind], offset * 64, length * 64))
    return told, oldest, begins


def scan(store, segment, content):
    """The same of one that is not sealed, and how many bytes are no record."""
    told, oldest, at, others = [], ALL_ONES, 64, 0
    while at < len(content):
        record = record_at(store, segment, content, at, len(content))
        if record:
            told.append((record["kind"], at, record["length"]))
            oldest = min(oldest, record["epoch"])
            at += record["length"]
        else:
            at, others = at + 64, others + 64
    return told, oldest, others


def segment_of(store, path):
    content = path.read_bytes()
    segment = int(path.name.removeprefix("segment-"), 16)
    sealed = summary(store, segment, content)
    if sealed:
        told, oldest, end = sealed
        others = end - 64 - sum(length for _, _, length in told)
    else:
        told, oldest, others = scan(store, segment, content)
    header = content[:64]
    right = len(header) == 64 and header[8:16] == b"VrgSegmt" and numbers("I", header, 16) == (1,) and header[24:40] == store["number"]
    right = right and numbers("Q", header, 40) == (segment,) and numbers("Q", header)[0] == checksum(place(store, segment, 0), header[8:])
    listed = {
        "file": path.name,
        "state": "sealed" if sealed else "open",
        "bytes": len(content),
        "begun_milliseconds": numbers("Q", header, 48)[0] if right else None,
        "records": tallies(told),
        "oldest_epoch": known(oldest),
        "bytes_that_are_no_record": others,
    }
    return listed, segment, content, told


def tallies(told):
    of = {kind: {"count": 0, "bytes": 0} for kind in KINDS.values()}
    for kind, _, length in told:
        of[kind]["count"] += 1
        of[kind]["bytes"] += length
    return of


# The journal, and the checkpoint.


def journal(folder):
    path = folder / "purges"
    if not path.exists():
        return {"journal": "missing"}
    content = path.read_bytes()
    at, purges, forgotten = 0, {0: 0, 1: 0}, None
    while len(content) >= at + 40:
        kind, mode = content[at + 12], content[at + 13]
        number, length = numbers("QQ", content, at + 16)
        right = content[at + 8 : at + 12] == b"VrgP" and at + 40 + length <= len(content)
        if not right or numbers("Q", content, at)[0] != checksum(at, content[at + 8 : at + 40 + length]):
            break
        if (kind == 0) != (at == 0) or kind > 6:
            break
        if kind == 0:
            forgotten = number
        elif kind == 1:
            return {"journal": "right", "hard": purges[0], "soft": purges[1], "forgotten": forgotten}
        else:
            purges[mode] += 1
        at += -(-(40 + length) // 512) * 512
    return {"journal": "damaged"}


def checkpoint(store, folder):
    path = folder / "checkpoint"
    if not path.exists():
        return "missing"
    content = path.read_bytes()
    seed = store["seed"]
    head = content[:96]
    if len(head) < 96 or numbers("Q", head)[0] != checksum(seed, head[8:]) or head[8:16] != b"VrgChkpt":
        return "damaged"
    segment, offset, buckets, segments, table = numbers("QQQQQ", head, 40)
    at = 96 + 24 * segments
    if head[24:40] != store["number"] or table != checksum(seed, content[96:at]):
        return "damaged"
    for block, first in enumerate(range(0, buckets, 16384)):
        end = at + 64 * min(16384, buckets - first)
        of = mix(mix(seed ^ segment) ^ mix(offset) ^ block)
        if len(content) < end + 8 or numbers("Q", content, end)[0] != checksum(of, content[at:end]):
            return "damaged"
        at = end + 8
    return "right"


# What the cache writes.


def siphash(secret, content):
    """SipHash-1-3 with 128 bits."""
    k0, k1 = numbers("QQ", secret)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D ^ 0xEE, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def turn(word, by):
        return ((word << by) | (word >> (64 - by))) & MASK

    def rounds(count):
        for _ in range(count):
            v[0] = (v[0] + v[1]) & MASK
            v[1] = turn(v[1], 13) ^ v[0]
            v[0] = turn(v[0], 32)
            v[2] = (v[2] + v[3]) & MASK
            v[3] = turn(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & MASK
            v[3] = turn(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & MASK
            v[1] = turn(v[1], 17) ^ v[2]
            v[2] = turn(v[2], 32)

    padded = content + bytes(7 - len(content) % 8) + bytes([len(content) % 256])
    for (word,) in struct.iter_unpack("<Q", padded):
        v[3] ^= word
        rounds(1)
        v[0] ^= word
    v[2] ^= 0xEE
    rounds(3)
    low = v[0] ^ v[1] ^ v[2] ^ v[3]
    v[1] ^= 0xDD
    rounds(3)
    return low | (v[0] ^ v[1] ^ v[2] ^ v[3]) << 64


def named(secret, what, *parts, rest=b""):
    framed = b"".join(struct.pack("<I", len(part)) + part for part in parts)
    return siphash(secret, bytes([what]) + framed + rest)


def key_of(content):
    scheme, host, path = numbers("BII", content)
    query = content[9 + host + path :]
    parts = [content[9 : 9 + host], content[9 + host : 9 + host + path]] + ([query[1:]] if query else [])
    return scheme, parts


class Description:
    """Reads off the front of a description."""

    def __init__(self, content):
        self.content, self.at = content, 0

    def number(self, layout):
        (number,) = numbers(layout, self.content, self.at)
        self.at += struct.calcsize("<" + layout)
        return number

    def maybe(self):
        return known(self.number("Q"))

    def bytes(self, length):
        self.at += length
        if self.at > len(self.content):
            raise ValueError("a description ends too early")
        return self.content[self.at - length : self.at]

    def hash(self):
        return int.from_bytes(self.bytes(16), "little")

    def short(self):
        return self.bytes(self.number("H"))

    def long(self):
        return self.bytes(self.number("I"))

    def names(self):
        return [self.short().decode() for _ in range(self.number("H"))]

    def ended(self):
        if self.at != len(self.content):
            raise ValueError("a description goes on")


def version_of(content):
    read = Description(content)
    if read.number("B") != 1:
        raise ValueError("a description of another version")
    said = {
        "site": read.short().decode(),
        "tags": [f"{read.hash():032x}" for _ in range(read.number("I"))],
        "body": read.hash(),
        "in_chunks": read.maybe(),
        "status": read.number("H"),
        "place": read.number("Q"),
        "content_length": read.maybe(),
        "came": read.number("Q"),
        "initial_age": read.number("Q"),
        "lifetime": read.number("Q"),
        "stale_while_revalidate": read.maybe(),
        "stale_if_error": read.maybe(),
        "flags": read.number("B"),
        "vary": read.names(),
    }
    said["values"] = read.long() if said["vary"] else b""
    said["consumed"] = [(read.short().decode(), read.long().decode("latin-1")) for _ in range(read.number("I"))]
    said["head"] = read.long().decode("latin-1")
    read.ended()
    return said


def variants_of(content):
    read = Description(content)
    if read.number("B") != 1:
        raise ValueError("a description of another version")
    said = {"since": read.number("Q"), "vary": [read.names() for _ in range(read.number("H"))]}
    said["variants"] = [read.hash() for _ in range(read.number("H"))]
    read.ended()
    return said


def told_of(store, record):
    """All that a record says; fails if its name does not follow from its key."""
    told = {name: record[name] for name in ("kind", "part", "epoch", "generation", "at", "length")}
    told["body_is_right"] = body_is_right(store, record)
    if record["kind"] == "tombstones":
        return told
    scheme, parts = key_of(record["key"])
    told["url"] = ("http", "https")[scheme] + "://" + b"".join(parts[:2]).decode() + "".join("?" + query.decode() for query in parts[2:])
    key = named(store["secret"], scheme, *parts)
    if record["kind"] == "heads":
        said = version_of(record["description"])
        vary = [name.encode() for name in said["vary"]]
        variant = named(store["secret"], 3, key.to_bytes(16, "little"), *vary, rest=said["values"])
        said["values"], said["body"] = said["values"].hex(), f"{said['body']:032x}"
        told["name_is_right"] = record["name"] == (variant if vary else key)
        told.update(said)
    elif record["kind"] == "indexes":
        said = variants_of(record["description"])
        said["variants"] = [f"{variant:032x}" for variant in said["variants"]]
        told["name_is_right"] = record["name"] == key
        told.update(said)
    told["name"] = f"{record['name']:032x}"
    return told


def in_use(folder):
    try:
        with open(folder / "lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def listed(folder):
    store = superblock(folder)
    paths = sorted(path for path in folder.iterdir() if path.name.startswith("segment-") and len(path.name) == 24)
    segments = [segment_of(store, path) for path in paths]
    told = [record for _, _, _, records in segments for record in records]
    epochs = [segment["oldest_epoch"] for segment, *_ in segments if segment["oldest_epoch"] is not None]
    return {
        "format": 1,
        "store": f"{int.from_bytes(store['number'], 'little'):032x}",
        "in_use": in_use(folder),
        "size_bytes": store["size"],
        "starts": store["starts"],
        "latest_milliseconds": store["latest"],
        "epochs_reserved": store["reserved"],
        "oldest_epoch": min(epochs, default=None),
        "records": tallies(told),
        "purges": journal(folder),
        "checkpoint": checkpoint(store, folder),
        "segments": [segment for segment, *_ in segments],
    }


def records(folder):
    """All that every record says."""
    store = superblock(folder)
    for path in sorted(folder.glob("segment-" + 16 * "?")):
        _, segment, content, told = segment_of(store, path)
        for _, at, _ in told:
            record = record_at(store, segment, content, at, len(content))
            yield {"file": path.name, "at": at, "kind": "damaged"} if record is None else {"file": path.name} | told_of(store, record)


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("folder", type=pathlib.Path)
    args.add_argument("--records", action="store_true")
    args = args.parse_args()
    if args.records:
        for record in records(args.folder):
            print(json.dumps(record))
    else:
        print(json.dumps(listed(args.folder), indent=2))


if __name__ == "__main__":
    main()
