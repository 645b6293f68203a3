/** Finding things, keys and sessions, in the browser against the real server. */
import { describe, expect, inject, it } from "vitest";
import { axe, desk, open, settled, shot, ui } from "./browser";

const at = desk();

describe("finding", () => {
  it("opens a run from the palette without a mouse", async () => {
    const { page } = await open(at.context, ui("/"));
    const field = page.getByRole("combobox", { name: "Find a run, model, deployment or page" });
    await page.keyboard.press("/");
    // What is typed before it is there goes nowhere.
    await field.waitFor();
    await page.keyboard.type("logistic-mid");
    // What was found for a part of the text may have others before it.
    await page.getByRole("option", { name: /logistic-mid/, selected: true }).waitFor();
    expect(await axe(page)).toEqual([]);
    await shot(page, "palette-1280-light");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: /logistic-mid/ }).waitFor();
    expect(new URL(page.url()).pathname).toBe(`/ui/runs/${inject("seeded").runs[1]}`);
    await page.keyboard.press("Control+k");
    await field.waitFor();
    await page.keyboard.type("Journ");
    // Only that page is called so. Before what was found for less of the text is gone, an arrow may lead to it.
    await page.waitForFunction(() => document.querySelectorAll("[role=option]").length === 1);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Journal" }).waitFor();
  });
});

describe("keys", () => {
  it("makes a key, shows it once and revokes it", async () => {
    const { page } = await open(at.context, ui("/settings/keys"));
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
    const { page } = await open(at.context, `${inject("locked")}/ui/experiments`);
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
