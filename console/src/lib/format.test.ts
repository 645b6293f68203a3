import { describe, expect, it } from "vitest";
import { ago, aligned, bytes, decimals, count, duration, measure, percent, plural, utc } from "./format";

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

  it("writes the values of a column with the same digits", () => {
    const column = [0.5, 0.87654321, undefined, Number.NaN];
    const places = decimals(column);
    expect(column.map((v) => aligned(v, places))).toEqual(["0.50000", "0.87654", "–", "NaN"]);
    expect(aligned(0.0000012, places)).toBe("1.200e−6");
    expect(decimals([1200.5, 3])).toBe(1);
    expect(decimals([3, 40])).toBe(0);
    expect(aligned(-3, 0)).toBe("−3");
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
    expect(percent(-0.125, 1)).toBe("−12.5 %");
    expect(ago(0, 4 * 60_000)).toBe("4 min ago");
    expect(ago(0, 30 * 3_600_000)).toBe("yesterday");
    expect(ago(5000, 0)).toBe("just now");
    expect(ago(120_000, 0)).toBe("in the future");
    expect(utc(0)).toBe("1970-01-01 00:00:00 UTC");
  });
});
