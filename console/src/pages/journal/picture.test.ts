import { expect, it } from "vitest";
import type { QueryAnswer } from "../../api/native";
import { pictureOf } from "./picture";

const answer = (columns: [string, string][], rows: unknown[][]) =>
  ({ columns: columns.map(([name, type]) => ({ name, type })), rows }) as unknown as QueryAnswer;
const TIME: [string, string] = ["minute", 'Timestamp(µs, "UTC")'];

it("draws a line for each text beside the time, in the order of time", () => {
  const found = pictureOf(
    answer(
      [TIME, ["deployment", "Utf8"], ["requests", "Int64"]],
      [
        ["2026-11-24T10:01:00Z", "iris", 5],
        ["2026-11-24T10:01:00Z", "wine", 7],
        ["2026-11-24T10:00:00Z", "iris", 3],
      ],
    ),
  );
  expect(found?.x).toEqual([1795514400, 1795514460]);
  expect(found?.series).toEqual([
    { label: "iris", values: [3, 5] },
    { label: "wine", values: [null, 7] },
  ]);
});

it("names the figures where there are several", () => {
  const rows = [
    ["2026-11-24T10:00:00Z", 1, null],
    ["2026-11-24T10:01:00Z", 2, 4],
  ];
  const found = pictureOf(answer([TIME, ["a", "Float64"], ["b", "Int64"]], rows));
  expect(found?.series.map((s) => [s.label, s.values])).toEqual([
    ["a", [1, 2]],
    ["b", [null, 4]],
  ]);
});

it("draws nothing without a time, without figures, of one moment, or of very many lines", () => {
  expect(pictureOf(answer([["n", "Int64"]], [[1], [2]]))).toBeUndefined();
  expect(pictureOf(answer([TIME], [["2026-11-24T10:00:00Z"], ["2026-11-24T10:01:00Z"]]))).toBeUndefined();
  expect(pictureOf(answer([TIME, ["n", "Int64"]], [["2026-11-24T10:00:00Z", 1]]))).toBeUndefined();
  const ids = [
    ["2026-11-24T10:00:00Z", "a", 1],
    ["2026-11-24T10:01:00Z", "b", 1],
  ];
  expect(pictureOf(answer([TIME, ["id", "Utf8"], ["n", "Int64"]], ids))).toBeUndefined();
  const many = Array.from({ length: 40 }, (_, i) => [`2026-11-24T10:00:${10 + i}Z`, `id-${i}`, i]);
  expect(pictureOf(answer([TIME, ["id", "Utf8"], ["n", "Int64"]], many))).toBeUndefined();
});
