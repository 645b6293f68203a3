/** How good predictions were: labels come for some of them, and the page measures; in the browser against the real server. */
import { beforeAll, describe, expect, inject, it } from "vitest";
import { axe, desk, drawn, focusShown, open, overflow, shot, tabTo, ui } from "./browser";
import { until } from "./seed";

const at = desk();

const SPEC = `apiVersion: mainspring/v1
kind: Deployment
name: meadow
model: models:/iris/1
---
apiVersion: mainspring/v1
kind: Deployment
name: fallow
model: models:/iris/1
---
apiVersion: mainspring/v1
kind: Monitor
name: meadow-drift
deployment: meadow
`;

const FLOWERS = [
  [5.1, 3.5, 1.4, 0.2],
  [5.0, 2.0, 3.5, 1.0],
  [6.3, 3.3, 6.0, 2.5],
  [5.7, 4.4, 1.5, 0.4],
];

async function post<T>(path: string, body: unknown, type = "application/json"): Promise<T> {
  const reply = await fetch(`${inject("base")}${path}`, {
    method: "POST",
    headers: { "content-type": type },
    body: type === "application/json" ? JSON.stringify(body) : String(body),
  });
  const text = await reply.text();
  expect(reply.status, text).toBeLessThan(300);
  return JSON.parse(text) as T;
}

interface Answer {
  id: string;
  predictions: { label: number }[];
}

/** Asks about one flower after the other. */
async function ask(deployment: string, times: number): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let i = 0; i < times; i += 1) {
    const row = Object.fromEntries((FLOWERS[i % FLOWERS.length] ?? []).map((v, k) => [`X[${k}]`, v]));
    answers.push(await post<Answer>(`/api/v1/deployments/${deployment}/predict`, { rows: [row] }));
  }
  return answers;
}

interface Measured {
  overall: { labeled: number };
}

const page = (deployment: string, search = "") => ui(`/deployments/${deployment}/performance${search}`);

beforeAll(async () => {
  await post("/api/v1/apply", SPEC, "application/yaml");
  for (const name of ["meadow", "fallow"])
    await until(`${name} is ready`, async () => {
      const reply = await fetch(`${inject("base")}/api/v1/deployments/${name}`);
      return ((await reply.json()) as { summary: { state: string } }).summary.state === "READY";
    });
  // 20 answers, 10 of them with what was true, and 2 of those wrong.
  const answers = await ask("meadow", 20);
  await ask("fallow", 1);
  const feedback = answers.slice(0, 10).map(({ id, predictions }, i) => {
    const said = predictions[0]?.label ?? 0;
    return { predictionId: id, row: 0, name: "species", value: i < 2 ? (said + 1) % 3 : said };
  });
  await post("/api/v1/feedback", { feedback });
  await until("the labels have come", async () => {
    const measured = await post<Measured>("/api/v1/deployments/meadow/performance", { label: "species" });
    return measured.overall.labeled === 10;
  });
});

describe("performance", () => {
  it("is found from the deployment and its monitor, takes the label that there is, and fits", async () => {
    const opened = await open(at.context, ui("/deployments/meadow"));
    await opened.page.getByRole("link", { name: "Performance", exact: true }).click();
    await opened.page.getByRole("heading", { level: 1, name: "Performance of meadow" }).waitFor();
    // Nobody chose a label: it is the one that there is.
    await opened.page.getByText("feedback called “species”").waitFor();
    await opened.page.goto(ui("/monitors/meadow-drift"));
    await opened.page.getByRole("link", { name: "Performance", exact: true }).click();
    await opened.page.getByRole("heading", { level: 1, name: "Performance of meadow" }).waitFor();
    await opened.page.getByRole("link", { name: "10 of 20 predictions" }).waitFor();
    expect(opened.problems).toEqual([]);
    await opened.page.close();

    for (const [width, colorScheme] of [
      [1280, "light"],
      [1280, "dark"],
      [390, "light"],
      [390, "dark"],
    ] as const) {
      const { page: seen, problems, hosts } = await open(at.context, page("meadow", "?by=version"));
      await seen.emulateMedia({ colorScheme });
      await seen.setViewportSize({ width, height: width < 600 ? 844 : 900 });
      await seen.getByRole("table", { name: "Measures by version" }).waitFor();
      await drawn(seen);
      await shot(seen, `performance-${width}-${colorScheme}`);
      expect(await axe(seen)).toEqual([]);
      await until("the page fits", async () => (await overflow(seen)) === 0);
      expect(problems).toEqual([]);
      expect([...hosts]).toEqual([new URL(inject("base")).host]);
      await seen.close();
    }
  });

  it("tells each measure with its interval, by version and by day, and leads to the rows", async () => {
    const { page: seen } = await open(at.context, page("meadow", "?label=species"));
    const measures = seen.getByRole("table", { name: "Measures", exact: true });
    const accuracy = measures.getByRole("row", { name: /^accuracy/ });
    expect(await accuracy.innerText()).toMatch(/0\.8\s+0\.\d+ to 0\.\d+\s+\S/);
    await seen.getByRole("img", { name: /^accuracy by day\. \d+ points\. accuracy: last / }).waitFor();

    await seen.getByLabel("Told apart by").selectOption("version");
    await seen.waitForURL(/by=version/);
    const groups = seen.getByRole("table", { name: "Measures by version" });
    const first = groups.getByRole("row", { name: /^1/ });
    await first.getByText("has the most labels").waitFor();

    await measures.getByRole("button", { name: "f1_macro" }).click();
    await seen.waitForURL(/measure=f1_macro/);
    await seen.getByRole("img", { name: /^f1_macro by day/ }).waitFor();
    // The address holds it all.
    await seen.reload();
    await measures.getByRole("button", { name: "f1_macro", pressed: true }).waitFor();
    expect(await seen.getByLabel("Told apart by").inputValue()).toBe("version");

    await first.getByRole("link", { name: "10", exact: true }).click();
    await seen.getByRole("heading", { level: 2, name: "10 rows" }).waitFor();
    await seen.getByRole("columnheader", { name: "label.species" }).waitFor();
    await seen.goBack();
    const days = seen.getByRole("table", { name: "f1_macro by day" });
    await days.getByRole("link").last().click();
    await seen.getByRole("heading", { level: 2, name: /^\d+ rows?$/ }).waitFor();
    await seen.goBack();
    await seen.getByRole("link", { name: "the predictions behind it" }).click();
    await seen.getByRole("columnheader", { name: "label.species" }).waitFor();
    expect(await seen.getByRole("alert").count()).toBe(0);
  });

  it("estimates what has no label yet only when it is asked to, and says what is missing", async () => {
    const { page: seen, problems } = await open(at.context, page("meadow", "?label=species"));
    expect(problems).toEqual([]);
    await seen.getByRole("button", { name: "Estimate", exact: true }).click();
    // Before today nothing was predicted.
    await seen
      .getByText('no row of deployment:meadow has feedback called "species"', { exact: false })
      .waitFor();
    await seen.getByRole("button", { name: "The version’s file" }).click();
    await seen.getByText("names no file of predictions with labels", { exact: false }).waitFor();
    expect(await axe(seen)).toEqual([]);
  });

  it("tells inputs apart, and the rows of a group are those of it", async () => {
    const { page: seen } = await open(at.context, page("meadow", "?label=species&by=in.X%5B0%5D&days=1"));
    const groups = seen.getByRole("table", { name: "Measures by in.X[0]" });
    // Four values, five answers each.
    const group = groups.getByRole("row", { name: /^6\.3/ });
    await group.getByRole("link", { name: "5", exact: true }).click();
    await seen.getByRole("heading", { level: 2, name: "5 rows" }).waitFor();
  });

  it("is chosen without a mouse, and the commands are those of the choice", async () => {
    const { page: seen } = await open(at.context, page("meadow"));
    await tabTo(seen, "Day", "button");
    expect(await focusShown(seen)).toBe(true);
    await seen.keyboard.press("Enter");
    await seen.waitForURL(/days=1/);
    await seen.getByRole("img", { name: /^accuracy by hour/ }).waitFor();
    await tabTo(seen, "Task");
    await seen.keyboard.press("ArrowDown");
    await seen.waitForURL(/task=classification/);
    await seen.getByRole("button", { name: "API · CLI" }).first().click();
    const dialog = seen.getByRole("dialog", { name: "The same from a terminal" });
    const text = await dialog.innerText();
    expect(text).toContain("/api/v1/deployments/meadow/performance");
    expect(text).toContain("mainspring performance meadow --last 1d --label species --task classification");
    expect(await axe(seen)).toEqual([]);
  });

  it("says in the server's words what cannot be measured", async () => {
    const { page: seen } = await open(at.context, page("meadow", "?label=species&by=in.mood"));
    const alert = seen.getByRole("alert");
    await alert.waitFor();
    expect(await alert.innerText()).toContain('"meadow" has no column "in.mood"');
    // What does not need the column is there.
    await seen.getByRole("table", { name: "Measures", exact: true }).getByText("accuracy").first().waitFor();
    await seen.goto(page("meadow", "?label=species&prediction=colour"));
    await seen.getByText('"meadow" has no output "colour"').waitFor();
  });

  it("teaches the command that sends a label, which works", async () => {
    const { page: seen } = await open(at.context, page("fallow"));
    await seen
      .getByText('none of the 1 predictions of "fallow" has feedback called "label"', { exact: false })
      .waitFor();
    expect(await axe(seen)).toEqual([]);
    await shot(seen, "performance-empty-1280-light");
    const text = await seen.locator(".empty pre").innerText();
    const [, url = "", body = ""] =
      /^curl -sS (\S+) -H 'content-type: application\/json' -d '(.*)'$/.exec(text) ?? [];
    expect(new URL(url).pathname).toBe("/api/v1/feedback");
    await post("/api/v1/feedback", JSON.parse(body));
    await until("the label has come", async () => {
      const reply = await fetch(`${inject("base")}/api/v1/deployments/fallow/performance`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}",
      });
      return reply.ok;
    });
    await seen.reload();
    await seen.getByRole("link", { name: "1 of 1 prediction", exact: true }).waitFor();
  });
});
