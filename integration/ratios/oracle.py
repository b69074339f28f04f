"""What other policies make of a trace: libcachesim's, on whole objects."""
import libcachesim

POLICIES = {"S3-FIFO": libcachesim.S3FIFO, "LRU": libcachesim.LRU, "W-TinyLFU": libcachesim.WTinyLFU}


def ratios(policy, halves, size):
    """Hits of objects and of bytes with a cache of `size` bytes, of the second of two files; the first warms it up."""
    cache = POLICIES[policy](size)
    for half in halves:
        reader = libcachesim.TraceReader(str(half), libcachesim.TraceType.ORACLE_GENERAL_TRACE)
        missed_objects, missed_bytes = cache.process_trace(reader)
    return 1 - missed_objects, 1 - missed_bytes
