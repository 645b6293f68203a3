/** A monitor in words: its state, its columns in the order in which they need a look, a column's bins. */
import type { Monitor, MonitorColumn, MonitorDistribution } from "../api/native";
import type { State } from "../components/basics";
import { measure, plural } from "./format";

const STATES: Record<string, [State, string]> = {
  drifting: ["bad", "drifting"],
  stopped: ["bad", "stopped"],
  shifted: ["warn", "shifted a little"],
  steady: ["ok", "steady"],
  learning: ["none", "learning"],
  waiting: ["none", "waiting for rows"],
};

/** A monitor's state as a mark and words. */
export function stateWords(monitor: Pick<Monitor, "state">): [State, string] {
  return STATES[monitor.state] ?? ["none", monitor.state];
}

const STANDINGS: Record<string, [State, string]> = {
  drift: ["bad", "drift"],
  unlike: ["warn", "cannot be compared"],
  shifted: ["warn", "shifted a little"],
  steady: ["ok", "steady"],
  learning: ["none", "learning"],
  waiting: ["none", "waiting for rows"],
};

/** Where a column stands as a mark and words. */
export function standingWords(column: Pick<MonitorColumn, "standing">): [State, string] {
  return STANDINGS[column.standing] ?? ["none", column.standing];
}

/** A column, and the rows of it. */
export function columnName(column: Pick<MonitorColumn, "name" | "segment">): string {
  return column.segment ? `${column.name} where ${column.segment}` : column.name;
}

/** Where two columns stand alike, the one that moved further comes first. */
export function sorted(columns: MonitorColumn[]): MonitorColumn[] {
  const order = Object.keys(STANDINGS);
  const place = (c: MonitorColumn) => {
    const at = order.indexOf(c.standing);
    return at < 0 ? order.length : at;
  };
  return [...columns].sort((a, b) => place(a) - place(b) || b.distance - a.distance);
}

/** How far the bet is on its way to being sure, 0 to 1. */
export function sureness(column: Pick<MonitorColumn, "logE" | "logSure">): number {
  if (column.logSure <= 0) return 0;
  return Math.min(1, Math.max(0, column.logE / column.logSure));
}

/** What a column is compared with, in words. */
export function referenceWords(column: Pick<MonitorColumn, "reference" | "learned">): string {
  const what: Record<string, string> = {
    profile: "a saved profile",
    "first-rows": "the version’s first rows",
    window: "the rows before",
  };
  const words = what[column.reference] ?? column.reference;
  return column.learned ? `${words}, ${plural(column.learned, "row")} so far` : words;
}

/** A bin of a column: its name, and the shares of both sides' rows in it, 0 to 1. */
export interface Bin {
  /** Its place; names may be alike where edges are close. */
  at: number;
  name: string;
  reference: number;
  window: number;
}

function share(counts: number[]): (at: number) => number {
  const all = counts.reduce((a, b) => a + b, 0);
  return (at) => (all > 0 ? (counts[at] ?? 0) / all : 0);
}

/**
 * A column's bins with the shares of its reference and of the window. The last one is of missing values and left out
 * while neither side has any. Bins of hashed texts have no names; those that nobody is in are left out.
 */
export function bins(d: Pick<MonitorDistribution, "edges" | "referenceCounts" | "windowCounts">): Bin[] {
  const [reference, window] = [share(d.referenceCounts), share(d.windowCounts)];
  const last = Math.max(d.referenceCounts.length, d.windowCounts.length) - 1;
  const edges = d.edges ?? undefined;
  const name = (at: number) => {
    if (at === last) return "missing";
    if (!edges) return `group ${at + 1}`;
    if (edges.length === 0) return "all values";
    if (at === 0) return `up to ${measure(edges[0], 4)}`;
    const from = measure(edges[at - 1], 4);
    return at < edges.length ? `${from} to ${measure(edges[at], 4)}` : `over ${from}`;
  };
  const all = Array.from({ length: last + 1 }, (_, at) => ({
    at,
    name: name(at),
    reference: reference(at),
    window: window(at),
  }));
  return all.filter((bin, at) => (edges && at < last) || bin.reference > 0 || bin.window > 0);
}
