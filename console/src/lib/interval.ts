/** Where an effect and its confidence sequence stand on a line, from 0 to 1; no drawing here. */
import type { RolloutMetric } from "../api/native";

export interface Placed {
  low: number;
  estimate: number;
  high: number;
  /** What it is held against: 0 of a difference, 1 of a ratio, the limit of a mean. */
  against: number;
  /** There is no end on this side, or it is beyond the line. */
  openLow: boolean;
  openHigh: boolean;
  /** What it is held against, in its own unit. */
  value: number;
}

/** Air at both sides, as a part of the line. */
const AIR = 0.06;

/** What an effect is held against, in its own unit; nothing where the limit of a mean is not known here. */
export function heldAgainst(m: Pick<RolloutMetric, "scale" | "stable">): number | undefined {
  return m.scale === "ratio" ? 1 : m.scale === "mean" ? (m.stable ?? undefined) : 0;
}

/**
 * The line of one metric. What it is held against is in the middle, so that the lines of a column can be
 * read together; a ratio has a logarithmic line, where twice and half are as far.
 */
export function placed(m: Pick<RolloutMetric, "effect" | "scale" | "stable">): Placed | undefined {
  const { effect } = m;
  if (!effect || !Number.isFinite(effect.estimate)) return undefined;
  const value = heldAgainst(m) ?? 0;
  const from = (x: number) => (m.scale === "ratio" ? Math.log(Math.max(x, 0)) : x - value);
  const ends = [effect.low, effect.estimate, effect.high].map((x) =>
    x === null || x === undefined ? undefined : from(x),
  );
  const known = ends.filter((x): x is number => x !== undefined && Number.isFinite(x));
  const reach = Math.max(0, ...known.map(Math.abs)) || 1;
  const at = (x: number) => 0.5 + (Math.min(1, Math.max(-1, x / reach)) * (1 - 2 * AIR)) / 2;
  const [low, estimate = 0, high] = ends;
  const openLow = low === undefined || low === Number.NEGATIVE_INFINITY;
  const openHigh = high === undefined;
  return {
    low: openLow ? 0 : at(low),
    estimate: at(estimate),
    high: openHigh ? 1 : at(high),
    against: 0.5,
    openLow,
    openHigh,
    value,
  };
}
