import { expect, it } from "vitest";
import type { CostReport } from "../api/native";
import { about, amount, large, perThousand, stepwise } from "./cost";

it("shows the digits of an amount that people read", () => {
  expect(amount("12")).toBe("12");
  expect(amount("12.345678")).toBe("12.3457");
  expect(amount("0.00000041666")).toBe("0.000000417");
  expect(amount("-0.5")).toBe("-0.5");
  expect(amount("3.000012")).toBe("3");
  expect(amount("67.1999971")).toBe("67.2");
  expect(amount("0.99999")).toBe("1");
  expect(amount("-1.00005")).toBe("-1.0001");
  expect(amount("1000000000.99999")).toBe("1000000001");
  expect(about(0.0000818)).toBe("0.0000818");
  expect(about(0)).toBe("0");
  expect(amount(undefined)).toBe("–");
});

it("tells small amounts in millionths where they are large on the page", () => {
  expect(large("67.2", "EUR")).toEqual({ value: "67.2", unit: "EUR" });
  expect(large("0.0001", "EUR")).toEqual({ value: "0.0001", unit: "EUR" });
  expect(large("0.0000029", "EUR")).toEqual({ value: "2.9", unit: "millionths of EUR" });
  expect(large("-0.00009", "EUR")).toEqual({ value: "-90", unit: "millionths of EUR" });
  expect(large("0.000000000416", "EUR")).toEqual({ value: "0.000416", unit: "millionths of EUR" });
  expect(large("0", "EUR")).toEqual({ value: "0", unit: "EUR" });
});

it("shares an amount out without losing a digit of it", () => {
  expect(perThousand("21", 42)).toBe("500");
  expect(perThousand("0.5", 3)).toBe("166.666666666666666666");
  expect(perThousand("0.000000000000000001", 1000)).toBe("0.000000000000000001");
  expect(perThousand("-3.5", 1000)).toBe("-3.5");
  expect(perThousand("0", 7)).toBe("0");
  expect(perThousand("21", 0)).toBeUndefined();
});

const line = (by: Record<string, string>, computeSeconds: number, total?: string) => ({
  by,
  computeSeconds,
  ...(total ? { cost: { total, compute: total, requests: "0" } } : {}),
});

it("draws each day for as long as it is, money where there is some", () => {
  const report = {
    from: "2026-10-31T08:00:00Z",
    until: "2026-11-02T08:00:00Z",
    lines: [
      line({ day: "2026-11-02", deployment: "a" }, 2),
      line({ day: "2026-11-01", deployment: "a" }, 1),
      line({ day: "2026-11-01", deployment: "b" }, 3, "0.5"),
    ],
  } as unknown as CostReport;
  const [a, b] = stepwise(report, "day", "deployment");
  expect(a?.points.map((p) => p.y)).toEqual([0, 1, 2, 2]);
  expect(b?.label).toBe("b");
  expect(b?.points.map((p) => p.y)).toEqual([0, 0.5, 0, 0]);
  expect(b?.points[1]?.x).toBe(Date.UTC(2026, 10, 1) / 1000);
  expect(b?.points[3]?.x).toBe(Date.UTC(2026, 10, 2, 8) / 1000);
});

it("draws a day by its hours", () => {
  const report = {
    from: "2026-11-01T08:30:00.25Z",
    until: "2026-11-01T11:00:00Z",
    lines: [line({ hour: "2026-11-01T09:00:00Z", deployment: "a" }, 2)],
  } as unknown as CostReport;
  const [a] = stepwise(report, "hour", "deployment");
  const hour = (h: number) => Date.UTC(2026, 10, 1, h) / 1000;
  expect(a?.points).toEqual([
    { x: hour(8), y: 0 },
    { x: hour(9), y: 2 },
    { x: hour(10), y: 0 },
    { x: hour(11), y: 0 },
  ]);
});
