import { describe, expect, it } from "vitest";
import { ago, bytes, count, duration, measure, percent, plural, utc } from "./format";

describe("figures", () => {
  it("writes counts with separators and the right plural", () => {
    expect(count(41203)).toBe("41,203");
    expect(plural(1, "run")).toBe("1 run");
    expect(plural(0, "run")).toBe("0 runs");
    expect(plural(2, "entry", "entries")).toBe("2 entries");
  });

  it("keeps the significant digits of a measure and says what is not a number", () => {
    expect(measure(0.987654321)).toBe("0.98765");
    expect(measure(-0.5)).toBe("−0.5");
    expect(measure(1234567.891)).toBe("1,234,600");
    expect(measure(0.00000123)).toBe("1.230e−6");
    expect(measure(Number.NaN)).toBe("NaN");
    expect(measure(Number.NEGATIVE_INFINITY)).toBe("−∞");
    expect(measure(null)).toBe("–");
  });

  it("chooses the unit of a duration", () => {
    expect(duration(0.0000852)).toBe("85.2 µs");
    expect(duration(0.0031)).toBe("3.1 ms");
    expect(duration(0.25)).toBe("250 ms");
    expect(duration(59.94)).toBe("59.9 s");
    expect(duration(200)).toBe("3 min 20 s");
    expect(duration(7500)).toBe("2 h 5 min");
    expect(duration(undefined)).toBe("–");
  });

  it("writes bytes, shares and ages", () => {
    expect(bytes(512)).toBe("512 B");
    expect(bytes(1536)).toBe("1.5 KiB");
    expect(percent(0.9995)).toBe("99.95 %");
    expect(ago(0, 4 * 60_000)).toBe("4 min ago");
    expect(ago(0, 30 * 3_600_000)).toBe("yesterday");
    expect(utc(0)).toBe("1970-01-01 00:00:00 UTC");
  });
});
