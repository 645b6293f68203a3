import { expect, it } from "vitest";
import type { LiveTick } from "../api/native";
import { addTick, WINDOW } from "./live";

it("keeps ticks in order, once each, within the window, with a break at each gap", () => {
  const tick = (s: number): LiveTick => ({ atMs: s * 1000, versions: [] });
  let ticks = [tick(1), tick(2)];
  expect(addTick(ticks, tick(2))).toBe(ticks);
  expect(addTick(ticks, tick(1))).toBe(ticks);
  expect(addTick(ticks, tick(9)).map((t) => t.atMs / 1000)).toEqual([1, 2, 3, 9]);
  ticks = addTick(ticks, tick(4 + WINDOW));
  expect(ticks.map((t) => t.atMs / 1000)).toEqual([4 + WINDOW]);
});
