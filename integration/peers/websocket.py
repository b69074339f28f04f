#!/usr/bin/env python3
"""Shows that WebSocket passes over TLS: text, binary, large messages, pings, closing codes, 100 connections at once.

    apt-get install -y openssl && pip install websockets
    python3 integration/peers/websocket.py --verge target/release/verge

The package `websockets` is both the client and the origin, behind a route with `upgrade = true`.
"""
import asyncio
import contextlib
import pathlib
import ssl
import time

import websockets.asyncio.client
import websockets.asyncio.server
import websockets.exceptions

from edge import Authority, Checks, Verge, arguments, body, folder

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
[[sites.routes]]
path = "/socket*"
upgrade = true
"""
LARGEST = 8 << 20


async def origin(socket):
    """Sends back what comes; closes as it is told to."""
    with contextlib.suppress(websockets.exceptions.ConnectionClosed):
        await echo(socket)


async def echo(socket):
    async for message in socket:
        if isinstance(message, str) and message.startswith("close "):
            await socket.close(int(message.split()[1]), "as asked")
        elif message == "ping me":
            await (await socket.ping(b"from the origin"))
            await socket.send("pinged")
        else:
            await socket.send(message)


async def one_of_many(connect, number):
    """Ten echoes on a connection of its own."""
    async with connect() as socket:
        for turn in range(10):
            sent = f"{number} {turn} ".encode() + body(1000)
            await socket.send(sent)
            if await socket.recv() != sent:
                return False
    return True


async def check(checks, connect, refused):
    async with connect() as socket:
        await socket.send("text: äöü 日本")
        checks("text comes back", await socket.recv() == "text: äöü 日本")
        for size in 0, 1, 125, 126, 65535, 65536, 1 << 20, 5 << 20:
            await socket.send(body(size))
            checks(f"{size} bytes come back", await socket.recv() == body(size))
        large = body(1 << 20)
        await socket.send([large[at:at + 10000] for at in range(0, len(large), 10000)])
        checks("1 MiB in fragments comes back", await socket.recv() == large)
        began = time.monotonic()
        await (await socket.ping(b"from the client"))
        checks("the client's ping is answered", True, f"{(time.monotonic() - began) * 1000:.1f} ms")
        await socket.send("ping me")
        checks("the origin's ping is answered", await socket.recv() == "pinged")
        for number in range(1000):
            await socket.send(str(number))
        checks("1,000 messages in order", [await socket.recv() for _ in range(1000)] == [str(n) for n in range(1000)])
        await asyncio.sleep(2)
        await socket.send("after silence")
        checks("a connection that was silent for 2 s goes on", await socket.recv() == "after silence")
    checks("the client's closing is answered", socket.close_code == 1000)
    for code in 1000, 1001, 1011, 4321:
        async with connect() as socket:
            await socket.send(f"close {code}")
            try:
                await socket.recv()
            except websockets.exceptions.ConnectionClosed as closed:
                checks(f"the origin's code {code} comes through", closed.rcvd and closed.rcvd.code == code
                       and closed.rcvd.reason == "as asked")
    answers = await asyncio.gather(*(one_of_many(connect, number) for number in range(100)), return_exceptions=True)
    checks("100 connections at once, ten messages each", answers.count(True) == 100,
           ", ".join({repr(answer) for answer in answers if answer is not True}))
    try:
        async with refused():
            checks("no upgrade where the route does not allow it", False)
    except websockets.exceptions.InvalidStatus as error:
        checks("no upgrade where the route does not allow it", error.response.status_code != 101,
               f"{error.response.status_code}")


async def run(given, checks, d):
    authority = Authority(d, "ca")
    cert, key = authority.sign("www", ["www.test"])
    async with websockets.asyncio.server.serve(origin, "127.0.0.1", 0, max_size=LARGEST) as server:
        port = server.sockets[0].getsockname()[1]
        with Verge(given.verge, d, CONFIG.format(cert=cert, key=key, origin=port)) as verge:
            def connect(path="/socket"):
                return websockets.asyncio.client.connect(
                    f"wss://www.test:{verge.ports[0]}{path}", host="127.0.0.1", port=verge.ports[0], max_size=LARGEST,
                    ssl=ssl.create_default_context(cafile=authority.pem), server_hostname="www.test", proxy=None)
            await asyncio.wait_for(check(checks, connect, lambda: connect("/elsewhere")), 120)
            checks("Verge still runs", verge.process.poll() is None)


def main():
    given = arguments(__doc__)
    checks = Checks()
    with folder() as d:
        asyncio.run(run(given, checks, pathlib.Path(d)))
    checks.finish()


if __name__ == "__main__":
    main()
