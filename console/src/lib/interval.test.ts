import { describe, expect, it } from "vitest";
import { placed } from "./interval";

describe("an effect on its line", () => {
  it("puts no difference in the middle and keeps the distances", () => {
    const p = placed({ scale: "difference", effect: { low: -0.1, estimate: 0.1, high: 0.2 } });
    expect(p).toMatchObject({ against: 0.5, openLow: false, openHigh: false, value: 0 });
    const { low = 0, estimate = 0, high = 0 } = p ?? {};
    expect(0.5 - low).toBeCloseTo(estimate - 0.5);
    expect(high - 0.5).toBeCloseTo(2 * (estimate - 0.5));
    expect(high).toBeLessThan(1);
  });

  it("puts twice and half as far from the middle", () => {
    const p = placed({ scale: "ratio", effect: { low: 0.5, estimate: 1, high: 2 } });
    expect(p?.value).toBe(1);
    expect(p?.estimate).toBeCloseTo(0.5);
    expect(0.5 - (p?.low ?? 0)).toBeCloseTo((p?.high ?? 0) - 0.5);
  });

  it("lets a range leave out the middle only when it does", () => {
    const out = placed({ scale: "ratio", effect: { low: 1.1, estimate: 1.5, high: 3 } });
    expect(out?.low).toBeGreaterThan(0.5);
    const under = placed({ scale: "difference", effect: { low: -3, estimate: -2, high: -1 } });
    expect(under?.high).toBeLessThan(0.5);
  });

  it("draws to the edge where there is no end, and a ratio of nothing too", () => {
    expect(placed({ scale: "difference", effect: { estimate: 0, high: 1 } })).toMatchObject({
      low: 0,
      openLow: true,
      estimate: 0.5,
      openHigh: false,
    });
    expect(placed({ scale: "ratio", effect: { low: 0, estimate: 0, high: 4 } })).toMatchObject({
      low: 0,
      openLow: true,
    });
    expect(placed({ scale: "ratio", effect: { estimate: 1 } })).toMatchObject({
      low: 0,
      high: 1,
      openLow: true,
      openHigh: true,
    });
  });

  it("holds a mean against its limit", () => {
    const p = placed({ scale: "mean", stable: 0.02, effect: { low: 0.001, estimate: 0.005, high: 0.01 } });
    expect(p?.value).toBe(0.02);
    expect(p?.high).toBeLessThan(0.5);
  });

  it("draws nothing without an effect", () => {
    expect(placed({ scale: "ratio" })).toBeUndefined();
    expect(placed({ scale: "ratio", effect: { estimate: Number.NaN } })).toBeUndefined();
  });
});
