import { expect, it } from "vitest";
import type { Run } from "../../api/native";
import { examplesFor, nameOf } from "./search-box";

function run(params: Record<string, string>, metrics: Record<string, number>): Run {
  return { params, metrics, tags: {} } as unknown as Run;
}

it("makes filters from what the runs have, and from a param that differs", () => {
  const runs = [
    run({ data: "a.csv", model: "it's" }, { "val loss": 0.12345 }),
    run({ data: "a.csv", model: "tree" }, { "val loss": 0.2 }),
    run({ data: "a.csv", model: "tree" }, { "val loss": Number.NaN }),
  ];
  const [metric, param, status] = examplesFor(runs);
  expect(metric).toBe("metrics.`val loss` >= 0.2");
  expect(param).toBe("params.model = 'tree'");
  expect(status).toBe("attributes.status = 'FAILED'");
  expect(examplesFor([])[0]).toBe("attributes.status = 'FAILED'");
});

it("puts names that are no words in backticks", () => {
  expect([nameOf("auc"), nameOf("val/auc"), nameOf("1st")]).toEqual(["auc", "`val/auc`", "`1st`"]);
});
