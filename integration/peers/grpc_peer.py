#!/usr/bin/env python3
"""Shows that gRPC passes: every kind of call, errors, metadata, deadlines, large messages, 1,000 calls at once.

    apt-get install -y openssl && pip install grpcio
    python3 integration/peers/grpc_peer.py --verge target/release/verge

The package `grpcio` is both the client and the origin, with bytes as messages. All is done over TLS and over clear text.
"""
import concurrent.futures
import pathlib
import queue
import threading
import time

import grpc

from edge import Authority, Checks, Verge, arguments, body, folder

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
[origins.app]
servers = ["http://127.0.0.1:{origin}"]
protocol = "h2"
[[sites]]
hosts = ["www.test"]
origin = "app"
cache = false
"""
LARGEST = [("grpc.max_receive_message_length", 8 << 20), ("grpc.max_send_message_length", 8 << 20)]
RICH = b"\x08\x05\x12\x05wrong"


class Origin:
    """A service of bytes."""

    def __init__(self):
        self.cancelled, self.running = threading.Event(), threading.Event()
        kinds = {"Echo": (grpc.unary_unary_rpc_method_handler, self.echo),
                 "Fail": (grpc.unary_unary_rpc_method_handler, self.fail),
                 "Late": (grpc.unary_stream_rpc_method_handler, self.late),
                 "Hang": (grpc.unary_unary_rpc_method_handler, self.hang),
                 "Slow": (grpc.unary_unary_rpc_method_handler, self.slow),
                 "Count": (grpc.unary_stream_rpc_method_handler, self.count),
                 "Sum": (grpc.stream_unary_rpc_method_handler, self.sum),
                 "Talk": (grpc.stream_stream_rpc_method_handler, self.talk)}
        handlers = {name: make(method) for name, (make, method) in kinds.items()}
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(64), options=LARGEST)
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Peer", handlers)])
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def echo(self, request, context):
        given = dict(context.invocation_metadata())
        context.send_initial_metadata([("x-first", given.get("x-ask", "none"))])
        context.set_trailing_metadata([("x-last", "end"), ("x-last-bin", given.get("x-ask-bin", b"none"))])
        return request

    def fail(self, _, context):
        context.set_trailing_metadata([("grpc-status-details-bin", RICH)])
        context.abort(grpc.StatusCode.NOT_FOUND, "nothing here: 100 % ä")

    def late(self, _, context):
        yield b"one"
        yield b"two"
        context.abort(grpc.StatusCode.DATA_LOSS, "after two")

    def hang(self, _, context):
        context.add_callback(self.cancelled.set)
        self.running.set()
        self.cancelled.wait(20)
        return b"too late"

    def slow(self, request, _):
        time.sleep(0.01)
        return request

    def count(self, request, _):
        for number in range(int(request)):
            yield b"%d" % number

    def sum(self, requests, _):
        return b"%d" % sum(map(len, requests))

    def talk(self, requests, _):
        for request in requests:
            yield b"heard " + request


def check(checks, how, channel, origin):
    def call(name, kind="unary_unary"):
        return getattr(channel, kind)(f"/test.Peer/{name}")

    checks(f"{how}: unary", call("Echo")(b"hello", timeout=10) == b"hello")
    checks(f"{how}: an empty message", call("Echo")(b"", timeout=10) == b"")
    _, told = call("Echo").with_call(b"x", timeout=10, metadata=[("x-ask", "asked"), ("x-ask-bin", bytes(range(256)))])
    last = dict(told.trailing_metadata())
    checks(f"{how}: metadata both ways", dict(told.initial_metadata())["x-first"] == "asked"
           and last["x-last"] == "end" and last["x-last-bin"] == bytes(range(256)))
    got = list(call("Count", "unary_stream")(b"10000", timeout=30))
    checks(f"{how}: 10,000 messages from the server", got == [b"%d" % number for number in range(10000)])
    got = call("Sum", "stream_unary")((b"x" * 1000 for _ in range(5000)), timeout=30)
    checks(f"{how}: 5,000 messages from the client", got == b"5000000", got.decode())

    to_send, heard = queue.SimpleQueue(), 0
    talk = call("Talk", "stream_stream")(iter(to_send.get, None), timeout=30)
    for number in range(200):
        to_send.put(b"%d" % number)
        heard += next(talk) == b"heard %d" % number
    to_send.put(None)
    checks(f"{how}: 200 messages back and forth, each after the other's", heard == 200 and list(talk) == [])

    try:
        call("Fail")(b"x", timeout=10)
        checks(f"{how}: an error", False, "it was answered")
    except grpc.RpcError as error:
        checks(f"{how}: an error without a message, its text and details", error.code() == grpc.StatusCode.NOT_FOUND
               and error.details() == "nothing here: 100 % ä"
               and dict(error.trailing_metadata())["grpc-status-details-bin"] == RICH, str(error.code()))
    got = []
    try:
        for message in call("Late", "unary_stream")(b"x", timeout=10):
            got.append(message)
    except grpc.RpcError as error:
        checks(f"{how}: an error after two messages", error.code() == grpc.StatusCode.DATA_LOSS
               and got == [b"one", b"two"], str(error.code()))
    try:
        call("Missing")(b"x", timeout=10)
    except grpc.RpcError as error:
        checks(f"{how}: no such method", error.code() == grpc.StatusCode.UNIMPLEMENTED, str(error.code()))

    for name in "deadline", "cancellation":
        origin.cancelled.clear()
        origin.running.clear()
        began = time.monotonic()
        hang = call("Hang").future(b"x", timeout=1 if name == "deadline" else 30)
        origin.running.wait(10)
        if name == "cancellation":
            began = time.monotonic()
            hang.cancel()
        else:
            checks(f"{how}: the deadline is kept", hang.code() == grpc.StatusCode.DEADLINE_EXCEEDED,
                   f"{time.monotonic() - began:.2f} s")
        reached = origin.cancelled.wait(3)
        checks(f"{how}: {name} reaches the server", reached, f"after {time.monotonic() - began:.2f} s")
        origin.cancelled.set()

    large = body(4 << 20)
    checks(f"{how}: 4 MiB there and back", call("Echo")(large, timeout=30) == large)
    began = time.monotonic()
    calls = [call("Slow").future(b"%d" % number, timeout=60) for number in range(1000)]
    right = sum(future.exception() is None and future.result() == b"%d" % number for number, future in enumerate(calls))
    codes = {str(future.code()) for future in calls}
    checks(f"{how}: 1,000 calls at once", right == 1000,
           f"{right} answered in {time.monotonic() - began:.2f} s, {', '.join(codes)}")


def main():
    given = arguments(__doc__)
    checks = Checks()
    with folder() as name:
        d = pathlib.Path(name)
        authority = Authority(d, "ca")
        cert, key = authority.sign("www", ["www.test"])
        origin = Origin()
        with Verge(given.verge, d, CONFIG.format(cert=cert, key=key, origin=origin.port)) as verge:
            clear, tls = (f"127.0.0.1:{port}" for port in verge.ports)
            options = [*LARGEST, ("grpc.default_authority", "www.test"), ("grpc.enable_http_proxy", 0)]
            trusted = grpc.ssl_channel_credentials(authority.pem.read_bytes())
            over_tls = [*options, ("grpc.ssl_target_name_override", "www.test")]
            with grpc.secure_channel(tls, trusted, options=over_tls) as channel:
                check(checks, "TLS", channel, origin)
            with grpc.insecure_channel(clear, options=options) as channel:
                check(checks, "h2c", channel, origin)
            checks("Verge still runs", verge.process.poll() is None)
        origin.server.stop(None)
    checks.finish()


if __name__ == "__main__":
    main()
