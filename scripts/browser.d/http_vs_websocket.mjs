// Judges the page that shows HTTP polling beside a WebSocket: its figures are compared with what the server counted at its sockets,
// and with what the browser's own network log says.
//
// http_vs_websocket.mjs PROGRAM PICTURE

import { deepStrictEqual, ok as assert } from "node:assert";
import process from "node:process";

import { judged, until } from "./support.mjs";

const [, , program, picture] = process.argv;

/** The figures of a half, as the page shows them. */
const figures = (page, half) =>
  page.$$eval(`[data-half=${half}] data`, (all) => Object.fromEntries(all.map((data) => [data.dataset.figure, Number(data.value)])));

/** What the browser itself says of the connections of a page. */
async function networkLog(page) {
  const log = { polls: new Map(), frames: [], sockets: 0 };
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  session.on("Network.responseReceived", ({ requestId, response }) => {
    if (new URL(response.url).pathname === "/poll") log.polls.set(requestId, { response, requestId });
  });
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    const poll = log.polls.get(requestId);
    if (poll) poll.bytes = encodedDataLength;
  });
  const pushed = new Set();
  session.on("Network.webSocketCreated", ({ requestId, url }) => {
    if (new URL(url).pathname !== "/push") return;
    log.sockets += 1;
    pushed.add(requestId);
  });
  session.on("Network.webSocketFrameReceived", ({ requestId, response }) => {
    if (pushed.has(requestId) && response.opcode === 1) log.frames.push(response.payloadData);
  });
  log.body = async ({ requestId }) => (await session.send("Network.getResponseBody", { requestId })).body;
  return log;
}

await judged("http_vs_websocket", async ({ start, open, ok }) => {
  const server = await start(program, 0, "--rate", "2");
  let log;
  const page = await open(server.url, async (page) => (log = await networkLog(page)));

  const polling = (figure) => figures(page, "polling").then((all) => all[figure]);
  await until("there is something to see", async () => (await polling("connections")) > 10);
  await page.screenshot({ path: picture });
  await page.selectOption("#every", "250"); // and now some answers without any
  await until("there are answers without updates", async () => (await polling("empty")) >= 2);

  await page.click("#switch");
  const ask = async () => JSON.stringify([await figures(page, "polling"), await figures(page, "websocket")]);
  let [last, calm] = ["", 0];
  await until("the last counts have come", async () => {
    const now = await ask();
    [calm, last] = [now === last ? calm + 1 : 0, now];
    return calm > 20; // half a second, in which the server tells its counts five times if they change
  });
  const shown = { polling: await figures(page, "polling"), websocket: await figures(page, "websocket") };
  ok("the page runs, and stops");

  await page.click("#switch"); // begins another run, so that the server prints what it counted in this one
  const line = await server.line();
  const counted = JSON.parse(line.slice(line.indexOf("{")));
  for (const half of ["polling", "websocket"]) {
    const { connections, up, down, received, empty } = shown[half];
    deepStrictEqual({ connections, up, down, updates: received, empty }, counted[half]);
    deepStrictEqual(shown[half].bytes, counted[half].up + counted[half].down);
  }
  ok("what the page shows is what the server counted: connections, bytes up and down, updates, empty answers");

  const polls = [...log.polls.values()].filter(({ response }) => response.url.includes("run=1&"));
  deepStrictEqual(polls.length, shown.polling.connections);
  deepStrictEqual(polls.filter(({ response }) => response.status === 204).length, shown.polling.empty);
  deepStrictEqual(new Set(polls.map(({ response }) => response.connectionId)).size, polls.length);
  deepStrictEqual(polls.reduce((sum, { bytes }) => sum + bytes, 0), shown.polling.down);
  ok("the browser's network log agrees: polls, a connection for each, and every byte that came");

  const pushed = log.frames.map((frame) => JSON.parse(frame).number).slice(0, shown.websocket.received);
  assert(pushed.every((number, i) => number === pushed[0] + i));
  const bodies = await Promise.all(polls.filter(({ response }) => response.status === 200).map(log.body));
  const polled = bodies.flatMap((body) => JSON.parse(body).map(({ number }) => number));
  deepStrictEqual(polled, pushed.slice(0, polled.length));
  assert(polled.length === shown.polling.received && polled.length > 0.6 * pushed.length);
  ok("both halves were told of the same updates, each once and in order");

  assert(shown.polling.bytes > 2 * shown.websocket.bytes);
  assert(shown.websocket.connections === 1 && shown.polling.connections > 5);
  assert(shown.websocket.delay * 5 < shown.polling.delay, `${shown.websocket.delay} ms, ${shown.polling.delay} ms`);
  ok("the WebSocket is cheaper and quicker, by the figures on the page");

  const about = () => page.textContent("#about");
  await server.kill();
  await until("the page says that the server is gone", async () => (await about()).includes("gone"));
  await start(program, server.port, "--rate", "20");
  await until("it begins again", async () => (await about()).includes("20 times a second"));
  await until("there are updates again", async () => (await polling("received")) > 0);
  ok("the page begins again with a server that was started again");
});
