import { expect, it } from "vitest";
import { yaml } from "./yaml";

it("writes a declaration as a person would", () => {
  expect(
    yaml({
      apiVersion: "mainspring/v1",
      name: "churn",
      model: "models:/churn@champion",
      default: true,
      engine: { batch: { maxRows: 64, maxDelay: "2ms" } },
      journal: { sample: 0.5, redact: ["email", "full name"] },
    }),
  ).toBe(`apiVersion: mainspring/v1
name: churn
model: models:/churn@champion
default: true
engine:
  batch:
    maxRows: 64
    maxDelay: 2ms
journal:
  sample: 0.5
  redact:
    - email
    - "full name"`);
});

it("quotes what YAML would read as something else", () => {
  expect(yaml({ a: "yes", b: "1.5", c: "", d: "x: y", e: "a #b", f: null, g: [], h: {}, "1k": "-x" })).toBe(
    `a: "yes"\nb: "1.5"\nc: ""\nd: "x: y"\ne: "a #b"\nf: null\ng: []\nh: {}\n"1k": "-x"`,
  );
  expect(yaml([{ a: 1, b: 2 }, 3])).toBe("- a: 1\n  b: 2\n- 3");
});
