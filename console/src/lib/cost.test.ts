import { expect, it } from "vitest";
import type { CostReport } from "../api/native";
import { amount, daily } from "./cost";

it("shows the digits of an amount that people read", () => {
  expect(amount("12")).toBe("12");
  expect(amount("12.345678")).toBe("12.3456");
  expect(amount("0.00000041666")).toBe("0.000000416");
  expect(amount("-0.5")).toBe("-0.5");
  expect(amount("3.000012")).toBe("3");
  expect(amount(undefined)).toBe("–");
});

it("draws days in their order, money where there is some", () => {
  const line = (day: string, deployment: string, computeSeconds: number, total?: string) => ({
    by: { day, deployment },
    computeSeconds,
    ...(total ? { cost: { total, compute: total, requests: "0" } } : {}),
  });
  const report = {
    from: "2026-10-31T08:00:00Z",
    until: "2026-11-02T08:00:00Z",
    lines: [line("2026-11-02", "a", 2), line("2026-11-01", "a", 1), line("2026-11-01", "b", 3, "0.5")],
  } as unknown as CostReport;
  const [a, b] = daily(report, "deployment");
  expect(a?.points.map((p) => p.y)).toEqual([0, 1, 2]);
  expect(b?.label).toBe("b");
  expect(b?.points.map((p) => p.y)).toEqual([0, 0.5, 0]);
  expect(b?.points[1]?.x).toBe(Date.UTC(2026, 10, 1) / 1000);
});
