/** What people come to do, done in the browser against the real server; mostly by keyboard. */
import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { axe, launch, open, settled, shot } from "./browser";

let browser: Browser;
let context: BrowserContext;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser?.close());
beforeEach(async () => {
  context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  context.setDefaultTimeout(15_000);
});
afterEach(() => context.close());

const ui = (path: string) => `${inject("base")}/ui${path}`;

describe("finding", () => {
  it("opens a run from the palette without a mouse", async () => {
    const { page } = await open(context, ui("/"));
    await page.keyboard.press("/");
    await page.keyboard.type("logistic-mid");
    await page.getByRole("option", { name: /logistic-mid/ }).waitFor();
    expect(await axe(page)).toEqual([]);
    await shot(page, "palette-1280-light");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: /logistic-mid/ }).waitFor();
    expect(new URL(page.url()).pathname).toBe(`/ui/runs/${inject("seeded").runs[1]}`);
    await page.keyboard.press("Control+k");
    await page.keyboard.type("Journ");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Journal" }).waitFor();
  });
});

describe("runs", () => {
  it("filters in MLflow's grammar, keeps the filter in the address and says what is wrong with one", async () => {
    const { page } = await open(context, ui(`/experiments/${inject("seeded").experiment}`));
    const filter = page.getByLabel("Filter of runs");
    await filter.fill("params.learning_rate = '0.1'");
    await filter.press("Enter");
    await page.waitForURL(/filter=/);
    await page.getByText("1 run: 1 finished").waitFor();
    await page.reload();
    await page.getByText("1 run: 1 finished").waitFor();
    expect(await page.getByRole("row").count()).toBe(2);
    await filter.fill("this is no filter");
    await filter.press("Enter");
    await page.getByRole("alert").waitFor();
    expect(await page.getByRole("alert").innerText()).toContain("Could not search the runs");
  });

  it("sorts by a metric and compares chosen runs", async () => {
    const { page } = await open(context, ui(`/experiments/${inject("seeded").experiment}`));
    await page.getByRole("button", { name: "accuracy" }).click();
    await page.waitForURL(/order=metrics/);
    await settled(page);
    for (const name of ["logistic-low", "logistic-high"]) await page.getByLabel(`Choose ${name}`).check();
    await page.getByRole("link", { name: "Compare 2 runs" }).click();
    await page.getByRole("heading", { level: 1, name: "Compare runs" }).waitFor();
    const params = page.getByRole("table", { name: "Params of the runs" });
    await params.getByRole("rowheader", { name: /learning_rate/ }).waitFor();
    expect(await params.getByRole("rowheader").count()).toBe(1);
    await page.getByLabel("Only what differs").uncheck();
    await params.getByRole("rowheader", { name: "penalty" }).waitFor();
    expect(await page.getByRole("img", { name: /loss of 2 runs\. 40 points/ }).count()).toBe(1);
  });

  it("shows the same points as a table and previews artifacts", async () => {
    const run = inject("seeded").runs[0];
    const { page } = await open(context, ui(`/runs/${run}?tab=charts`));
    await page.getByRole("button", { name: "Table" }).first().click();
    expect(await page.getByRole("row").count()).toBe(41);
    await page.getByRole("link", { name: "Artifacts" }).click();
    await page.getByRole("button", { name: /model\// }).click();
    await page.getByRole("button", { name: /MLmodel/ }).click();
    await page.getByText("loader_module: mlflow.onnx").waitFor();
  });
});

describe("serving", () => {
  it("refuses a bad row in the form, then answers a good one that the journal holds", async () => {
    const { page } = await open(context, ui("/deployments/iris?tab=try"));
    await page.getByLabel("X[0]").fill("a lot");
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("A number is needed.").waitFor();
    for (const [at, value] of [6.3, 3.3, 6, 2.5].entries())
      await page.getByLabel(`X[${at}]`).fill(String(value));
    await page.getByLabel("X[3]").press("Enter");
    const answer = page.getByRole("table", { name: "Answer" });
    await answer.getByRole("rowheader", { name: "label" }).waitFor();
    expect(await answer.getByRole("row", { name: /^label/ }).innerText()).toContain("2");
    await shot(page, "try-answered-1280-light");
    expect(await axe(page)).toEqual([]);
    const id = await page.locator("dd code").first().innerText();
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    await page.getByRole("button", { name: "Clear" }).click();
    expect(await page.getByLabel("X[2]").inputValue()).toBe("");
    await page.getByRole("button", { name: "Fill from the last request" }).click();
    await page.getByText("Filled 4 of 4 fields").waitFor();
    expect(await page.getByLabel("X[2]").inputValue()).toBe("6");
    // The address holds the row: a reload fills the form again.
    await page.reload();
    await settled(page);
    expect(await page.getByLabel("X[2]").inputValue()).toBe("6");

    await page.goto(
      ui(
        `/journal?${new URLSearchParams({ sql: `select deployment, outcome from predictions where event_id = '${id}'`, run: "1" })}`,
      ),
    );
    await page.getByRole("cell", { name: "iris" }).waitFor();
  });

  it("draws live traffic while requests come in", async () => {
    const { page } = await open(context, ui("/deployments/iris"));
    await page.locator(".status[data-state=live]", { hasText: "live" }).first().waitFor();
    let stop = false;
    const traffic = (async () => {
      while (!stop) {
        await fetch(`${inject("base")}/api/v1/deployments/iris/predict`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ rows: [{ "X[0]": 5.1, "X[1]": 3.5, "X[2]": 1.4, "X[3]": 0.2 }] }),
        });
      }
    })();
    const rate = page.locator(".chart .legend li", { hasText: "version" }).locator(".value").first();
    await page.waitForFunction((node) => /[1-9]/.test(node?.textContent ?? ""), await rate.elementHandle());
    await shot(page, "deployment-live-1280-light");
    stop = true;
    await traffic;
  });

  it("moves an alias after asking, and takes it back", async () => {
    const { page } = await open(context, ui("/models/iris?v=2"));
    await page
      .getByRole("row", { name: /Version 2/ })
      .getByRole("button", { name: "Set alias" })
      .click();
    await page.getByText("points at version 1 now and will point at version 2").waitFor();
    await shot(page, "alias-dialog-1280-light");
    expect(await axe(page)).toEqual([]);
    await page.getByRole("button", { name: "Move the alias" }).click();
    await page.getByText("points at version 2 (was 1)").waitFor();
    const alias = async () => {
      const reply = await fetch(`${inject("base")}/api/v1/models/iris`);
      return ((await reply.json()) as { model: { aliases: Record<string, string> } }).model.aliases.champion;
    };
    expect(await alias()).toBe("2");
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText("points at version 2 (was 1)").waitFor({ state: "detached" });
    expect(await alias()).toBe("1");
  });
});

describe("keys", () => {
  it("makes a key, shows it once and revokes it", async () => {
    const { page } = await open(context, ui("/settings/keys"));
    await page.getByRole("button", { name: "Create a key" }).click();
    await page.getByLabel("What it is for").fill("a test");
    await page.getByRole("button", { name: "Create", exact: true }).click();
    await page.getByText(/msk_/).waitFor();
    await page.reload();
    await settled(page);
    expect(await page.getByText(/msk_/).count()).toBe(0);
    await page.getByRole("button", { name: "Revoke a test" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
    await page
      .getByRole("row", { name: /a test/ })
      .getByText("revoked")
      .waitFor();
  });

  it("asks for a key where the server demands one, and ends the session on demand", async () => {
    const { page } = await open(context, `${inject("locked")}/ui/experiments`);
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    await shot(page, "login-1280-light");
    expect(await axe(page)).toEqual([]);
    await page.getByLabel("API key").fill("msk_wrong_key");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    await page.getByLabel("API key").fill(inject("key"));
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Experiments" }).waitFor();
    // A change needs the token of the session: making a key proves that it is sent.
    await page.goto(`${inject("locked")}/ui/settings/keys`);
    await page.getByRole("button", { name: "Create a key" }).click();
    await page.getByLabel("What it is for").fill("made in a session");
    await page.getByRole("button", { name: "Create", exact: true }).click();
    await page.getByText(/msk_/).first().waitFor();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    await page.reload();
    await page.getByRole("heading", { name: "Log in" }).waitFor();
  });
});
