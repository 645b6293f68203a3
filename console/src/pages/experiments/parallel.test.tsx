import { expect, it } from "vitest";
import type { Run } from "../../api/native";
import { uprights } from "./parallel";

function run(params: Record<string, string>, metrics: Record<string, number>): Run {
  return { id: JSON.stringify(params), name: "", params, metrics } as unknown as Run;
}

const runs = [
  run({ depth: "2", model: "tree", seed: "7" }, { auc: 0.5 }),
  run({ depth: "4", model: "forest", seed: "7" }, { auc: 0.75 }),
  run({ depth: "6", seed: "7" }, { auc: Number.NaN }),
];

it("puts numbers and words on axes, and leaves out what does not differ", () => {
  const axes = uprights(runs, ["params.depth", "params.model", "params.seed", "metrics.auc"]);
  expect(axes.map((a) => a.label)).toEqual(["depth", "model", "auc"]);
  expect(axes.map((a) => a.heights)).toEqual([
    [0, 0.5, 1],
    [1, 0, undefined],
    [0, 1, undefined],
  ]);
  expect(axes[1]?.ticks.map((t) => t.label)).toEqual(["forest", "tree"]);
});
