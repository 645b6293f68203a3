/** What a monitor's page says of its deployment besides drift, in the browser against the real server. */
import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { axe, desk, open, overflow, settled, shot, tabTo, ui } from "./browser";
import { ONNX, until } from "./seed";

const at = desk();

const COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"];

/** Rules are about columns by name, which a matrix without them does not have. */
const MLMODEL = `flavors:
  onnx:
    data: model.onnx
  python_function:
    data: model.onnx
    loader_module: mlflow.onnx
signature:
  inputs: '${JSON.stringify(COLUMNS.map((name) => ({ name, type: "float", required: true })))}'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
`;

/** No answer is as quick as this promises, so each spends the budget; prices are of requests, which are counted exactly. */
const SPEC = `apiVersion: mainspring/v1
kind: Deployment
name: garden
model: models:/garden/1
slo:
  availability: 99.9%
  p99: 0.001ms
rules:
  action: flag
  expectations:
    - type: expect_column_values_to_be_between
      kwargs: {column: petal_length, max_value: 5}
      name: long-petal
    - type: expect_column_values_to_be_between
      kwargs: {column: sepal_length, min_value: 0}
      name: no-length
      action: reject
    - type: expect_column_values_to_be_between
      kwargs: {column: petal_width, max_value: 1.2}
      name: wide-petal
      action: count
  alert: {over: 15%, window: 1h, minimum: 20}
---
apiVersion: mainspring/v1
kind: Monitor
name: garden-drift
deployment: garden
---
apiVersion: mainspring/v1
kind: PriceTable
name: default
currency: EUR
entries:
  - from: 2026-01-01
    request: "0.5"
`;

/** Of five one has a long petal, and two a wide one. */
const FLOWERS = [
  [5.1, 3.5, 1.4, 0.2],
  [5.7, 4.4, 1.5, 0.4],
  [5.0, 2.0, 3.5, 1.0],
  [6.3, 3.3, 6.0, 2.5],
  [6.7, 3.1, 4.7, 1.5],
];

async function send(method: string, path: string, body: unknown, type = "application/json") {
  const reply = await fetch(`${inject("base")}${path}`, {
    method,
    headers: { "content-type": type },
    body: type === "application/json" ? JSON.stringify(body) : (body as BodyInit),
  });
  return { status: reply.status, text: await reply.text() };
}

async function done<T>(method: string, path: string, body: unknown, type?: string): Promise<T> {
  const { status, text } = await send(method, path, body, type);
  expect(status, `${path}: ${text}`).toBeLessThan(300);
  return (text === "" ? {} : JSON.parse(text)) as T;
}

async function read<T>(path: string): Promise<T> {
  return (await (await fetch(`${inject("base")}${path}`)).json()) as T;
}

const ask = (values: number[]) =>
  send("POST", "/api/v1/deployments/garden/predict", {
    rows: [Object.fromEntries(COLUMNS.map((column, i) => [column, values[i]]))],
  });

beforeAll(async () => {
  const { experiment } = inject("seeded");
  const mlflow = <T>(path: string, body: unknown) => done<T>("POST", `/api/2.0/mlflow/${path}`, body);
  const { run } = await mlflow<{ run: { info: { run_id: string } } }>("runs/create", {
    experiment_id: experiment,
    run_name: "columns by name",
    start_time: Date.now(),
  });
  const id = run.info.run_id;
  const files = `/api/2.0/mlflow-artifacts/artifacts/${experiment}/${id}/artifacts/model`;
  await done("PUT", `${files}/MLmodel`, MLMODEL, "text/plain");
  await done("PUT", `${files}/model.onnx`, readFileSync(ONNX), "application/octet-stream");
  await mlflow("registered-models/create", { name: "garden" });
  await mlflow("model-versions/create", { name: "garden", source: `runs:/${id}/model`, run_id: id });
  await done("POST", "/api/v1/apply", SPEC, "application/yaml");
  await until("garden is ready", async () => {
    type Detail = { summary: { state: string; reason?: string } };
    const { summary } = await read<Detail>("/api/v1/deployments/garden");
    if (summary.state === "FAILED") throw new Error(`the deployment failed: ${summary.reason}`);
    return summary.state === "READY";
  });
  // 40 answers, 8 of them flagged and 16 counted, and 2 that are refused.
  for (let i = 0; i < 40; i += 1) expect((await ask(FLOWERS[i % 5] ?? [])).status).toBe(200);
  for (let i = 0; i < 2; i += 1) expect((await ask([-1, 1, 1, 1])).status).toBe(400);
  // All of this comes a moment after the answers, and by and by.
  await until("its objective and its rules alert, by all answers", async () => {
    type Alerts = { alerts: { labels: Record<string, string>; summary: string }[] };
    const { alerts } = await read<Alerts>("/api/v1/alerts");
    const its = alerts.filter((a) => a.labels.deployment === "garden");
    return its.length === 4 && its.every((a) => /^\d+ of (40 requests|42 rows) /.test(a.summary));
  });
  await until("its answers are counted", async () => {
    type Slos = { slos: { deployment: string; windows: { requests: number }[] }[] };
    const { slos } = await read<Slos>("/api/v1/slos");
    const { total } = await read<{ total: { rows: number } }>("/api/v1/cost?deployment=garden");
    const its = slos.filter((o) => o.deployment === "garden");
    return total.rows === 42 && its.length === 2 && its.every((o) => o.windows.at(-1)?.requests === 40);
  });
});

// What other tests see of costs has no prices.
afterAll(async () => {
  expect((await send("DELETE", "/api/v1/resources/PriceTable/default", undefined)).status).toBeLessThan(300);
});

const card = (page: Page, name: string) => page.getByRole("region", { name, exact: true });

/** The cells of the row that has this head, blanks made one. */
async function cells(page: Page, table: string, head: string): Promise<string[]> {
  const row = page
    .getByRole("table", { name: table, exact: true })
    .getByRole("row")
    .filter({ has: page.getByRole("rowheader", { name: head, exact: true }) });
  const all = await row.locator("th, td").allInnerTexts();
  return all.map((text) => text.replace(/\s+/g, " ").trim());
}

describe("a monitor's page", () => {
  it("says how much of each budget is left, and what burns", async () => {
    const { page } = await open(at.context, ui("/monitors/garden-drift"));
    const budget = card(page, "SLO budget");
    await budget.getByText("1 of 2 objectives burns; least is left of p99: −9900 % of its budget.").waitFor();
    const [, left, state, , hour, , , , bad] = await cells(page, "Objectives", "p99 99 % in 1 µs");
    expect([left, state, hour, bad]).toEqual(["−9900 %", "✕ burns fast", "100.00", "40 of 40"]);
    const kept = await cells(page, "Objectives", "availability 99.9 %");
    expect([kept[1], kept[2], kept[4], kept[8]]).toEqual(["100 %", "✓ ok", "0.00", "0 of 40"]);
    // Other deployments' objectives are elsewhere.
    expect(await budget.getByRole("rowheader").count()).toBe(2);
  });

  it("leads from an alert to the predictions behind it and to its place among all", async () => {
    const { page } = await open(at.context, ui("/monitors/garden-drift"));
    const alerts = card(page, "Alerts");
    await alerts.getByText("4 alerts of garden fire now.").waitFor();
    const one = alerts.getByRole("listitem").filter({ hasText: "broke the rule long-petal" });
    expect(await one.innerText()).toContain("8 of 42 rows of garden broke the rule long-petal in 1h");
    // What pages comes first.
    expect(await alerts.getByRole("listitem").first().innerText()).toMatch(/page, since/);
    await one.getByRole("link", { name: "the predictions behind it" }).click();
    await page
      .getByText(/^8 rows/)
      .first()
      .waitFor();
    await page.goBack();
    await settled(page);
    await one.getByRole("link", { name: "RuleBroken" }).click();
    const chosen = page.locator("tr[data-chosen]");
    await chosen.getByText(/broke the rule long-petal/).waitFor();
    expect(await chosen.count()).toBe(1);
  });

  it("counts the rows that break each rule, and leads to them", async () => {
    const { page } = await open(at.context, ui("/monitors/garden-drift"));
    await card(page, "Data quality").getByRole("rowheader", { name: "wide-petal" }).waitFor();
    const of = (rule: string) => cells(page, "Rules by what they say", rule);
    const says = "column values to be between";
    expect(await of("long-petal")).toEqual(["long-petal", "! flagged", "8", "19.05 %", "42", "8", says]);
    expect(await of("no-length")).toEqual(["no-length", "✕ refused", "2", "4.76 %", "42", "2", says]);
    expect(await of("wide-petal")).toEqual(["wide-petal", "○ counted", "16", "38.1 %", "42", "16", says]);
    // Which rows were only counted the journal does not say.
    expect(await page.getByRole("link", { name: "16", exact: true }).count()).toBe(0);
    await tabTo(page, "8", "link");
    await page.keyboard.press("Enter");
    await page
      .getByText(/^8 rows/)
      .first()
      .waitFor();
  });

  it("says what it cost, and a thousand predictions of it", async () => {
    const { page } = await open(at.context, ui("/monitors/garden-drift"));
    const cost = card(page, "Cost");
    await cost.getByText("Per 1,000 predictions, EUR").waitFor();
    const figures = await cost.locator(".figures > div").allInnerTexts();
    expect(figures[0]).toMatch(/^Total, EUR\s+21\s+42 answers/);
    expect(figures[1]).toMatch(/^Per 1,000 predictions, EUR\s+500\s+42 predictions/);
    const line = await cells(page, "Cost of garden by version and variant", "garden/1");
    expect(line.slice(0, 6)).toEqual(["garden/1", "stable", "21", "500", "42", "42"]);
    await cost.getByRole("link", { name: "Cost of all" }).click();
    await page.getByRole("heading", { level: 1, name: "Cost" }).waitFor();
  });

  it("fits a phone and a desk, light and dark, for people who see it and who hear it", async () => {
    const { page } = await open(at.context, ui("/monitors/garden-drift"));
    for (const width of [1280, 390])
      for (const colorScheme of ["light", "dark"] as const) {
        await page.setViewportSize({ width, height: 900 });
        await page.emulateMedia({ colorScheme });
        await shot(page, `monitor-full-${width}-${colorScheme}`);
        expect(await axe(page)).toEqual([]);
        expect(await overflow(page)).toBe(0);
      }
  });

  it("teaches what is not there yet, and each card says by itself what failed", async () => {
    // Whatever else was done to iris before.
    await at.context.route("**/api/v1/alerts", (route) => route.fulfill({ json: { alerts: [] } }));
    const { page } = await open(at.context, ui("/monitors/iris-drift"));
    await card(page, "Alerts").getByText("Nothing of iris is wrong").waitFor();
    await card(page, "Data quality").getByText("iris holds its rows to no rules.").waitFor();
    await page.route("**/api/v1/slos", (route) => route.fulfill({ status: 500, body: "{}" }));
    await page.reload();
    await card(page, "SLO budget").getByRole("alert").getByText("Could not list the objectives").waitFor();
    await card(page, "Cost").getByRole("rowheader", { name: "iris/1" }).waitFor();
    await page.unroute("**/api/v1/slos");
    await page.route("**/api/v1/slos", (route) => route.fulfill({ json: { slos: [] } }));
    await page.reload();
    await card(page, "SLO budget").getByText("iris promises nothing.").waitFor();
    expect(await axe(page)).toEqual([]);
  });
});
