import { expect, it } from "vitest";
import type { MonitorColumn } from "../api/native";
import {
  behind,
  bins,
  columnName,
  detectorName,
  driftedWords,
  eventMarks,
  prospectWords,
  referenceWords,
  shiftWords,
  sideWords,
  sightWords,
  sorted,
  standingWords,
  stateWords,
  sureness,
  timeline,
} from "./monitor";

const column = (name: string, standing: string, distance = 0): MonitorColumn => ({
  name,
  journalColumn: name,
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
  expect(stateWords({ state: "degraded" })).toEqual(["bad", "probably worse"]);
  expect(prospectWords({ standing: "doubtful" })).toEqual(["warn", "perhaps beyond its limit"]);
  expect(prospectWords({ standing: "new" })).toEqual(["none", "new"]);
  expect(stateWords({ state: "asleep" })).toEqual(["none", "asleep"]);
  expect(standingWords({ standing: "unlike" })).toEqual(["warn", "cannot be compared"]);
  expect(columnName({ name: "in.age", segment: "in.plan = gold" })).toBe("in.age where in.plan = gold");
  expect(referenceWords({ reference: "first-rows", learned: 1200 })).toBe(
    "the version’s first rows, 1,200 rows so far",
  );
});

it("says of what is drifted whether the monitor's own test finds it moved", () => {
  const said = (drifted: string[], ...standings: string[]) =>
    driftedWords({ drifted, columns: standings.map((standing) => column("a", standing)) });
  expect(said(["a"], "drift")).toBe("has drifted");
  expect(said(["a", "b"], "drift", "steady")).toBe("have drifted");
  expect(said(["a"], "learning")).toBe("is called changed by detectors");
  expect(said(["a", "b"], "steady")).toBe("are called changed by detectors");
});

it("says what a stream detector calls, and marks it in the column's timeline", () => {
  expect(sightWords({ standing: "drift" })).toEqual(["bad", "calls a change"]);
  expect(sightWords({ standing: "new" })).toEqual(["none", "new"]);
  expect([detectorName({ detector: "kswin" }), detectorName({ detector: "new" })]).toEqual(["KSWIN", "new"]);
  const event = {
    seq: 1,
    at: "2026-11-26T09:45:00Z",
    kind: "detected",
    drifting: true,
    sentence: "",
    numbers: { detections: [{ column: "in.age" }] },
  };
  expect(eventMarks([event], { name: "in.age" }).map((m) => m.label)).toEqual(["detected"]);
  expect(eventMarks([event], { name: "in.age", segment: "in.plan = gold" })).toEqual([]);
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

it("keeps the four kinds of drift apart in words", () => {
  expect(["covariate", "prediction", "label", "concept", "new"].map((drift) => sideWords({ drift }))).toEqual(
    ["inputs", "answers", "what was true", "how wrong it was", "new"],
  );
});

it("says how far a column moved the answers in their unit", () => {
  expect(shiftWords({ shift: 0.1234 }, "number")).toBe("+0.123");
  expect(shiftWords({ shift: -2 }, "probability")).toBe("−2");
  expect(shiftWords({ shift: 0.25 }, "class")).toBe("25 % to another class");
  expect(shiftWords({}, "number")).toBe("–");
});

it("draws looks beyond chance beside the level of drift", () => {
  const at = (minute: number, distance: number) => ({
    at: `2026-11-26T10:0${minute}:00Z`,
    columns: [{ name: "in.x", distance, chance: 0.1, standing: "steady" }],
  });
  const drawn = timeline([at(0, 0.05), at(1, 0.4)], 0.1);
  expect(drawn.x).toEqual([1795687200, 1795687260]);
  expect(drawn.series[0]?.values[0]).toBe(0);
  expect(drawn.series[0]?.values[1]).toBeCloseTo(0.3);
  expect(drawn.series[1]?.values).toEqual([0.1, 0.1]);
});

it("marks what was told of that column, and each change of version", () => {
  const event = (seq: number, kind: string, columns?: object[]) => ({
    seq,
    at: `2026-11-26T10:0${seq}:00Z`,
    kind,
    drifting: true,
    sentence: "",
    numbers: columns ? { columns } : {},
  });
  const all = [
    event(1, "drifted", [{ column: "in.x", segment: null }]),
    event(2, "drifted", [{ column: "in.x", segment: "in.plan = gold" }]),
    event(3, "drifted", [{ column: "in.y", segment: null }]),
    event(4, "replaced"),
  ];
  expect(eventMarks(all, { name: "in.x" }).map((m) => m.label)).toEqual(["drifted", "replaced"]);
  expect(eventMarks(all, { name: "in.x", segment: "in.plan = gold" })).toHaveLength(2);
});

it("leads from a look to its predictions, with every name quoted", () => {
  const at = Date.parse("2026-11-26T10:05:00Z");
  const m = { deployment: "it's", variant: "stable" };
  expect(behind(m, { name: 'in.a"b[3]', journalColumn: 'in.a"b', segment: "in.plan = o'clock" }, at)).toBe(
    "SELECT event_id, at, version, \"in.a\"\"b\" FROM predictions WHERE deployment = 'it''s' AND variant = 'stable' AND CAST(\"in.plan\" AS VARCHAR) = 'o''clock' AND at < TIMESTAMP '2026-11-26T10:05:00.000Z' AND at >= TIMESTAMP '2026-11-26T10:00:00.000Z' ORDER BY at DESC LIMIT 200",
  );
  const label = { name: "y", wait: "1h", rows: 3, seenUntil: "2026-11-26T10:00:00Z", errors: [] };
  const sql = behind({ ...m, label }, { name: "error.y", journalColumn: "error.y" }, at);
  expect(sql).toContain("feedback_value FROM labeled");
  expect(sql).toContain("feedback_name = 'y'");
});
