// Judges the page of rooms where two nodes are one system, joined by an engine of our own: each that is installed of `redis-server`,
// which here forgets everything when it is killed, and `nats-server`, which does not.
//
// pubsub_nodes.mjs PROGRAM

import { deepStrictEqual } from "node:assert";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

import { judged, until } from "./support.mjs";
import { Tab } from "./tab.mjs";

const [, , program] = process.argv;

const COMMANDS = {
  redis: (port, directory) => ["redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", directory],
  nats: (port, directory) => ["nats-server", "--addr", "127.0.0.1", "--port", port, "--jetstream", "--store_dir", directory],
};

/** An engine as a process, on a port of its own. */
class Engine {
  static async start(name) {
    const engine = new Engine();
    const probe = createServer().listen(0, "127.0.0.1");
    await once(probe, "listening");
    engine.url = `${name}://127.0.0.1:${probe.address().port}/`;
    engine.directory = await mkdtemp(join(tmpdir(), "sockeye-"));
    engine.command = COMMANDS[name](String(probe.address().port), engine.directory);
    probe.close();
    engine.begin();
    return engine;
  }

  begin() {
    const [program, ...options] = this.command;
    this.process = spawn(program, options, { stdio: "ignore" });
    this.ended = once(this.process, "exit");
  }

  async kill() {
    this.process.kill("SIGKILL");
    await this.ended;
  }
}

/** Judges two nodes that this engine joins. */
const judge = (name, engine) =>
  judged(`pubsub_nodes on ${name}`, async ({ start, open, ok }) => {
    const joined = [`--${name}`, engine.url];
    const first = await start(program, 0, ...joined);
    const second = await start(program, 0, ...joined, "--no-ticker");
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
    await start(program, first.port, ...joined);
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
    ok("the engine was killed: what was said without it is heard on its own node, and when it is back on the other");
  });

for (const name of Object.keys(COMMANDS)) {
  const [server] = COMMANDS[name]();
  if (spawnSync(server, ["--version"]).error) {
    console.log(`browser: pubsub_nodes on ${name}: skipped, ${server} is not installed`);
    continue;
  }
  const engine = await Engine.start(name);
  try {
    await judge(name, engine);
  } finally {
    await engine.kill();
    await rm(engine.directory, { recursive: true });
  }
}
