// A tab with the page of rooms and a ticker: what its user does, and what it shows.

import { deepStrictEqual } from "node:assert";

import { until } from "./support.mjs";

export class Tab {
  constructor(page) {
    this.page = page;
  }

  static async open(open, url, name) {
    const page = await open(url, (page) => page.addInitScript((name) => sessionStorage.setItem("name", name), name));
    const tab = new Tab(page);
    await tab.connected();
    return tab;
  }

  connected() {
    return until("the page is connected", () => this.page.evaluate(() => connection.isBack.room && connection.isBack.ticker));
  }

  async say(text) {
    await this.page.fill("#text", text);
    await this.page.press("#text", "Enter");
  }

  /** The lines that are shown of the room: what was said, and how it is marked. */
  lines() {
    return this.page.$$eval("#said li", (all) =>
      all.map((line) => ({ name: line.querySelector("b").textContent, text: line.lastChild.textContent, isMissed: line.classList.contains("missed") })));
  }

  async texts() {
    return (await this.lines()).map(({ text }) => text);
  }

  async hears(...texts) {
    await until(`${texts.at(-1)} is heard`, async () => (await this.texts()).includes(texts.at(-1)));
    deepStrictEqual((await this.texts()).slice(-texts.length), texts);
  }

  pending() {
    return this.page.$$eval("#pending li", (all) => all.map((line) => line.lastChild.textContent));
  }

  people() {
    return this.page.$$eval("#people li", (all) => all.map((person) => person.textContent));
  }

  async sees(...names) {
    await until(`${names} are seen`, async () => String(await this.people()) === String(names));
  }

  figure(id) {
    return this.page.$eval(`#${id}`, (data) => Number(data.value));
  }

  counters() {
    return this.page.evaluate(() => ({ ...counters }));
  }

  points() {
    return this.page.evaluate(() => ticker.points.map(({ number, isMissed }) => ({ number, isMissed })));
  }

  laptop() {
    return this.page.click("#laptop");
  }

  /** Says so many things, one after the other. */
  talk(name, count) {
    return this.page.evaluate(async ([name, count]) => {
      for (let i = 0; i < count; i++) {
        document.getElementById("text").value = `${name} ${i}`;
        document.getElementById("say").requestSubmit();
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    }, [name, count]);
  }

  /** Whether it shows all that these have said, each thing once and in order. */
  async hasHeard(names, count) {
    for (const name of names) {
      await until(`${name} is heard`, async () => (await this.texts()).includes(`${name} ${count - 1}`));
      const heard = (await this.texts()).filter((text) => text.startsWith(`${name} `));
      deepStrictEqual(heard, Array.from({ length: count }, (_, i) => `${name} ${i}`));
    }
  }
}

export const isRun = (numbers) => numbers.every((number, i) => number === numbers[0] + i);
