// What the judges of the pages have in common: a server, a browser, and steps that are told one by one.
//
// NODE_MODULES is where playwright-core is installed, CHROMIUM is the browser.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import process from "node:process";
import { createInterface } from "node:readline";

const { chromium } = createRequire(`${process.env.NODE_MODULES}/`)("playwright-core");

/** How long anything is waited for, in milliseconds. */
export const PATIENCE = 20_000;

/** An example that serves a page, as a process. */
export class Server {
  /** Starts it; `port` 0 is any. */
  static async start(program, port, ...options) {
    const server = new Server();
    server.process = spawn(program, ["--port", String(port), ...options], { stdio: ["ignore", "pipe", "inherit"] });
    server.ended = once(server.process, "exit");
    server.lines = createInterface({ input: server.process.stdout })[Symbol.asyncIterator]();
    const first = await server.line();
    server.url = /^listening on (http:\S+)$/.exec(first)?.[1];
    if (!server.url) throw new Error(`${program} said ${first}`);
    return server;
  }

  /** The next line that it prints. */
  async line() {
    const { value } = await within(this.lines.next(), "a line of the server");
    return value;
  }

  get port() {
    return Number(new URL(this.url).port);
  }

  /** Ends it without a warning. */
  async kill() {
    this.process.kill("SIGKILL");
    await this.ended;
  }
}

/** Fails if it takes too long. */
export async function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`${what} did not come`)), PATIENCE)));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until something is so: `look` is asked again and again, and says what it found. */
export async function until(what, look) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`it did not come to be that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/**
 * Judges a page: `judge` gets functions that start a server, open the page in a tab of its own (which is prepared before), and end a
 * step, saying what was found right. Errors on the page, and requests to anywhere but the server, fail it.
 */
export async function judged(name, judge) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, timeout: 30_000 });
  const servers = [];
  const faults = [];
  const start = async (...parameters) => {
    const server = await Server.start(...parameters);
    servers.push(server);
    return server;
  };
  const open = async (url, prepare = async () => {}) => {
    const context = await browser.newContext({ viewport: { width: 1240, height: 800 }, colorScheme: "light" });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    page.on("pageerror", (error) => faults.push(error));
    page.on("request", (request) => {
      const to = new URL(request.url());
      if (to.protocol !== "data:" && to.host !== new URL(url).host) faults.push(new Error(`a request to ${to.host}`));
    });
    await prepare(page);
    await page.goto(url);
    return page;
  };
  let steps = 0;
  const began = Date.now();
  const ok = (what) => {
    if (faults.length) throw faults[0];
    steps += 1;
    console.log(`  ${((Date.now() - began) / 1000).toFixed(1).padStart(4)} s  ${what}`);
  };
  try {
    await judge({ start, open, ok });
    console.log(`browser: ${name}: ${steps} of ${steps} ok, chromium ${browser.version()}`);
  } catch (error) {
    console.log(`browser: ${name}: after ${steps} that were ok: ${error.stack}`);
    process.exitCode = 1;
  } finally {
    await browser.close();
    for (const server of servers) await server.kill();
  }
}
