/** Runs: searched, drawn, compared, and their files; in the browser against the real server. */
import { describe, expect, inject, it } from "vitest";
import { axe, desk, drawn, focusShown, open, settled, shot, tabTo, ui } from "./browser";

const at = desk();

describe("runs", () => {
  it("filters in MLflow's grammar, keeps the filter in the address and says what is wrong with one", async () => {
    const { page } = await open(at.context, ui(`/experiments/${inject("seeded").experiment}`));
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
    const { page } = await open(at.context, ui(`/experiments/${inject("seeded").experiment}`));
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
    await page.getByRole("img", { name: /loss of 2 runs\. 40 points/ }).waitFor();
  });

  it("writes a filter from the help, and chooses columns", async () => {
    const { page } = await open(at.context, ui(`/experiments/${inject("seeded").experiment}`));
    await page.getByRole("button", { name: "Syntax" }).click();
    expect(await axe(page)).toEqual([]);
    await shot(page, "syntax-1280-light");
    await page.getByRole("button", { name: "attributes.status = 'FAILED'" }).click();
    await page.getByText("1 run: 1 failed").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Columns" }).click();
    expect(await axe(page)).toEqual([]);
    await page.getByRole("checkbox", { name: "team" }).check();
    await page.getByRole("columnheader", { name: "team" }).waitFor();
    expect(page.url()).toContain("tags.team");
    await page.getByRole("checkbox", { name: "loss" }).uncheck();
    await page.getByRole("columnheader", { name: "loss" }).waitFor({ state: "detached" });
    await page.getByRole("button", { name: "The usual columns" }).click();
    await page.getByRole("columnheader", { name: "loss" }).waitFor();
  });

  it("draws the curves of an experiment: against time, smoothed, in part, without one run, all by keyboard", async () => {
    const { page } = await open(at.context, ui(`/experiments/${inject("seeded").experiment}`));
    await tabTo(page, "Charts", "button");
    expect(await focusShown(page)).toBe(true);
    await page.keyboard.press("Enter");
    const loss = page.getByRole("img", { name: /^loss of 3 runs/ });
    await loss.waitFor();
    await tabTo(page, "Time taken", "button");
    await page.keyboard.press("Enter");
    await page.waitForURL(/axis=time/);
    await tabTo(page, "Log scale", "button");
    await page.keyboard.press("Space");
    await page.waitForURL(/log=yes/);
    await tabTo(page, /^Smoothing/);
    for (let i = 0; i < 5; i += 1) await page.keyboard.press("ArrowRight");
    await page.waitForURL(/smooth=0\.05/);
    await tabTo(page, "Shown from");
    await page.keyboard.type("10");
    await page.keyboard.press("Tab");
    await page.keyboard.type("20");
    await page.keyboard.press("Enter");
    await page.waitForURL(/x=10\.\.20/);
    await tabTo(page, "logistic-mid", "button");
    await page.keyboard.press("Enter");
    const name = page.getByRole("button", { name: "logistic-mid" });
    expect(await name.getAttribute("aria-pressed")).toBe("false");
    expect(await axe(page)).toEqual([]);
    await shot(page, "experiment-curves-1280-light");
    await page.getByRole("button", { name: "All of it" }).click();
    await page.waitForURL((url) => !url.searchParams.has("x"));
    await page.reload();
    await page.getByRole("button", { name: "Time taken", pressed: true }).waitFor();
  });

  it("zooms into a curve by dragging over it", async () => {
    const { page } = await open(at.context, ui(`/runs/${inject("seeded").runs[0]}?tab=charts`));
    // Only then does it stay where it is.
    await drawn(page);
    const box = await page.locator(".plot .u-over").first().boundingBox();
    if (!box) throw new Error("there is no plot");
    await page.mouse.move(box.x + box.width * 0.25, box.y + 50);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.75, box.y + 60, { steps: 4 });
    await page.mouse.up();
    await page.waitForURL(/x=/);
    const [from = 0, to = 0] = (new URL(page.url()).searchParams.get("x") ?? "").split("..").map(Number);
    expect(from).toBeGreaterThan(8);
    expect(from).toBeLessThan(12);
    expect(to).toBeGreaterThan(27);
    expect(to).toBeLessThan(31);
  });

  it("draws params and results of compared runs as lines, and leaves a run out", async () => {
    const { page } = await open(at.context, ui(`/compare?runs=${inject("seeded").runs.join(",")}`));
    await page.getByRole("img", { name: /^3 runs over learning_rate, / }).waitFor();
    await page.getByRole("button", { name: "Leave out logistic-mid" }).click();
    await page.getByRole("img", { name: /^2 runs over learning_rate, / }).waitFor();
    expect(page.url()).not.toContain(inject("seeded").runs[1]);
  });

  it("previews text, JSON, CSV and pictures, and the files of a logged model", async () => {
    const { runs, loggedModel } = inject("seeded");
    const { page, problems } = await open(at.context, ui(`/runs/${runs[0]}?tab=artifacts`));
    await page.getByRole("button", { name: /report\.json/ }).click();
    await page.getByText('"setosa": 1').waitFor();
    await page.getByRole("button", { name: /plots\// }).click();
    await page.getByRole("button", { name: /confusion\.csv/ }).click();
    const sheet = page.getByRole("table", { name: "plots/confusion.csv" });
    await sheet.getByRole("cell", { name: "virginica, or near it" }).waitFor();
    expect(await sheet.getByRole("row").count()).toBe(3);
    await page.getByRole("button", { name: /picture\.png/ }).click();
    const picture = page.getByRole("img", { name: "plots/picture.png" });
    await page.waitForFunction(
      (node) => (node as HTMLImageElement | null)?.naturalWidth === 2,
      await picture.elementHandle(),
    );
    const logged = page.getByRole("region", { name: "Model “species”" });
    await logged.getByRole("button", { name: /MLmodel/ }).click();
    await page.getByText(`models:/${loggedModel}`).waitFor();
    await page.getByText("loader_module: mlflow.onnx").waitFor();
    expect(await axe(page)).toEqual([]);
    expect(problems).toEqual([]);
    await page.goto(ui(`/logged-models/${loggedModel}`));
    await page.getByRole("heading", { level: 1, name: "species" }).waitFor();
    await page.getByRole("link", { name: runs[0]?.slice(0, 8) ?? "" }).waitFor();
  });

  it("deletes a run after asking and restores it", async () => {
    const { page } = await open(at.context, ui(`/runs/${inject("seeded").runs[2]}`));
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    const deleted = page.locator("h1 .status", { hasText: "deleted" });
    await deleted.waitFor();
    await page.getByRole("button", { name: "Restore" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Restore" }).click();
    await deleted.waitFor({ state: "detached" });
  });

  it("shows the same points as a table and previews artifacts", async () => {
    const run = inject("seeded").runs[0];
    const { page } = await open(at.context, ui(`/runs/${run}?tab=charts`));
    await page.getByRole("button", { name: "Table" }).first().click();
    await page.getByRole("row").nth(40).waitFor();
    expect(await page.getByRole("row").count()).toBe(41);
    await page.getByRole("link", { name: "Artifacts" }).click();
    const files = page.getByRole("region", { name: "Artifacts of the run" });
    await files.getByRole("button", { name: /model\// }).click();
    await files.getByRole("button", { name: /MLmodel/ }).click();
    await page.getByText("loader_module: mlflow.onnx").waitFor();
  });
});
