import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, inject } from "vitest";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Where the pictures go; looked at by people, never compared. */
export const SHOTS = process.env.SHOTS ?? resolve(import.meta.dirname, "../test-results/shots");
mkdirSync(SHOTS, { recursive: true });

/** How long anything is waited for. Only a test that fails waits as long, on however busy a machine. */
export const PATIENCE = 120_000;

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** A page that remembers what went wrong in it and which hosts it asked. */
export interface Watched {
  page: Page;
  problems: string[];
  hosts: Set<string>;
}

export async function open(context: BrowserContext, url: string): Promise<Watched> {
  const page = await context.newPage();
  const problems: string[] = [];
  const hosts = new Set<string>();
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("request", (request) => hosts.add(new URL(request.url()).host));
  await page.goto(url);
  await settled(page);
  return { page, problems, hosts };
}

/** Waits until nothing on the page is loading any more. */
export async function settled(page: Page): Promise<void> {
  await page.locator("h1").first().waitFor();
  await page.waitForFunction(() => document.querySelector(".skeleton, [aria-busy='true']") === null);
  await page.evaluate(() => document.fonts.ready.then(() => undefined));
}

/** Waits until every chart has painted its canvas. */
export async function drawn(page: Page): Promise<void> {
  await page.waitForFunction(() =>
    [...document.querySelectorAll(".plot")].every((plot) => plot.querySelector("canvas")),
  );
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

export async function shot(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
}

/** What axe finds, one line each. */
export async function axe(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const runner = (window as unknown as { axe: { run: (d: Document, o: object) => Promise<AxeResult> } })
      .axe;
    interface AxeResult {
      violations: { id: string; help: string; nodes: { target: string[]; any: { message: string }[] }[] }[];
    }
    const { violations } = await runner.run(document, { resultTypes: ["violations"] });
    return violations.flatMap((v) =>
      v.nodes.map((n) => `${v.id}: ${n.target.join(" ")} ${n.any[0]?.message ?? v.help}`),
    );
  });
}

/** Pixels by which the page is wider than its window. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

/** A browser for the tests of a file and a fresh desk-sized context for each of them. */
export function desk(): { readonly context: BrowserContext } {
  let browser: Browser;
  let context: BrowserContext;
  beforeAll(async () => {
    browser = await launch();
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    context.setDefaultTimeout(PATIENCE);
  });
  afterEach(() => context.close());
  return {
    get context() {
      return context;
    },
  };
}

/** The address of a page of the server with data. */
export const ui = (path: string) => `${inject("base")}/ui${path}`;

/** Moves the focus with the keyboard to what carries this name, as somebody without a mouse does. */
export async function tabTo(page: Page, name: string | RegExp, role?: string): Promise<void> {
  const matches = () =>
    page.evaluate(() => {
      const at = document.activeElement as HTMLElement | null;
      if (!at) return undefined;
      const label =
        at.getAttribute("aria-label") ??
        (at as HTMLInputElement).labels?.[0]?.innerText ??
        (at.innerText || at.textContent || "");
      const kind = at.getAttribute("role") ?? { A: "link", BUTTON: "button" }[at.tagName] ?? at.tagName;
      return { label: label.trim(), kind };
    });
  for (let i = 0; i < 150; i += 1) {
    await page.keyboard.press("Tab");
    const found = await matches();
    if (!found || (role && found.kind !== role)) continue;
    if (typeof name === "string" ? found.label === name : name.test(found.label)) return;
  }
  throw new Error(`the keyboard does not reach ${String(name)}`);
}

/** Whether what has the focus shows it: an outline, or a border that changed. */
export function focusShown(page: Page): Promise<boolean> {
  return page.evaluate(() => {
    const at = document.activeElement;
    if (!at || at === document.body) return false;
    const style = getComputedStyle(at);
    return style.outlineStyle !== "none" && Number.parseFloat(style.outlineWidth) >= 2;
  });
}
