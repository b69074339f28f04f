"""Traces as a CDN sees them, from seeds. A trace is what is asked for, one request after the other: an object, and its size."""
import numpy

OBJECTS = 300_000
REQUESTS = 2_000_000
SMALL_AT_LEAST, SMALL_AT_MOST = 200, 256 * 1024
LARGE_AT_MOST = 32 * 1024 * 1024
LARGE_SHARE = 0.02

# libcachesim's `oracleGeneral`, which the Rust program reads as well.
REQUEST = numpy.dtype([("time", "<u4"), ("object", "<u8"), ("size", "<u4"), ("next", "<i8")])


def unit(objects, draw):
    """A number from 0 to 1 for each object, which follows from its own (splitmix64)."""
    with numpy.errstate(over="ignore"):
        value = objects.astype(numpy.uint64) * numpy.uint64(4) + numpy.uint64(draw) + numpy.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        value ^= value >> numpy.uint64(31)
    return (value >> numpy.uint64(11)).astype(float) / 2**53


def sizes(objects):
    """Log-normal, 12 KiB in the middle; and of one in fifty a heavy tail (Pareto, exponent 1.1) from 256 KiB on. In bytes."""
    normal = numpy.sqrt(-2 * numpy.log(1 - unit(objects, 0))) * numpy.cos(2 * numpy.pi * unit(objects, 1))
    small = (12 * 1024 * numpy.exp(1.3 * normal)).clip(SMALL_AT_LEAST, SMALL_AT_MOST)
    large = (SMALL_AT_MOST * (1 - unit(objects, 2)) ** (-1 / 1.1)).clip(SMALL_AT_MOST + 1, LARGE_AT_MOST)
    return numpy.where(unit(objects, 3) < LARGE_SHARE, large, small).astype(numpy.uint32)


def zipf(random, exponent, requests=REQUESTS):
    """Ranks, from 0."""
    upto = numpy.cumsum(numpy.arange(1, OBJECTS + 1) ** -float(exponent))
    return numpy.searchsorted(upto, random.random(requests) * upto[-1]).astype(numpy.uint64)


def popular(exponent):
    return zipf(numpy.random.default_rng(int(exponent * 10)), exponent)


def one_hit_wonders():
    """Zipf 1.0, and so many objects that are asked for once that they are six of ten of all objects."""
    random = numpy.random.default_rng(60)
    asked = zipf(random, 1.0)
    others = len(numpy.unique(asked, return_counts=True)[0])
    wonders = others * 3 // 2
    at = random.choice(REQUESTS, wonders, replace=False)
    asked[at] = numpy.arange(wonders) + OBJECTS
    return asked


def scans():
    """Zipf 1.0, and three times somebody who goes through 60,000 other objects, as every second request."""
    random = numpy.random.default_rng(70)
    asked = zipf(random, 1.0)
    for scan, begin in enumerate([0.3, 0.6, 0.8]):
        at = int(begin * REQUESTS) + 2 * numpy.arange(60_000)
        asked[at] = OBJECTS + scan * 60_000 + numpy.arange(60_000)
    return asked


def shifting():
    """Zipf 1.0; with each tenth of the trace one popular object in five, of the first 3,000, changes places with one that was not."""
    random = numpy.random.default_rng(80)
    asked = zipf(random, 1.0)
    object_of = numpy.arange(OBJECTS, dtype=numpy.uint64)
    for part in numpy.array_split(numpy.arange(REQUESTS), 10):
        asked[part] = object_of[asked[part]]
        falls = random.choice(3_000, 600, replace=False)
        rises = 3_000 + random.choice(OBJECTS - 3_000, 600, replace=False)
        object_of[falls], object_of[rises] = object_of[rises].copy(), object_of[falls].copy()
    return asked


TRACES = {
    "Zipf 0.8": lambda: popular(0.8),
    "Zipf 1.0": lambda: popular(1.0),
    "Zipf 1.2": lambda: popular(1.2),
    "one-hit wonders": one_hit_wonders,
    "scans": scans,
    "shifting": shifting,
}


def make(name):
    """The requests of a trace, 1,000 of them a second."""
    asked = TRACES[name]()
    # What is popular and what is large have nothing to do with each other: ranks are spread over the objects.
    with numpy.errstate(over="ignore"):
        objects = asked * numpy.uint64(0x9E3779B97F4A7C15) + numpy.uint64(1)
    requests = numpy.zeros(len(asked), REQUEST)
    requests["time"] = numpy.arange(len(asked)) // 1000
    requests["object"] = objects
    requests["size"] = sizes(objects)
    requests["next"] = -2
    return requests
