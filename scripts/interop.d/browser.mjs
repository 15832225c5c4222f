// A browser as a client of the interop matrix: headless Chromium.
//
// browser.mjs client URL SERVER PID   SERVER is what to call the server at URL, PID is its process, which is stopped in the end
//
// NODE_MODULES is where playwright-core is installed, CHROMIUM is the browser.
//
// A page cannot choose fragments (though Chromium makes some of a megabyte), nor see or send pings, nor close with codes
// other than 1000 and 3000 to 4999; and it cannot help offering permessage-deflate.

import { createRequire } from "node:module";
import process from "node:process";

const { chromium } = createRequire(`${process.env.NODE_MODULES}/`)("playwright-core");

/** Runs in the page: yields the name of each case, and what is wrong with it or null. */
async function judge({ url, patience, isCompressed }) {
  const MULTIBYTE = "Grüße, 世界, مرحبا, 🐟";
  const MEGABYTE = 1024 * 1024;
  const bytes = (length) => Uint8Array.from({ length }, (_, i) => i);
  const plain = (data) => (typeof data === "string" ? data : Array.from(new Uint8Array(data)).join());
  const same = (got, expected) => {
    if (got !== expected) throw new Error(`${String(got).slice(0, 60)} instead of ${String(expected).slice(0, 60)}`);
  };

  /** Opens a connection, on which messages are waited for one by one. */
  const open = async () => {
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    const messages = [];
    const waiting = [];
    socket.onmessage = ({ data }) => (waiting.length ? waiting.shift()(data) : messages.push(data));
    socket.next = async () => messages.shift() ?? new Promise((resolve) => waiting.push(resolve));
    socket.ended = new Promise((resolve) => (socket.onclose = ({ code, reason, wasClean }) => resolve(`${code} ${reason} ${wasClean}`)));
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error("it did not open"));
    });
    return socket;
  };
  const close = async (socket, code, reason) => {
    if (code === undefined) socket.close();
    else socket.close(code, reason);
    same(await socket.ended, `${code ?? 1005}  true`);
  };
  const echo = async (socket, message) => {
    socket.send(message);
    same(plain(await socket.next()), plain(message));
  };

  const messages = {
    "text": "hello", "multibyte text": MULTIBYTE, "emoji": "🐟👩‍🚀🏳️‍🌈", "empty text": "",
    "1 MiB of text": MULTIBYTE.repeat(1 + MEGABYTE / 35), "binary": bytes(256), "empty binary": bytes(0),
    "1 MiB of binary": bytes(MEGABYTE),
  };
  const cases = Object.entries(messages).map(([name, message]) => [name, (socket) => echo(socket, message)]);
  cases.push(["a Blob", async (socket) => {
    socket.send(new Blob([bytes(256)]));
    same(plain(await socket.next()), plain(bytes(256)));
  }]);
  cases.push(["1000 messages", async (socket) => {
    for (let i = 0; i < 1000; i++) socket.send(`message ${i}`);
    for (let i = 0; i < 1000; i++) same(await socket.next(), `message ${i}`);
  }]);
  for (const code of [1000, 3000, 4999]) {
    cases.push([`close with ${code}`, (socket) => close(socket, code, "because of this: 🐟")]);
  }
  cases.push(["close with a full reason", (socket) => close(socket, 4000, "r".repeat(123))]);
  cases.push(["close without a code", (socket) => close(socket)]);
  cases.push(["compression", async (socket) => {
    same(socket.extensions.split(";")[0], isCompressed ? "permessage-deflate" : "");
    for (const size of [0, 1, 125, 126, 1000, 65535, 65536, MEGABYTE, 8 * MEGABYTE]) {
      const message = `{"name": "a name"}, `.repeat(1 + size / 19).slice(0, size);
      socket.send(message);
      same(await socket.next(), message);
      const noise = new Uint8Array(size);
      for (let at = 0; at < size; at += 65536) crypto.getRandomValues(noise.subarray(at, at + 65536));
      socket.send(noise);
      const got = new Uint8Array(await socket.next());
      same(got.length === size && got.every((byte, at) => byte === noise[at]), true);
    }
  }]);
  cases.push(["the server stops", async (socket) => {
    await echo(socket, "hello");
    await stopServer();
    same(await socket.ended, "1001 server is stopping true");
  }]);

  const run = async (judge) => {
    const socket = await open();
    await judge(socket);
    if (socket.readyState === WebSocket.OPEN) await close(socket, 1000);
    return null;
  };
  const results = [];
  for (const [name, judge] of cases) {
    const late = new Promise((resolve) => setTimeout(resolve, patience, "it took too long"));
    results.push([name, await Promise.race([run(judge).catch((error) => error.message), late])]);
  }
  return results;
}

const [, url, server, pid] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, timeout: 30_000 });
const NAME = `chromium ${browser.version()}`;
let results;
try {
  const page = await browser.newPage();
  await page.exposeFunction("stopServer", () => { process.kill(Number(pid), "SIGTERM"); });
  results = await page.evaluate(judge, { url, patience: 25000, isCompressed: !server.includes("--no-deflate") });
} finally {
  await browser.close();
}
const failed = results.filter(([, error]) => error !== null);
for (const [name, error] of failed) console.log(`  ${NAME} client, ${server} server: ${name}: ${error}`);
console.log(`interop: ${NAME} client, ${server} server: ${results.length - failed.length} of ${results.length} ok`);
process.exitCode = failed.length === 0 ? 0 : 1;
