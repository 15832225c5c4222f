// Judges the page of rooms where two nodes are one system, joined by a Redis of our own, which needs `redis-server`.
//
// pubsub_nodes.mjs PROGRAM

import { deepStrictEqual } from "node:assert";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

import { judged, until } from "./support.mjs";
import { Tab } from "./tab.mjs";

const [, , program] = process.argv;

/** A Redis that keeps everything in memory. */
class Engine {
  static async start() {
    const engine = new Engine();
    const probe = createServer().listen(0, "127.0.0.1");
    await once(probe, "listening");
    engine.port = probe.address().port;
    probe.close();
    engine.directory = await mkdtemp(join(tmpdir(), "sockeye-"));
    engine.begin();
    return engine;
  }

  begin() {
    const options = ["--bind", "127.0.0.1", "--port", String(this.port), "--save", "", "--appendonly", "no", "--dir", this.directory];
    this.process = spawn("redis-server", options, { stdio: "ignore" });
    this.ended = once(this.process, "exit");
  }

  async kill() {
    this.process.kill("SIGKILL");
    await this.ended;
  }
}

const engine = await Engine.start();
try {
  await judged("pubsub_nodes", async ({ start, open, ok }) => {
    const redis = ["--redis", `redis://127.0.0.1:${engine.port}/`];
    const first = await start(program, 0, ...redis);
    const second = await start(program, 0, ...redis, "--no-ticker");
    const ada = await Tab.open(open, first.url, "Ada");
    const bo = await Tab.open(open, second.url, "Bo");
    for (const tab of [ada, bo]) await tab.sees("Ada", "Bo");
    await ada.say("Who is on the other node?");
    await bo.hears("Who is on the other node?");
    await bo.say("I am.");
    await ada.hears("Who is on the other node?", "I am.");
    await until("both have the ticker", async () => (await ada.points()).length > 5 && (await bo.points()).length > 5);
    ok("two on two nodes see each other, talk, and have the ticker of one of them");

    await bo.laptop();
    await ada.sees("Ada");
    for (const text of ["one", "two", "three"]) await ada.say(text);
    await ada.hears("one", "two", "three");
    await bo.laptop();
    await bo.hears("I am.", "one", "two", "three");
    deepStrictEqual((await bo.lines()).map(({ isMissed }) => isMissed), [false, false, true, true, true]);
    ok("who comes back is sent what was said on the other node meanwhile");

    const EACH = 60;
    const talking = [ada.talk("a", EACH), bo.talk("b", EACH)];
    await until("some has been said", async () => (await ada.texts()).includes("b 15"));
    await first.kill();
    await start(program, first.port, ...redis);
    await Promise.all(talking);
    for (const tab of [ada, bo]) await tab.hasHeard(["a", "b"], EACH);
    ok(`a node was killed and started anew while ${2 * EACH} messages were said: each is shown once, in order, to both`);

    await engine.kill();
    await ada.say("Is anybody there?");
    await ada.hears("Is anybody there?");
    engine.begin();
    await bo.hears("Is anybody there?");
    await bo.say("Always.");
    await ada.hears("Is anybody there?", "Always.");
    for (const tab of [ada, bo]) {
      deepStrictEqual((await tab.texts()).length, 7 + 2 * EACH);
      deepStrictEqual(await tab.pending(), []);
    }
    ok("the engine was killed and lost its memory: what was said without it is heard on its own node, and then on the other");
  });
} finally {
  await engine.kill();
  await rm(engine.directory, { recursive: true });
}
