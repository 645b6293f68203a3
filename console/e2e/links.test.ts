/** The links that MLflow's client prints, and people keep, lead to the same things here. */
import { expect, inject, it } from "vitest";
import { desk, open } from "./browser";

const at = desk();

it("follows a link to a run through the redirect of the root", async () => {
  const { experiment, runs } = inject("seeded");
  const { page } = await open(at.context, `${inject("base")}/#/experiments/${experiment}/runs/${runs[1]}`);
  await page.getByRole("heading", { level: 1, name: /logistic-mid/ }).waitFor();
  expect(new URL(page.url()).pathname + new URL(page.url()).hash).toBe(`/ui/runs/${runs[1]}`);
});

it("follows links to experiments, models, comparisons and logged models", async () => {
  const { experiment, runs, loggedModel } = inject("seeded");
  const base = inject("base");
  const { page } = await open(at.context, `${base}/#/experiments/${experiment}`);
  await page.getByRole("heading", { level: 1, name: "iris" }).waitFor();
  await page.getByRole("table", { name: "Runs of iris" }).waitFor();

  // A fragment entered on an open page is followed as well.
  await page.evaluate(() => {
    location.hash = "#/models/iris/versions/1";
  });
  await page.getByRole("button", { name: "Version 1", pressed: true }).waitFor();
  expect(new URL(page.url()).pathname).toBe("/ui/models/iris");

  await page.goto(`${base}/#/compare-runs?runs=${JSON.stringify(runs.slice(0, 2))}&experiments=["1"]`);
  await page.getByText("2 runs").first().waitFor();
  expect(new URL(page.url()).pathname).toBe("/ui/compare");

  await page.goto(`${base}/#/experiments/${experiment}/models/${loggedModel}`);
  await page.getByRole("heading", { level: 1, name: "species" }).waitFor();
});

it("keeps the link through the login", async () => {
  const { page } = await open(at.context, `${inject("locked")}/#/experiments`);
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  await page.getByLabel("API key").fill(inject("key"));
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Experiments" }).waitFor();
  expect(new URL(page.url()).pathname).toBe("/ui/experiments");
});
