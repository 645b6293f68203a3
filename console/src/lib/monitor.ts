/** A monitor in words: its state, its columns in the order in which they need a look, a column's bins. */
import type {
  Monitor,
  MonitorCause,
  MonitorColumn,
  MonitorDetail,
  MonitorDetector,
  MonitorDistribution,
  MonitorEstimate,
  MonitorEvent,
  MonitorPoint,
} from "../api/native";
import { ms } from "../api/native";
import type { State } from "../components/basics";
import type { Mark, Series } from "../components/chart/data";
import { measure, percent, plural } from "./format";

const STATES: Record<string, [State, string]> = {
  drifting: ["bad", "drifting"],
  degraded: ["bad", "probably worse"],
  stopped: ["bad", "stopped"],
  detected: ["warn", "a detector calls a change"],
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

const SIGHTS: Record<string, [State, string]> = {
  drift: ["bad", "calls a change"],
  warning: ["warn", "warns"],
  unlike: ["warn", "cannot see its values"],
  steady: ["ok", "steady"],
  waiting: ["none", "waiting for rows"],
};

/** What a stream detector says as a mark and words. */
export function sightWords(detector: Pick<MonitorDetector, "standing">): [State, string] {
  return SIGHTS[detector.standing] ?? ["none", detector.standing];
}

const PROSPECTS: Record<string, [State, string]> = {
  degraded: ["bad", "surely beyond its limit"],
  doubtful: ["warn", "perhaps beyond its limit"],
  steady: ["ok", "within its limit"],
  waiting: ["none", "waiting for rows"],
};

/** What is said of a metric that is estimated as a mark and words. */
export function prospectWords(estimate: Pick<MonitorEstimate, "standing">): [State, string] {
  return PROSPECTS[estimate.standing] ?? ["none", estimate.standing];
}

/** What is said of the columns that are drifted: where the monitor's own test finds none of them moved, who says so. */
export function driftedWords(monitor: Pick<MonitorDetail, "drifted" | "columns">): string {
  const one = monitor.drifted.length === 1;
  if (monitor.columns.some((column) => column.standing === "drift"))
    return one ? "has drifted" : "have drifted";
  return one ? "is called changed by detectors" : "are called changed by detectors";
}

const DETECTORS: Record<string, string> = {
  adwin: "ADWIN",
  kswin: "KSWIN",
  pageHinkley: "Page–Hinkley",
  ddm: "DDM",
};

/** What a stream detector is called. */
export function detectorName(detector: Pick<MonitorDetector, "detector">): string {
  return DETECTORS[detector.detector] ?? detector.detector;
}

const SIDES: Record<string, string> = {
  covariate: "inputs",
  prediction: "answers",
  label: "what was true",
  concept: "how wrong it was",
};

/** What a column's drift is a drift of. */
export function sideWords(column: Pick<MonitorColumn, "drift">): string {
  return SIDES[column.drift] ?? column.drift;
}

/** How far a column moved the answers, with the unit that these have. */
export function shiftWords(cause: Pick<MonitorCause, "shift">, unit: string | null | undefined): string {
  const { shift } = cause;
  if (shift === undefined || shift === null) return "–";
  if (unit === "class") return `${percent(shift, 0)} to another class`;
  return `${shift > 0 ? "+" : ""}${measure(shift, 3)}`;
}

/** A column's looks as a line, beside the level from which on a change is drift. */
export function timeline(points: MonitorPoint[], least: number): { x: number[]; series: Series[] } {
  const beyond = points.map((p) => {
    const seen = p.columns[0];
    return seen ? Math.max(0, seen.distance - seen.chance) : null;
  });
  return {
    x: points.map((p) => (ms(p.at) ?? 0) / 1000),
    series: [
      { label: "moved beyond chance", values: beyond },
      { label: "called drift from here on", values: points.map(() => least), tone: "bad" },
    ],
  };
}

/** What was told of a column, or of its whole version, as marks of a timeline. */
export function eventMarks(events: MonitorEvent[], column: Pick<MonitorColumn, "name" | "segment">): Mark[] {
  return events.flatMap((e) => {
    const named = [e.numbers.columns, e.numbers.detections].filter(Array.isArray).flat();
    const its =
      e.kind === "replaced" ||
      named.some((c) => c?.column === column.name && (c?.segment ?? null) === (column.segment ?? null));
    return its ? [{ x: (ms(e.at) ?? 0) / 1000, label: e.kind }] : [];
  });
}

const text = (value: string) => `'${value.replaceAll("'", "''")}'`;

/** A query for the predictions of the minutes before a look, of a column's values and of the rows it is of. */
export function behind(
  m: Pick<MonitorDetail, "deployment" | "variant" | "label">,
  column: Pick<MonitorColumn, "name" | "journalColumn" | "segment">,
  at: number,
): string {
  const instant = (ms: number) => `TIMESTAMP '${new Date(ms).toISOString()}'`;
  const truth = /^(label|error)\./.test(column.name);
  const wanted = truth ? "feedback_value" : `"${column.journalColumn.replaceAll('"', '""')}"`;
  const where = [`deployment = ${text(m.deployment)}`, `variant = ${text(m.variant)}`];
  if (truth && m.label) where.push(`feedback_name = ${text(m.label.name)}`);
  const part = /^(\S+) = (.*)$/.exec(column.segment ?? "");
  if (part?.[1]) where.push(`CAST("${part[1].replaceAll('"', '""')}" AS VARCHAR) = ${text(part[2] ?? "")}`);
  // A look is told by its end. Labels of it are of earlier predictions.
  where.push(`at < ${instant(at)}`);
  if (!truth) where.push(`at >= ${instant(at - 300_000)}`);
  return `SELECT event_id, at, version, ${wanted} FROM ${truth ? "labeled" : "predictions"} WHERE ${where.join(" AND ")} ORDER BY at DESC LIMIT 200`;
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
    beside: "what is answered meanwhile",
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
