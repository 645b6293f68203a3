import { describe, expect, it } from "vitest";
import type { PerformanceGroup, PerformanceReport, VersionDetail } from "../api/native";
import {
  asked,
  behind,
  betweenWords,
  columnsOf,
  comparisonOf,
  daysOf,
  drawn,
  estimateAsked,
  estimateWords,
  groupName,
  instant,
  labelOf,
  labelsSql,
  line,
  metricNames,
  performancePage,
  signed,
  windowName,
  windows,
  words,
} from "./performance";

const group = (
  by: Record<string, string>,
  metrics: PerformanceGroup["metrics"] = [],
  [rows, labeled] = [10, 5],
): PerformanceGroup => ({ by, rows: rows ?? 0, labeled: labeled ?? 0, unfit: 0, metrics });

const accuracy = (value: number, low?: number, high?: number) => ({
  name: "accuracy",
  value,
  ...(low === undefined ? {} : { low }),
  ...(high === undefined ? {} : { high }),
});

const report = (more: Partial<PerformanceReport> = {}): PerformanceReport => ({
  deployment: "churn",
  label: "churned",
  task: "classification",
  prediction: "out.label",
  from: "2026-11-23T21:50:00.000123Z",
  until: "2026-11-25T08:00:00Z",
  confidence: 0.95,
  overall: group({}),
  groups: [],
  comparisons: [],
  notes: [],
  ...more,
});

describe("what is asked", () => {
  const plain = { label: "label", prediction: "", task: "", days: "7" };

  it("leaves out what the server finds out, in the call and in the command", () => {
    expect(asked(plain)).toEqual({ lastSeconds: 604_800, label: "label" });
    expect(words("churn", plain)).toEqual(["performance", "churn", "--last", "7d", "--label", "label"]);
    const chosen = { label: "churned", prediction: "score", task: "regression", days: "1" };
    expect(asked(chosen, ["in.plan"])).toEqual({
      lastSeconds: 86_400,
      label: "churned",
      prediction: "score",
      task: "regression",
      by: ["in.plan"],
    });
    expect(words("churn", chosen, ["version", "day"]).join(" ")).toBe(
      "performance churn --last 1d --label churned --prediction score --task regression --by version,day",
    );
  });

  it("takes a time that can be chosen, and the label that there is", () => {
    expect(daysOf("30")).toBe("30");
    expect(daysOf("all")).toBe("7");
    expect(labelOf("", undefined)).toBe("label");
    expect(labelOf("", [])).toBe("label");
    expect(labelOf("", ["churned", "label"])).toBe("label");
    expect(labelOf("", ["churned", "comment"])).toBe("churned");
    expect(labelOf("other", ["churned"])).toBe("other");
    expect(labelsSql("it's", "7")).toContain("deployment = 'it''s' and at > now() - interval '7 days'");
  });

  it("has an address for each choice", () => {
    expect(performancePage("v1.2")).toBe("/deployments/v1.2/performance");
    expect(performancePage("churn", { label: "a b" })).toBe("/deployments/churn/performance?label=a+b");
  });

  it("offers the columns that have one value a row", () => {
    const signature = {
      inputs: [{ name: "X", datatype: "FP32", shape: [-1, 2] }],
      outputs: [
        { name: "label", datatype: "INT64", shape: [-1] },
        { name: "probabilities", datatype: "FP32", shape: [-1, 3] },
        { name: "score", datatype: "FP32", shape: [-1, 1] },
      ],
      columns: [
        { name: "plan", type: "string", required: true },
        { name: "X[1]", type: "FP32", required: true },
        { name: "items", type: "array", required: true },
      ],
    } satisfies VersionDetail["signature"];
    expect(columnsOf(signature)).toEqual({
      inputs: ["in.plan", "in.X[1]"],
      outputs: ["out.label", "out.score"],
    });
    expect(columnsOf({ ...signature, columns: [] }).inputs).toEqual([]);
    expect(columnsOf(undefined)).toEqual({ inputs: [], outputs: [] });
  });
});

describe("what is told", () => {
  it("names metrics with their class, and groups by their values", () => {
    const of = (name: string, cls?: string) => ({ name, value: 1, ...(cls ? { class: cls } : {}) });
    const groups = [group({}, [of("accuracy"), of("recall", "1")]), group({}, [of("recall", "1"), of("f1")])];
    expect(metricNames(groups)).toEqual(["accuracy", "recall (1)", "f1"]);
    expect(groupName(group({ version: "2", "in.plan": "" }))).toBe("2, empty");
  });

  it("writes an interval only with both ends, and a change with its sign", () => {
    expect(betweenWords(accuracy(0.9, 0.81234, 0.95))).toBe("0.8123 to 0.95");
    expect(betweenWords(accuracy(0.9, 0.8))).toBe("");
    expect(betweenWords(undefined)).toBe("");
    expect(signed(0.1234)).toBe("+0.123");
    expect(signed(-0.5)).toBe("−0.5");
  });

  it("finds the comparison of a group by metric and class", () => {
    const difference = { value: -0.2, low: -0.3, high: -0.1 };
    const r = report({
      comparisons: [
        { group: 1, name: "recall", class: "1", difference, differs: true },
        { group: 2, name: "recall", class: "1", difference, differs: false },
      ],
    });
    expect(comparisonOf(r, 2, "recall (1)")?.differs).toBe(false);
    expect(comparisonOf(r, 1, "recall")).toBeUndefined();
  });

  it("puts all groups on one line, with air at both ends", () => {
    const place = line([group({}, [accuracy(0.5, 0.25, 0.75)]), group({}, [accuracy(1)])], "accuracy");
    expect(place?.(0.25)).toBeCloseTo(0.05);
    expect(place?.(1)).toBeCloseTo(0.95);
    expect(line([group({}, [accuracy(1)])], "accuracy")?.(1)).toBe(0.5);
    expect(line([group({})], "accuracy")).toBeUndefined();
  });
});

describe("windows", () => {
  it("reads the moments of groups as UTC", () => {
    const noon = Date.UTC(2026, 10, 24, 12);
    expect(instant("2026-11-24T12:00:00Z")).toBe(noon);
    expect(instant("2026-11-24 12:00:00")).toBe(noon);
    expect(instant("2026-11-24T13:00:00+01:00")).toBe(noon);
    expect(instant("2026-11-24")).toBe(Date.UTC(2026, 10, 24));
  });

  it("has each day, also one without predictions, and cuts the first and the last", () => {
    const r = report({
      groups: [
        group({ day: "2026-11-25T00:00:00Z" }, [accuracy(0.8, 0.7, 0.9)]),
        group({ day: "2026-11-23T00:00:00Z" }, [accuracy(0.6)]),
      ],
    });
    const all = windows(r, "day");
    expect(all.map((w) => windowName(w, "day"))).toEqual(["2026-11-23", "2026-11-24", "2026-11-25"]);
    expect(all[1]?.group).toBeUndefined();
    expect(all[0]?.from).toBe(Date.parse("2026-11-23T21:50:00Z"));
    expect(all[2]?.until).toBe(Date.parse("2026-11-25T08:00:00Z"));
    const { x, series } = drawn(all, "accuracy");
    expect(x[0]).toBe(Date.UTC(2026, 10, 23) / 1000);
    expect(series.map((s) => s.values)).toEqual([
      [0.6, null, 0.8],
      [null, null, 0.9],
      [null, null, 0.7],
    ]);
    // The chart fills what is between two ends, the upper one first.
    expect(series.map((s) => s.edge ?? false)).toEqual([false, true, true]);
  });

  it("draws a young deployment large", () => {
    const days = (day: string) =>
      windows(report({ from: "2026-10-26T08:00:00Z", groups: [group({ day })] }), "day").map((w) =>
        windowName(w, "day"),
      );
    expect(days("2026-11-10T00:00:00Z")[0]).toBe("2026-11-10");
    expect(days("2026-11-25T00:00:00Z")).toHaveLength(7);
    expect(days("2026-10-26T00:00:00Z")).toHaveLength(31);
  });

  it("has the hours of a day", () => {
    const r = report({
      from: "2026-11-24T22:30:00Z",
      until: "2026-11-25T01:00:00Z",
      groups: [group({ hour: "2026-11-24T23:00:00Z" }, [accuracy(1)])],
    });
    const all = windows(r, "hour");
    expect(all.map((w) => windowName(w, "hour"))).toEqual([
      "2026-11-24 22:00",
      "2026-11-24 23:00",
      "2026-11-25 00:00",
    ]);
    expect(all.map((w) => w.group !== undefined)).toEqual([false, true, false]);
  });
});

describe("the rows behind", () => {
  it("are those that the report looked at", () => {
    expect(behind(report(), {})).toBe(`SELECT p.event_id, p.at, p."row", p.variant, p.version, p."out.label"
FROM predictions p
WHERE p.deployment = 'churn'
  AND p.at >= TIMESTAMP '2026-11-23T21:50:00.000123Z'
  AND p.at < TIMESTAMP '2026-11-25T08:00:00Z'
  AND p.outcome = 'ok'
  AND NOT p.forced
  AND p.shadow_of IS NULL
ORDER BY p.at DESC
LIMIT 200`);
  });

  it("of a version are its shadows too, with the label of the answer that the caller got", () => {
    const sql = behind(report({ deployment: "it's" }), { by: { version: "2" }, labeled: true });
    expect(sql).toContain("p.deployment = 'it''s'");
    expect(sql).toContain(`CAST(p."version" AS VARCHAR) = '2'`);
    expect(sql).toContain(`f.value AS "label.churned", f.at AS labeled_at`);
    expect(sql).toContain("ON f.prediction_id = coalesce(p.shadow_of, p.event_id)");
    expect(sql).toContain("f.name = 'churned'");
    expect(sql).not.toContain("shadow_of IS NULL");
  });

  it("of a window are between its ends, and at the edge of the report between those of it", () => {
    const [first, second] = windows(report(), "day");
    if (!first || !second) throw new Error("there are no windows");
    expect(behind(report(), { within: first })).toContain(
      "p.at >= TIMESTAMP '2026-11-23T21:50:00.000123Z'\n  AND p.at < TIMESTAMP '2026-11-24T00:00:00.000Z'",
    );
    expect(behind(report(), { within: second })).toContain(
      "p.at >= TIMESTAMP '2026-11-24T00:00:00.000Z'\n  AND p.at < TIMESTAMP '2026-11-25T00:00:00.000Z'",
    );
  });

  it("of a column have its value, none, an element of a list, or are in a quarter", () => {
    const kinds = {
      "in.plan": "Utf8View",
      "in.age": "Int64",
      "in.X": "List(Float32, field: 'item')",
      "in.Y[0]": "Float64",
    };
    const of = (name: string, value: string) => behind(report(), { by: { [name]: value }, kinds });
    expect(of("in.plan", "go'ld")).toContain(`CAST(p."in.plan" AS VARCHAR) = 'go''ld'`);
    expect(of("week", "2026-11-23T00:00:00Z")).toContain(
      "CAST(date_trunc('week', p.at) AS VARCHAR) = '2026-11-23T00:00:00Z'",
    );
    expect(of("in.plan", "1 to 2")).toContain(`CAST(p."in.plan" AS VARCHAR) = '1 to 2'`);
    expect(of("in.plan", "(missing)")).toContain(`p."in.plan" IS NULL`);
    expect(of("in.age", "< 30.5")).toContain(`CAST(p."in.age" AS DOUBLE) < 30.5\n`);
    expect(of("in.age", "-1 to 40")).toContain(
      `CAST(p."in.age" AS DOUBLE) >= -1 AND CAST(p."in.age" AS DOUBLE) < 40\n`,
    );
    expect(of("in.age", "7")).toContain(`CAST(p."in.age" AS VARCHAR) = '7'`);
    expect(of("in.Y[0]", ">= 0.1")).toContain(`CAST(p."in.Y[0]" AS DOUBLE) >= 0.1\n`);
    // A 32-bit number is written as short as that is.
    expect(of("in.X[0]", ">= 5.1")).toContain(`CAST(p."in.X"[1] AS DOUBLE) >= 5.099999904632568\n`);
    expect(of("in.X[2]", "4.9")).toContain(`CAST(p."in.X"[3] AS VARCHAR) = '4.9'`);
  });
});

it("asks for an estimate of the same time, from labelled rows before it or from a version's file", () => {
  const choices = { label: "churned", prediction: "label", task: "", days: "7" };
  expect(estimateAsked(choices)).toEqual({
    window: { lastSeconds: 604_800 },
    label: "churned",
    prediction: "label",
  });
  expect(estimateAsked(choices, "models:/churn/3").reference).toEqual({ model: "models:/churn/3" });
  expect(estimateWords("churn", choices).join(" ")).toBe(
    "estimate deployment:churn?last=37d deployment:churn?last=7d --label churned --prediction label",
  );
  expect(estimateWords("churn", { ...choices, prediction: "" }, "models:/churn/3").join(" ")).toBe(
    "estimate models:/churn/3 deployment:churn?last=7d --label churned",
  );
});
