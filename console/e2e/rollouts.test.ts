/** A rollout of a second version: seen, paused, resumed and aborted, in the browser against the real server. */
import { beforeAll, describe, expect, inject, it } from "vitest";
import { axe, desk, drawn, focusShown, open, overflow, shot, tabTo, ui } from "./browser";
import { until } from "./seed";

const at = desk();

const SPEC = `apiVersion: mainspring/v1
kind: Deployment
name: garden
model: models:/iris/1
---
apiVersion: mainspring/v1
kind: Rollout
name: garden-v2
deployment: garden
candidates: [{name: v2, model: models:/iris/2}]
steps:
  - canary: {weight: 40, minExposures: 1000000}
  - abTest: {maxDuration: 7d}
warmupExclude: 0s
metrics:
  guardrails: [{name: errors, kind: errors}]
`;

async function rollout(): Promise<{ phase: string; variants: { units: number }[] }> {
  return (await fetch(`${inject("base")}/api/v1/rollouts/garden-v2`)).json();
}

beforeAll(async () => {
  const applied = await fetch(`${inject("base")}/api/v1/apply`, {
    method: "POST",
    headers: { "content-type": "application/yaml" },
    body: SPEC,
  });
  expect(applied.status, await applied.text()).toBe(200);
  await until("the rollout is in its first step", async () => (await rollout()).phase === "step");
  await until("both variants answered", async () => {
    await fetch(`${inject("base")}/api/v1/deployments/garden/predict`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ rows: [{ "X[0]": 5.1, "X[1]": 3.5, "X[2]": 1.4, "X[3]": 0.2 }] }),
    });
    return (await rollout()).variants.every((v) => v.units > 0);
  });
});

describe("a rollout", () => {
  it("is found from its deployment, and says where it is and what it measured", async () => {
    const { page, problems } = await open(at.context, ui("/deployments/garden"));
    await page.getByRole("link", { name: "garden-v2" }).click();
    await page.getByText("step 1 of 2, canary 40%").waitFor();
    const metrics = page.getByRole("table", { name: "Metrics", exact: true });
    await metrics.getByRole("rowheader", { name: /^errors/ }).waitFor();
    await page.getByText(/fit the weights\.$/).waitFor();
    await page.getByRole("img", { name: /^Effect on errors\. \d+ points/ }).waitFor();
    await drawn(page);
    expect(await axe(page)).toEqual([]);
    await shot(page, "rollout-1280-light");
    await page.setViewportSize({ width: 390, height: 844 });
    // The chart takes its new width when the browser tells it.
    await until("the page fits", async () => (await overflow(page)) === 0);
    await shot(page, "rollout-390-light");
    expect(problems).toEqual([]);
    await page.getByRole("link", { name: "garden", exact: true }).click();
    await page.getByRole("heading", { level: 1, name: /^garden/ }).waitFor();
  });

  it("is paused by keyboard, resumed and aborted, and the log says by whom", async () => {
    const { page } = await open(at.context, ui("/rollouts/garden-v2"));
    await tabTo(page, "Pause", "button");
    expect(await focusShown(page)).toBe(true);
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Pause garden-v2?" }).waitFor();
    expect(await axe(page)).toEqual([]);
    await tabTo(page, "Pause", "button");
    await page.keyboard.press("Enter");
    await page.getByText("It waits for Resume.").waitFor();
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Resume" }).click();
    await page.getByText("step 1 of 2, canary 40%").waitFor();
    await page.getByRole("button", { name: "Abort" }).click();
    const dialog = page.getByRole("dialog", { name: "Abort garden-v2?" });
    await dialog.getByText(/all the traffic of garden again/).waitFor();
    await dialog.getByLabel("Reason").fill("the frost came early");
    await dialog.getByRole("button", { name: "Abort" }).click();
    await page
      .getByText(/aborted it; the reason given: the frost came early/)
      .first()
      .waitFor();
    await page.getByRole("button", { name: "Begin again" }).waitFor();
    expect((await rollout()).phase).toBe("rolledBack");
    await page.getByText(/paused it; the weights stay as they are/).waitFor();
  });
});

const BANDIT = `apiVersion: mainspring/v1
kind: Deployment
name: orchard
model: models:/iris/1
---
apiVersion: mainspring/v1
kind: Rollout
name: orchard-best
deployment: orchard
candidates: [{name: v2, model: models:/iris/2}, {name: twin, model: models:/iris/1}]
steps: [{bandit: {period: 1h, maxDuration: 7d}}]
warmupExclude: 0s
metrics:
  success: [{name: liked, kind: mean, source: "label:liked"}]
`;

describe("a bandit", () => {
  it("shows of each variant what it brings, and what it alone would have brought", async () => {
    const send = (path: string, body: string, type = "application/json") =>
      fetch(`${inject("base")}${path}`, { method: "POST", headers: { "content-type": type }, body });
    const applied = await send("/api/v1/apply", BANDIT, "application/yaml");
    expect(applied.status, await applied.text()).toBe(200);
    let n = 0;
    // Where all or none of a variant's were liked, there is no error to estimate what it alone would have brought.
    await until("each variant was liked by some, and not by others", async () => {
      const row = { "X[0]": 5.1, "X[1]": 3.5, "X[2]": 1.4, "X[3]": 0.2 };
      const answer = await send("/api/v1/deployments/orchard/predict", JSON.stringify({ rows: [row] }));
      const { id } = (await answer.json()) as { id?: string };
      n += 1;
      const feedback = { predictionId: id, name: "liked", value: n % 3 === 0 };
      if (id) await send("/api/v1/feedback", JSON.stringify(feedback));
      const now = await fetch(`${inject("base")}/api/v1/rollouts/orchard-best`);
      const { arms = [] } = (await now.json()) as { arms?: { dr?: unknown }[] };
      return arms.filter((arm) => arm.dr).length === 3;
    });
    const { page, problems } = await open(at.context, ui("/rollouts/orchard-best"));
    const table = page.getByRole("table", { name: "What each variant brings" });
    for (const name of ["stable", "v2", "twin"])
      expect(await table.getByRole("row", { name: new RegExp(`^${name}`) }).innerText()).toMatch(
        /%\s+[\d.]+ ± [\d.e-]+\s+[\d.]+ ± /,
      );
    await drawn(page);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      for (const width of [1280, 390]) {
        await page.setViewportSize({ width, height: 900 });
        await until("the page fits", async () => (await overflow(page)) === 0);
        expect(await axe(page)).toEqual([]);
        await shot(page, `bandit-${width}-${colorScheme}`);
      }
    }
    expect(problems).toEqual([]);
  });
});
