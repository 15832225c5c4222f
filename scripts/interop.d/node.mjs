// The peers of the interop matrix on Node's ws: an echo server, and a client that judges ours.
//
// node.mjs server                  what it understands: examples/conformance/client/interop.rs
// node.mjs client URL SERVER PID   SERVER is what to call the server at URL, PID is its process, which is stopped in the end
//
// NODE_MODULES is where ws is installed. INTEROP_TLS, if set, is a directory with chain.pem and key.pem: the server is over TLS
// then. Whom a client trusts is NODE_EXTRA_CA_CERTS.

import { deepStrictEqual } from "node:assert";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer as createPlain } from "node:http";
import { createServer as createSecure } from "node:https";
import { createRequire } from "node:module";
import process from "node:process";

const load = createRequire(`${process.env.NODE_MODULES}/`);
const WebSocket = load("ws");
const NAME = `node-ws ${load("ws/package.json").version}`;

const MULTIBYTE = "Grüße, 世界, مرحبا, 🐟";
const MEGABYTE = 1024 * 1024;
const PATIENCE = 25000;

/** Sends a message, each byte in a frame of its own. */
function sendFragments(socket, payload, binary) {
  const bytes = Buffer.from(payload);
  bytes.forEach((_, i) => socket.send(bytes.subarray(i, i + 1), { binary, fin: i === bytes.length - 1 }));
}

// The server.

async function server() {
  const closed = new Map(); // path -> promise of what came in the peer's Close
  const handleProtocols = (offered) => offered.has("interop") && "interop";
  const tls = process.env.INTEROP_TLS;
  const read = (name) => readFileSync(`${tls}/${name}.pem`);
  const http = tls ? createSecure({ cert: read("chain"), key: read("key") }) : createPlain();
  const server = new WebSocket.Server({ server: http, perMessageDeflate: true, handleProtocols });
  server.on("connection", (socket, request) => {
    closed.set(request.url, once(socket, "close").then(([code, reason]) => `${code} ${reason}`));
    socket.on("error", () => {}); // The close event follows.
    socket.on("message", async (message, binary) => {
      const [, command, rest] = binary ? [] : /^(\w*) ?(.*)$/s.exec(message);
      if (command === "name") socket.send(NAME);
      else if (command === "close" && rest === "") socket.close();
      else if (command === "close") socket.close(Number(rest.slice(0, 4)), rest.slice(5));
      else if (command === "ping") {
        socket.once("pong", (payload) => socket.send(`pong ${payload}`));
        socket.ping(rest);
      } else if (command === "fragments") sendFragments(socket, rest, false);
      else if (command === "closed") socket.send(await closed.get(rest));
      else socket.send(message, { binary });
    });
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  console.log(`listening on ${tls ? "wss" : "ws"}://127.0.0.1:${http.address().port}`);
}

// The client.

/** Opens a connection, on which messages are waited for one by one. */
async function open(url) {
  const socket = new WebSocket(url);
  const messages = [];
  const waiting = [];
  socket.on("message", (data, binary) => {
    const message = binary ? data : data.toString();
    waiting.length ? waiting.shift()(message) : messages.push(message);
  });
  socket.next = async () => messages.shift() ?? new Promise((resolve) => waiting.push(resolve));
  socket.ended = new Promise((resolve) => socket.on("close", (code, reason) => resolve([code, reason.toString()])));
  socket.on("upgrade", (response) => (socket.extensionsTaken = response.headers["sec-websocket-extensions"]));
  await once(socket, "open");
  return socket;
}

async function echo(socket, message) {
  socket.send(message);
  deepStrictEqual(await socket.next(), message);
}

async function fragments(socket, message) {
  sendFragments(socket, message, typeof message !== "string");
  deepStrictEqual(await socket.next(), message);
}

async function many(socket) {
  const messages = Array.from({ length: 1000 }, (_, number) => `message ${number}`);
  messages.forEach((message) => socket.send(message));
  for (const message of messages) deepStrictEqual(await socket.next(), message);
}

async function ping(socket, payload) {
  socket.ping(payload);
  deepStrictEqual((await once(socket, "pong"))[0].toString(), payload);
}

async function closeWith(socket, code, reason) {
  socket.close(code, reason);
  deepStrictEqual(await socket.ended, [code ?? 1005, ""]);
}

/** Messages of 0 B to 8 MiB, that compress well and not at all, on a connection that keeps its context. */
async function compressed(socket, server) {
  const name = server.includes("--no-deflate") ? "" : "permessage-deflate";
  deepStrictEqual([(socket.extensionsTaken ?? "").split(";")[0], socket.extensions], [name, name]);
  for (const size of [0, 1, 125, 126, 1000, 65535, 65536, MEGABYTE, 8 * MEGABYTE]) {
    await echo(socket, `{"name": "a name"}, `.repeat(1 + size / 19).slice(0, size));
    await echo(socket, randomBytes(size));
  }
}

async function stopped(socket, pid) {
  await echo(socket, "hello");
  process.kill(pid, "SIGTERM");
  deepStrictEqual(await socket.ended, [1001, "server is stopping"]);
}

function cases(server, pid) {
  const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const messages = {
    "text": "hello", "multibyte text": MULTIBYTE, "emoji": "🐟👩‍🚀🏳️‍🌈", "empty text": "",
    "1 MiB of text": MULTIBYTE.repeat(1 + MEGABYTE / 35), "binary": all, "empty binary": Buffer.alloc(0),
    "1 MiB of binary": Buffer.alloc(MEGABYTE, all),
  };
  return {
    ...Object.fromEntries(Object.entries(messages).map(([name, message]) => [name, (socket) => echo(socket, message)])),
    "1000 messages": many,
    "fragments, text": (socket) => fragments(socket, MULTIBYTE),
    "fragments, binary": (socket) => fragments(socket, Buffer.from(MULTIBYTE)),
    "a ping": (socket) => ping(socket, "payload"),
    "an empty ping": (socket) => ping(socket, ""),
    "a full ping": (socket) => ping(socket, "p".repeat(125)),
    ...Object.fromEntries([1000, 1001, 1008, 1011, 3000, 4999].map((code) =>
      [`close with ${code}`, (socket) => closeWith(socket, code, "because of this: 🐟")])),
    "close with a full reason": (socket) => closeWith(socket, 4000, "r".repeat(123)),
    "close without a code": (socket) => closeWith(socket),
    "compression": (socket) => compressed(socket, server),
    "the server stops": (socket) => stopped(socket, pid),
  };
}

async function run(url, judge) {
  const socket = await open(url);
  await judge(socket);
  if (socket.readyState === WebSocket.OPEN) await closeWith(socket, 1000);
}

async function client(url, server, pid) {
  let ok = 0;
  const all = Object.entries(cases(server, Number(pid)));
  for (const [name, judge] of all) {
    let timer;
    const late = new Promise((_, reject) => (timer = setTimeout(reject, PATIENCE, new Error("it took too long"))));
    try {
      await Promise.race([run(url, judge), late]);
      ok++;
    } catch (error) {
      console.log(`  ${NAME} client, ${server} server: ${name}: ${error.message.replace(/\s+/g, " ").slice(0, 200)}`);
    }
    clearTimeout(timer);
  }
  console.log(`interop: ${NAME} client, ${server} server: ${ok} of ${all.length} ok`);
  process.exit(ok === all.length ? 0 : 1);
}

const [role, ...rest] = process.argv.slice(2);
await { server, client }[role](...rest);
