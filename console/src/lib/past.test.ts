import { expect, it } from "vitest";
import { fill, sqlOf, ticksOf } from "./past";

const stretch = { seconds: 120, bucket: 30 };
const NOW = Date.parse("2026-11-24T10:02:10Z");

it("makes one tick a bucket, with zeros where nothing came and rates per second", () => {
  const rows = [
    ["2026-11-24T10:01:00Z", "churn", "1", 60, 0, 900, 1000, 2000, 100, 700, 50],
    ["2026-11-24T10:01:30Z", "churn", "1", 30, 3, 900, 1000, 2000, 100, 700, 50],
    ["2026-11-24T10:01:30Z", "churn", "2", 90, 0, 400, 500, 600, 10, 300, 20],
  ];
  const ticks = ticksOf(rows, stretch, NOW);
  expect(ticks.map((t) => new Date(t.atMs).toISOString().slice(14, 19))).toEqual([
    "00:00",
    "00:30",
    "01:00",
    "01:30",
    "02:00",
  ]);
  const [, , minute, half, now] = ticks;
  expect(minute?.versions.map((v) => [v.version, v.answered])).toEqual([
    ["1", 2],
    ["2", 0],
  ]);
  expect(half?.versions[0]?.failed).toBe(0.1);
  expect(half?.versions[1]?.latency?.p99).toBe(0.6);
  expect(half?.versions[1]?.queue?.mean).toBe(0.01);
  expect(now?.versions.every((v) => v.answered === 0 && v.latency === undefined)).toBe(true);
});

it("draws nothing for a deployment without requests, and quotes its name", () => {
  expect(ticksOf([], stretch, NOW)).toEqual([]);
  expect(sqlOf("o'clock", stretch)).toContain("deployment = 'o''clock'");
});

it("begins at the first request, with a few buckets at least", () => {
  const long = { seconds: 3600, bucket: 10 };
  const row = (at: string) => [at, "churn", "1", 1, 0, 1, 1, 1, 1, 1, 1];
  expect(ticksOf([row("2026-11-24T10:02:00Z")], long, NOW)).toHaveLength(31);
  const [first] = ticksOf([row("2026-11-24T09:40:00Z")], long, NOW);
  expect(new Date(first?.atMs ?? 0).toISOString()).toBe("2026-11-24T09:40:00.000Z");
  expect(ticksOf([row("2026-11-24T08:00:00Z")], long, NOW)).toHaveLength(361);
});

it("names no deployment when it asks for all of them", () => {
  expect(sqlOf(undefined, stretch)).toContain("where row = 0");
});

it("fills the window before the live ticks, without overlap", () => {
  const tick = (atMs: number) => ({ atMs, versions: [] });
  const before = [tick(0), tick(1000), tick(200_000), tick(201_000), tick(202_000)];
  expect(fill(before, []).map((t) => t.atMs)).toEqual([0, 1000, 200_000, 201_000]);
  expect(fill(before, [tick(202_500), tick(203_500)]).map((t) => t.atMs)).toEqual([
    200_000, 201_000, 202_500, 203_500,
  ]);
});
