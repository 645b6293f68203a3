/** Deployments and models: tried, watched, called, brought back; in the browser against the real server. */
import { describe, expect, inject, it } from "vitest";
import { axe, desk, focusShown, open, PATIENCE, settled, shot, tabTo, ui } from "./browser";
import { until } from "./seed";

const at = desk();

describe("serving", () => {
  it("refuses a bad row in the form, then answers a good one that the journal holds", async () => {
    const { page } = await open(at.context, ui("/deployments/iris?tab=try"));
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
    // The form is filled from the journal, which has it a moment after the answer.
    await until("the journal has the request", async () => {
      const sql = `select event_id from predictions where event_id = '${id}'`;
      const reply = await fetch(`${inject("base")}/api/v1/query`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ sql, limit: 1 }),
      });
      return ((await reply.json()) as { rows: unknown[] }).rows.length === 1;
    });
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
    const { page } = await open(at.context, ui("/deployments/iris"));
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
    const rates = page.locator(".chart .legend li", { hasText: "version" }).locator(".value");
    await rates.filter({ hasText: /[1-9]/ }).first().waitFor();
    await shot(page, "deployment-live-1280-light");
    // The stream itself tells the parts of the latency.
    const stream = await fetch(`${inject("base")}/api/v1/deployments/iris/live`);
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    const deadline = Date.now() + PATIENCE;
    while (reader && Date.now() < deadline && !/"engine":\{[^}]*"mean":[\d.]+/.test(text)) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`the stream ended without parts: ${text}`);
      text += value;
    }
    await reader?.cancel();
    expect(text).toContain('"queue":{');
    stop = true;
    await traffic;
  });

  it("moves an alias after asking, and takes it back", async () => {
    const { page } = await open(at.context, ui("/models/iris?v=2"));
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
    await until("it is taken back", async () => (await alias()) === "1");
    await page.getByText("points at version 2 (was 1)").waitFor({ state: "detached" });
  });

  it("opens the form with the values of the last request", async () => {
    const { page } = await open(at.context, ui("/deployments/iris?tab=try"));
    await page.getByText("Filled 4 of 4 fields").waitFor();
    expect(await page.getByLabel("X[0]").inputValue()).toMatch(/^\d/);
    await page.getByLabel("X[3]").press("Enter");
    await page.getByRole("table", { name: "Answer" }).getByRole("rowheader", { name: "label" }).waitFor();
  });

  it("draws the past from the journal, and the parts of the latency", async () => {
    const { page } = await open(at.context, ui("/deployments/iris"));
    // The window before the page was opened is filled from the journal.
    await page
      .getByRole("img", { name: /^Mean time of each part of a request.*Engine: last [\d.]+ .s/s })
      .waitFor();
    await page.getByRole("button", { name: "1 hour" }).click();
    await page.waitForURL(/range=hour/);
    await page.getByRole("img", { name: /^Requests a second\. \d+ points\..*version 1: last / }).waitFor();
    await page.getByRole("button", { name: "Latency on a log scale" }).click();
    await page.waitForURL(/log=yes/);
    expect(await axe(page)).toEqual([]);
    await shot(page, "deployment-past-1280-light");
  });

  it("says what the callers of failed requests were told", async () => {
    const { page } = await open(at.context, ui("/deployments/iris"));
    const failures = page.getByRole("table", { name: "Failures of the last day" });
    await failures.getByText(/shape/).first().waitFor();
  });

  it("gives each client a text that works", async () => {
    const { page } = await open(at.context, ui("/deployments/iris?tab=call"));
    const text = await page.getByRole("region", { name: "curl", exact: true }).locator("pre").innerText();
    const parts = /^curl -sS (\S+) -H 'content-type: application\/json' -d '(.*)'$/.exec(text);
    const [, url = "", body = ""] = parts ?? [];
    const reply = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    expect(reply.status).toBe(200);
    const { outputs } = (await reply.json()) as { outputs: { name: string }[] };
    expect(outputs.map((o) => o.name)).toContain("label");
    for (const name of ["Python, requests", "Python, tritonclient over gRPC", "MLflow scoring with curl"])
      await page.getByRole("region", { name, exact: true }).waitFor();
  });

  it("brings an earlier declaration back, by keyboard", async () => {
    const apply = (limits: string) =>
      fetch(`${inject("base")}/api/v1/apply`, {
        method: "POST",
        headers: { "content-type": "application/yaml" },
        body: `apiVersion: mainspring/v1\nkind: Deployment\nname: iris\nmodel: models:/iris@champion\n${limits}`,
      });
    expect((await apply("limits: {maxInFlight: 77}\n")).status).toBe(200);
    const { page } = await open(at.context, ui("/deployments/iris?tab=spec"));
    const history = page.getByRole("table", { name: "Generations" });
    await history.getByText("2", { exact: true }).waitFor();
    await page.getByRole("region", { name: "Declared now" }).getByText("maxInFlight: 77").waitFor();
    await tabTo(page, "Bring back", "button");
    expect(await focusShown(page)).toBe(true);
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog", { name: "Bring generation 1 of iris back?" });
    await dialog.getByText("maxInFlight: 77").waitFor();
    expect(await axe(page)).toEqual([]);
    await shot(page, "rollback-dialog-1280-light");
    await tabTo(page, "Bring it back", "button");
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "detached" });
    await history.getByText("rolled back").waitFor();
    await page
      .getByRole("region", { name: "Declared now" })
      .getByText("maxInFlight: 77")
      .waitFor({ state: "detached" });
  });

  it("names the deployments that follow an alias, and sets a new alias by keyboard", async () => {
    const { page } = await open(at.context, ui("/models/iris"));
    await tabTo(page, "Set alias", "button");
    await page.keyboard.press("Enter");
    await page.getByText(/1 deployment follows this alias/).waitFor();
    await page.getByLabel("Alias", { exact: true }).fill("challenger");
    await page.getByText("“challenger” is new").waitFor();
    await page.keyboard.press("Enter");
    await page.getByText("“challenger” points at version 2.").waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText("“challenger” points at version 2.").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Remove alias challenger" }).waitFor({ state: "detached" });
  });

  it("shows what happened upstream of a version, and how often it answered", async () => {
    const event = {
      eventType: "COMPLETE",
      eventTime: new Date().toISOString(),
      producer: "https://example.com/pipeline",
      schemaURL: "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
      run: { runId: crypto.randomUUID() },
      job: { namespace: "airflow", name: "nightly-features" },
      inputs: [{ namespace: "s3://lake", name: "flowers/2026.parquet" }],
      outputs: [{ namespace: "mainspring", name: "models/iris/1" }],
    };
    const sent = await fetch(`${inject("base")}/api/v1/lineage`, {
      method: "POST",
      body: JSON.stringify(event),
    });
    expect(sent.status).toBe(201);
    const { page } = await open(at.context, ui("/models/iris?v=1"));
    await page.getByText("nightly-features").waitFor();
    await page.getByText("flowers/2026.parquet").waitFor();
    await page
      .getByRole("link", { name: /Deployment.*iris.*\d+ predictions?/ })
      .first()
      .waitFor();
    await shot(page, "lineage-1280-light");
    expect(await axe(page)).toEqual([]);
    await page.setViewportSize({ width: 390, height: 844 });
    await shot(page, "lineage-390-light");
  });

  it("draws the answer of a query that has a time", async () => {
    const { page } = await open(at.context, ui("/journal"));
    const sql =
      "select date_trunc('second', at) as second, deployment, count(*) as requests from predictions group by 1, 2";
    await page.getByRole("textbox", { name: "SQL" }).fill(sql);
    await page.keyboard.press("Control+Enter");
    await page.getByRole("img", { name: /^Answer over time\..* iris: last \d/ }).waitFor();
    expect(await axe(page)).toEqual([]);
  });
});
