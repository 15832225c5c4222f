// Judges the page of rooms and a ticker: tabs that talk, presence, a laptop that is closed and opened, and a server that is killed and
// started again.
//
// pubsub.mjs PROGRAM PICTURE
//
// The server keeps what it keeps in memory, so a server that is started again knows nothing of before. What is asserted across that is
// what server and pages promise together: each message that was said on a page that stays open is shown exactly once on each
// page, what one page said in the order in which it said it; also what was said while there was no server.

import { deepStrictEqual, ok as assert } from "node:assert";
import process from "node:process";

import { judged, until } from "./support.mjs";
import { Tab, isRun } from "./tab.mjs";

const [, , program, picture] = process.argv;

await judged("pubsub", async ({ start, open, ok }) => {
  let server = await start(program, 0);
  const ada = await Tab.open(open, server.url, "Ada");
  const bo = await Tab.open(open, server.url, "Bo");

  await ada.sees("Ada", "Bo");
  await bo.sees("Ada", "Bo");
  const chidi = await Tab.open(open, server.url, "Chidi");
  for (const tab of [ada, bo, chidi]) await tab.sees("Ada", "Bo", "Chidi");
  await chidi.page.click("text=river");
  await ada.sees("Ada", "Bo");
  await chidi.sees("Chidi");
  await chidi.page.close();
  ok("who is in a room is seen by those who are: who comes, changes the room, and goes");

  await ada.say("Are the salmon running yet?");
  await bo.hears("Are the salmon running yet?");
  await bo.say("Since Tuesday. You can hear them from the bridge.");
  await ada.hears("Are the salmon running yet?", "Since Tuesday. You can hear them from the bridge.");
  deepStrictEqual(await ada.lines(), await bo.lines());
  deepStrictEqual((await ada.lines()).map(({ name }) => name), ["Ada", "Bo"]);
  await until("the latencies are shown", async () => (await ada.figure("chat")) > 0 && (await ada.figure("latency")) > 0 && (await ada.figure("trip")) > 0);
  ok("two tabs talk, and their latencies are shown");

  await bo.page.click("text=ocean");
  await ada.sees("Ada");
  await ada.say("Did they close the lock?");
  await ada.hears("Did they close the lock?");
  await bo.page.click("text=lobby");
  await bo.hears("Did they close the lock?");
  deepStrictEqual((await bo.lines()).map(({ isMissed }) => isMissed), [false, false, true]);
  ok("who comes back to a room is sent what was said meanwhile, once");

  const before = (await ada.points()).at(-1).number;
  await ada.laptop();
  await bo.sees("Bo");
  const missed = ["It has been open all night.", "I counted forty in ten minutes.", "Are you still there?"];
  for (const text of missed) await bo.say(text);
  await ada.say("I was in a tunnel.");
  await ada.say("Forty! I will be there at noon.");
  deepStrictEqual(await ada.pending(), ["I was in a tunnel.", "Forty! I will be there at noon."]);
  await until("much of the ticker was missed", async () => (await bo.points()).at(-1).number > before + 25);
  const { recovered } = await ada.counters();
  await ada.laptop();
  await ada.connected();
  await ada.hears(...missed, "I was in a tunnel.", "Forty! I will be there at noon.");
  await bo.hears(...missed, "I was in a tunnel.", "Forty! I will be there at noon.");
  deepStrictEqual((await ada.lines()).slice(-5).map(({ isMissed }) => isMissed), [true, true, true, false, false]);
  deepStrictEqual(await ada.pending(), []);
  await ada.sees("Ada", "Bo");
  await bo.sees("Ada", "Bo");
  const points = await ada.points();
  const came = points.filter(({ isMissed }) => isMissed);
  assert(isRun(points.map(({ number }) => number)), "each number of the ticker is there, once");
  assert(isRun(came.map(({ number }) => number)) && came.length >= 20, `${came.length} came`);
  const counters = await ada.counters();
  deepStrictEqual(counters.recovered - recovered, came.length + missed.length);
  deepStrictEqual([counters.lost, counters.disorder, counters.reconnects], [0, 0, 1]);
  ok(`a laptop that is opened gets exactly what it missed: ${missed.length} messages and ${came.length} of the ticker`);
  await ada.page.setViewportSize({ width: 1240, height: 690 });
  await until("there is more to see", async () => (await ada.points()).length > came.length + 60);
  await ada.page.screenshot({ path: picture });

  // Both talk all the time, also while there is no server.
  const EACH = 60;
  const talking = [ada.talk("a", EACH), bo.talk("b", EACH)];
  await until("some has been said", async () => (await ada.texts()).includes("b 15"));
  const { port } = server;
  await server.kill();
  await until("the pages have noticed", async () => (await ada.pending()).length > 3 && (await bo.pending()).length > 3);
  server = await start(program, port);
  await Promise.all(talking);
  for (const tab of [ada, bo]) {
    await tab.connected();
    await tab.hasHeard(["a", "b"], EACH);
    deepStrictEqual((await tab.texts()).length, 8 + 2 * EACH);
    deepStrictEqual(await tab.pending(), []);
    const { disorder, lost, repeated } = await tab.counters();
    deepStrictEqual([disorder, lost], [0, 0]);
    assert(repeated > 0, "what the new server was told again was known here");
    await tab.sees("Ada", "Bo");
  }
  ok(`a server was killed and started anew while ${2 * EACH} messages were said: each is shown once, in order, to both`);

  const dana = await Tab.open(open, server.url, "Dana");
  await until("she is told", async () => (await dana.texts()).includes(`a ${EACH - 1}`) && (await dana.texts()).includes(`b ${EACH - 1}`));
  const told = await dana.texts();
  for (const name of ["a", "b"]) {
    const numbers = told.filter((text) => text.startsWith(`${name} `)).map((text) => Number(text.slice(2)));
    assert(isRun(numbers) && numbers.length >= 50, `${numbers.length} of ${name}`);
  }
  await ada.sees("Ada", "Bo", "Dana");
  await dana.page.close();
  await ada.sees("Ada", "Bo");
  ok("who comes new to the new server is told what was said before");

  // Said, taken and forgotten before everybody had it.
  await bo.laptop();
  await ada.sees("Ada");
  await ada.say("The water is rising.");
  await ada.hears("The water is rising.");
  deepStrictEqual(await ada.pending(), []);
  await server.kill();
  server = await start(program, port);
  await bo.laptop();
  await bo.hears("The water is rising.");
  await ada.sees("Ada", "Bo");
  for (const tab of [ada, bo]) deepStrictEqual((await tab.texts()).length, 9 + 2 * EACH);
  ok("what a server had taken before it was killed reaches who was away then, from the page that said it");
});
