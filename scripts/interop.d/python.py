"""The peers of the interop matrix on Python's websockets: an echo server, and a client that judges ours.

python.py server                  what it understands: examples/conformance/client/interop.rs
python.py client URL SERVER PID   SERVER is what to call the server at URL, PID is its process, which is stopped in the end

$INTEROP_TLS, if set, is a directory with ca.pem, chain.pem and key.pem: the server is over TLS then, as a client to wss:// is.
"""

import asyncio
import os
import random
import signal
import ssl
import sys

import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

NAME = f"python-websockets {websockets.__version__}"
MULTIBYTE = "Grüße, 世界, مرحبا, 🐟"
MEGABYTE = 1024 * 1024
PATIENCE = 25


TLS = os.environ.get("INTEROP_TLS")


def tls(server):
    """The context of a server, or of a client."""
    if server:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(f"{TLS}/chain.pem", f"{TLS}/key.pem")
        return context
    return ssl.create_default_context(cafile=f"{TLS}/ca.pem")


def opened(url, **options):
    return connect(url, ssl=tls(False) if url.startswith("wss:") else None, **options)


async def close(socket, code=None, reason=""):
    """Closes with a code, or without one, for which the library has no public call."""
    if code is not None:
        return await socket.close(code, reason)
    try:
        async with socket.send_context():
            socket.protocol.send_close()
    except ConnectionClosed:
        pass


# The server.

closed = {}  # path -> future of what came in the peer's Close


async def answer(socket):
    ended = closed[socket.request.path] = asyncio.get_running_loop().create_future()
    try:
        async for message in socket:
            command, _, rest = message.partition(" ") if isinstance(message, str) else (None, None, None)
            if command == "name":
                await socket.send(NAME)
            elif command == "close":
                code, _, reason = rest.partition(" ")
                await close(socket, int(code) if code else None, reason)
            elif command == "ping":
                await (await socket.ping(rest))
                await socket.send(f"pong {rest}")
            elif command == "fragments":
                await socket.send((bytes([byte]) for byte in rest.encode()), text=True)
            elif command == "closed":
                await socket.send(await asyncio.shield(closed[rest]))
            else:
                await socket.send(message)
    except ConnectionClosed:
        pass
    await socket.wait_closed()
    ended.set_result(f"{socket.close_code} {socket.close_reason}")


async def server():
    async with serve(answer, "127.0.0.1", 0, ssl=tls(True) if TLS else None, max_size=32 * MEGABYTE, subprotocols=["interop"],
                     select_subprotocol=lambda _, offered: "interop" if "interop" in offered else None) as listening:
        print(f"listening on {'wss' if TLS else 'ws'}://127.0.0.1:{listening.sockets[0].getsockname()[1]}", flush=True)
        await listening.serve_forever()


# The client.


def same(got, expected):
    if got != expected:
        raise AssertionError(f"{got!r:.60} instead of {expected!r:.60}")


async def closes(socket, code, reason=""):
    """Expects the server's Close, and a clean end."""
    try:
        raise AssertionError(f"{await socket.recv()!r:.60} instead of a Close")
    except ConnectionClosed:
        same((socket.close_code, socket.close_reason), (code, reason))


async def echo(socket, message, sent=None):
    await socket.send(message if sent is None else sent, text=isinstance(message, str))
    same(await socket.recv(), message)


async def many(socket):
    for number in range(1000):
        await socket.send(f"message {number}")
    for number in range(1000):
        same(await socket.recv(), f"message {number}")


async def ping(socket, payload):
    """The library takes a pong for an answer only if it brings the ping's payload back."""
    await (await socket.ping(payload))


async def close_with(socket, code=None, reason=""):
    await close(socket, code, reason)
    await closes(socket, 1005 if code is None else code)


async def compressed(socket, server):
    """Messages of 0 B to 8 MiB, that compress well and not at all, on a connection that keeps its context."""
    same("permessage-deflate" in socket.request.headers["Sec-WebSocket-Extensions"], True)
    taken = socket.response.headers.get_all("Sec-WebSocket-Extensions")
    same([header.split(";")[0] for header in taken], [] if "--no-deflate" in server else ["permessage-deflate"])
    for size in [0, 1, 125, 126, 1000, 65_535, 65_536, MEGABYTE, 8 * MEGABYTE]:
        await echo(socket, ('{"name": "%s"}, ' % MULTIBYTE * (1 + size // 40))[:size])
        await echo(socket, random.randbytes(size))


def cases(server):
    for name, message in [
        ("text", "hello"), ("multibyte text", MULTIBYTE), ("emoji", "🐟👩‍🚀🏳️‍🌈"), ("empty text", ""),
        ("1 MiB of text", MULTIBYTE * (1 + MEGABYTE // 35)), ("binary", bytes(range(256))), ("empty binary", b""),
        ("1 MiB of binary", bytes(range(256)) * (MEGABYTE // 256)),
    ]:
        yield name, lambda socket, message=message: echo(socket, message)
    yield "1000 messages", many
    fragments = [bytes([byte]) for byte in MULTIBYTE.encode()]
    yield "fragments, text", lambda socket: echo(socket, MULTIBYTE, fragments)
    yield "fragments, binary", lambda socket: echo(socket, MULTIBYTE.encode(), fragments)
    for name, payload in [("a ping", b"payload"), ("an empty ping", b""), ("a full ping", b"p" * 125)]:
        yield name, lambda socket, payload=payload: ping(socket, payload)
    for code in [1000, 1001, 1008, 1011, 3000, 4999]:
        yield f"close with {code}", lambda socket, code=code: close_with(socket, code, "because of this: 🐟")
    yield "close with a full reason", lambda socket: close_with(socket, 4000, "r" * 123)
    yield "close without a code", close_with
    yield "compression", lambda socket: compressed(socket, server)


async def run(url, case):
    async with opened(url, ping_interval=None, max_size=32 * MEGABYTE) as socket:
        await case(socket)
        if socket.close_code is None:
            await close_with(socket, 1000)


async def stopped(url, pid):
    async with opened(url) as socket:
        await echo(socket, "hello")
        os.kill(int(pid), signal.SIGTERM)
        await closes(socket, 1001, "server is stopping")


async def client(url, server, pid):
    ok = count = 0
    for name, result in [(name, run(url, case)) for name, case in cases(server)] + [("the server stops", stopped(url, pid))]:
        count += 1
        try:
            await asyncio.wait_for(result, PATIENCE)
            ok += 1
        except Exception as error:
            print(f"  {NAME} client, {server} server: {name}: {error or type(error).__name__}")
    print(f"interop: {NAME} client, {server} server: {ok} of {count} ok")
    return ok != count


sys.exit(asyncio.run({"server": server, "client": client}[sys.argv[1]](*sys.argv[2:])))
