import { expect, it } from "vitest";
import type { LiveTick } from "../api/native";
import { addTick, WINDOW } from "./live";

it("keeps ticks in order, once each, within the window", () => {
  const tick = (s: number): LiveTick => ({ atMs: s * 1000, versions: [] });
  let ticks = [tick(1), tick(2)];
  expect(addTick(ticks, tick(2))).toBe(ticks);
  expect(addTick(ticks, tick(1))).toBe(ticks);
  ticks = addTick(ticks, tick(2 + WINDOW));
  expect(ticks.map((t) => t.atMs / 1000)).toEqual([2 + WINDOW]);
});
