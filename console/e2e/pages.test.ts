/** Every page, at 390 and 1280, light and dark: it loads, fits, is accessible and asks nobody else. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { axe, drawn, launch, open, overflow, PATIENCE, shot } from "./browser";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser?.close());

function pages(): Record<string, string> {
  const { experiment, runs, loggedModel, model, deployment } = inject("seeded");
  const [first = "", second = ""] = runs;
  const sql = "select deployment, version, outcome, count(*) as n from predictions group by 1, 2, 3";
  return {
    overview: "/",
    experiments: "/experiments",
    experiment: `/experiments/${experiment}?chosen=${first},${second}`,
    "experiment-charts": `/experiments/${experiment}?show=charts&smooth=0.6`,
    compare: `/compare?runs=${runs.join(",")}`,
    run: `/runs/${first}`,
    "run-charts": `/runs/${first}?tab=charts`,
    "run-artifacts": `/runs/${first}?tab=artifacts&path=model%2FMLmodel`,
    "run-artifacts-sheet": `/runs/${first}?tab=artifacts&path=plots%2Fconfusion.csv`,
    "logged-model": `/logged-models/${loggedModel}`,
    models: "/models",
    model: `/models/${model}`,
    deployments: "/deployments",
    deployment: `/deployments/${deployment}`,
    "deployment-try": `/deployments/${deployment}?tab=try`,
    "deployment-past": `/deployments/${deployment}?range=hour`,
    "deployment-call": `/deployments/${deployment}?tab=call`,
    "deployment-signature": `/deployments/${deployment}?tab=signature`,
    "deployment-spec": `/deployments/${deployment}?tab=spec`,
    monitors: "/monitors",
    monitor: "/monitors/iris-drift",
    alerts: "/alerts",
    cost: "/cost?by=version",
    journal: `/journal?${new URLSearchParams({ sql, run: "1" })}`,
    keys: "/settings/keys",
    audit: "/settings/audit",
  };
}

const empty = [
  "/",
  "/experiments",
  "/models",
  "/deployments",
  "/rollouts",
  "/monitors",
  "/alerts",
  "/cost",
  "/journal",
  "/settings/keys",
  "/settings/audit",
];

describe.each([
  [1280, "light"],
  [1280, "dark"],
  [390, "light"],
  [390, "dark"],
] as const)("%i wide, %s", (width, colorScheme) => {
  const context = async () => {
    const made = await browser.newContext({
      viewport: { width, height: width < 600 ? 844 : 900 },
      colorScheme,
    });
    made.setDefaultTimeout(PATIENCE);
    return made;
  };

  it("shows every page with data", async () => {
    const base = inject("base");
    const wrong: string[] = [];
    const within = await context();
    for (const [name, path] of Object.entries(pages())) {
      const { page, problems, hosts } = await open(within, `${base}/ui${path}`);
      await drawn(page);
      await shot(page, `${name}-${width}-${colorScheme}`);
      wrong.push(...problems.map((p) => `${name}: ${p}`));
      wrong.push(...(await page.locator("[role=alert]").allInnerTexts()).map((t) => `${name}: ${t}`));
      wrong.push(...(await axe(page)).map((v) => `${name}: ${v}`));
      const over = await overflow(page);
      if (over > 0) wrong.push(`${name}: ${over} px wider than the window`);
      expect([...hosts]).toEqual([new URL(base).host]);
      await page.close();
    }
    await within.close();
    expect(wrong).toEqual([]);
  });

  it("teaches the next command on every empty page", async () => {
    const base = inject("empty");
    const wrong: string[] = [];
    const within = await context();
    for (const path of empty) {
      const { page, problems } = await open(within, `${base}/ui${path}`);
      await shot(page, `empty${path.replaceAll("/", "-")}-${width}-${colorScheme}`);
      wrong.push(...problems.map((p) => `${path}: ${p}`), ...(await axe(page)).map((v) => `${path}: ${v}`));
      if ((await overflow(page)) > 0) wrong.push(`${path}: wider than the window`);
      await page.close();
    }
    await within.close();
    expect(wrong).toEqual([]);
  });
});

it("says what failed and the request's id for what does not exist", async () => {
  const { page } = await open(await browser.newContext(), `${inject("base")}/ui/deployments/nowhere`);
  const alert = page.locator("[role=alert]").first();
  await alert.waitFor();
  const text = await alert.innerText();
  expect(text).toContain("nowhere");
  expect(text).toContain("Request id");
  await page.context().close();
});
