import { expect, it } from "vitest";
import type { MonitorColumn } from "../api/native";
import { bins, columnName, referenceWords, sorted, standingWords, stateWords, sureness } from "./monitor";

const column = (name: string, standing: string, distance = 0): MonitorColumn => ({
  name,
  drift: "covariate",
  standing,
  since: "2026-11-26T09:45:00Z",
  reference: "profile",
  tested: 0,
  windowRows: 0,
  distance,
  chance: 0.1,
  logE: 0,
  logSure: 8,
});

it("puts what needs a look first, and of those what moved furthest", () => {
  const all = [
    column("a", "steady", 0.3),
    column("b", "drift", 0.2),
    column("c", "learning"),
    column("d", "drift", 0.4),
    column("e", "new word"),
    column("f", "unlike"),
  ];
  expect(sorted(all).map((c) => c.name)).toEqual(["d", "b", "f", "a", "c", "e"]);
});

it("says every state and standing, also one that it does not know", () => {
  expect(stateWords({ state: "drifting" })).toEqual(["bad", "drifting"]);
  expect(stateWords({ state: "asleep" })).toEqual(["none", "asleep"]);
  expect(standingWords({ standing: "unlike" })).toEqual(["warn", "cannot be compared"]);
  expect(columnName({ name: "in.age", segment: "in.plan = gold" })).toBe("in.age where in.plan = gold");
  expect(referenceWords({ reference: "first-rows", learned: 1200 })).toBe(
    "the version’s first rows, 1,200 rows so far",
  );
});

it("measures the evidence against what is needed to be sure", () => {
  expect(sureness({ logE: 4, logSure: 8 })).toBe(0.5);
  expect(sureness({ logE: -1, logSure: 8 })).toBe(0);
  expect(sureness({ logE: 300, logSure: 8 })).toBe(1);
});

it("names the bins by their edges and shows shares", () => {
  const found = bins({ edges: [1, 2], referenceCounts: [2, 1, 1, 0], windowCounts: [0, 0, 10, 0] });
  expect(found).toEqual([
    { at: 0, name: "up to 1", reference: 0.5, window: 0 },
    { at: 1, name: "1 to 2", reference: 0.25, window: 0 },
    { at: 2, name: "over 2", reference: 0.25, window: 1 },
  ]);
  const missing = bins({ edges: [1], referenceCounts: [1, 1, 0], windowCounts: [0, 0, 4] });
  expect(missing.at(-1)).toEqual({ at: 2, name: "missing", reference: 0, window: 1 });
});

it("shows of hashed texts the groups that somebody is in", () => {
  const found = bins({ referenceCounts: [0, 3, 1, 0], windowCounts: [0, 1, 0, 0] });
  expect(found).toEqual([
    { at: 1, name: "group 2", reference: 0.75, window: 1 },
    { at: 2, name: "group 3", reference: 0.25, window: 0 },
  ]);
  expect(bins({ edges: [1], referenceCounts: [0, 0, 0], windowCounts: [] })).toEqual([
    { at: 0, name: "up to 1", reference: 0, window: 0 },
    { at: 1, name: "over 1", reference: 0, window: 0 },
  ]);
});
