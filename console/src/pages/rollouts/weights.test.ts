import { expect, it, vi } from "vitest";
import { steps } from "./weights";

vi.mock("uplot", () => ({ default: class {} }));

const variants = ["stable", "v8"].map((name) => ({
  name,
  model: "",
  weight: 0,
  units: 0,
  stepUnits: 0,
  answers: 0,
}));

it("keeps each weight until the next and the last until the end", () => {
  const drawn = steps(
    {
      variants,
      weights: [
        { since: "1970-01-01T00:00:10Z", weights: [1, 0], shadow: true },
        { since: "1970-01-01T00:00:20Z", weights: [0.95, 0.05], shadow: false },
      ],
    },
    30_000,
  );
  expect(drawn.x).toEqual([10, 20, 30]);
  expect(drawn.series).toEqual([
    { label: "stable", values: [1, 0.95, 0.95] },
    { label: "v8", values: [0, 0.05, 0.05] },
  ]);
  expect(drawn.marks).toEqual([{ x: 10, label: "in the shadow" }]);
});

it("never runs backwards where this machine's clock is behind, and draws nothing before the beginning", () => {
  const weights = [{ since: "1970-01-01T00:00:10Z", weights: [1, 0], shadow: false }];
  expect(steps({ variants, weights }, 0).x).toEqual([10, 11]);
  expect(steps({ variants, weights: [] }, 0).x).toEqual([]);
});
