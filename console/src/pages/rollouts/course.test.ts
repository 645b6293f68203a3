import { expect, it, vi } from "vitest";
import type { RolloutMetricCourse } from "../../api/native";
import { drawn } from "./course";

vi.mock("uplot", () => ({ default: class {} }));

const course = (ends: [number | undefined, number | undefined][]): RolloutMetricCourse => ({
  name: "liked",
  role: "success",
  scale: "difference",
  points: ends.map(([low, high], i) => ({
    at: new Date(10_000 * (i + 1)).toISOString(),
    effect: { estimate: 0.05, ...(low === undefined ? {} : { low }), ...(high === undefined ? {} : { high }) },
    units: [10, 10],
  })),
});

it("draws an effect between its ends, against no effect", () => {
  const { x, series, left } = drawn(
    course([
      [-0.2, 0.3],
      [0.01, 0.09],
    ]),
    0,
  );
  expect([x, left]).toEqual([[10, 20], 0]);
  expect(series.map((s) => [s.label, s.values])).toEqual([
    ["effect, difference", [0.05, 0.05]],
    ["upper end", [0.3, 0.09]],
    ["lower end", [-0.2, 0.01]],
    ["no effect", [0, 0]],
  ]);
});

it("begins where the range fits beside what it is now, and leaves out an end that there is not", () => {
  const long = drawn(
    course([
      [-50, 50],
      [-0.2, 0.3],
      [0.01, 0.09],
    ]),
    0,
  );
  expect([long.x, long.left]).toEqual([[20, 30], 1]);
  const open = drawn(
    course([
      [-5, undefined],
      [0.01, undefined],
    ]),
    0,
  );
  expect([open.x, open.left]).toEqual([[10, 20], 0]);
  expect(open.series[1]?.values).toEqual([null, null]);
  expect(drawn(course([]), 0)).toMatchObject({ x: [], left: 0 });
});

it("draws no limit that nobody knows here", () => {
  const mean = { ...course([[0.1, 0.2]]), scale: "mean" };
  expect(drawn(mean, undefined).series.map((s) => s.label)).toEqual(["effect, mean", "upper end", "lower end"]);
  expect(drawn(mean, 0.3).series.at(-1)).toMatchObject({ label: "limit", values: [0.3] });
});
