/** How good a deployment's predictions were: what the page asks, its windows, its groups, and the rows behind them. */
import type {
  EstimateAsked,
  PerformanceAsked,
  PerformanceComparison,
  PerformanceGroup,
  PerformanceMetric,
  PerformanceReport,
  VersionDetail,
} from "../api/native";
import { ms } from "../api/native";
import type { Series } from "../components/chart/data";
import { measure, percent } from "./format";
import { kindOf } from "./row-form";
import { identifier, literal } from "./sql";
import { to } from "./url";

/** What the page's address says is measured, and against what. */
export interface Choices {
  /** Name of the feedback. */
  label: string;
  /** Output; found out where it is empty. */
  prediction: string;
  /** Found out where it is empty. */
  task: string;
  /** The last so many. */
  days: string;
}

export const SPANS = [
  ["1", "Day"],
  ["7", "Week"],
  ["30", "30 days"],
] as const;

/** Days as the address has them; a week where it has none that can be chosen. */
export function daysOf(text: string): string {
  return SPANS.find(([days]) => days === text)?.[0] ?? "7";
}

/** A span of time in words: "the last week". */
export function spanWords(days: string): string {
  return days === "1" ? "the last day" : days === "7" ? "the last week" : `the last ${days} days`;
}

/** The body of the call. */
export function asked(c: Choices, by: string[] = []): PerformanceAsked {
  return {
    lastSeconds: Number(c.days) * 86_400,
    label: c.label,
    ...(c.prediction ? { prediction: c.prediction } : {}),
    ...(c.task ? { task: c.task } : {}),
    ...(by.length > 0 ? { by } : {}),
  };
}

/** The words of `mainspring` that ask the same. */
export function words(deployment: string, c: Choices, by: string[] = []): string[] {
  const all = ["performance", deployment, "--last", `${c.days}d`, "--label", c.label];
  if (c.prediction) all.push("--prediction", c.prediction);
  if (c.task) all.push("--task", c.task);
  if (by.length > 0) all.push("--by", by.join(","));
  return all;
}

/** The body of the call for an estimate: from labelled rows before, or from the file that a version names. */
export function estimateAsked(c: Choices, model?: string): EstimateAsked {
  return {
    window: { lastSeconds: Number(c.days) * 86_400 },
    ...(model ? { reference: { model } } : {}),
    label: c.label,
    ...(c.prediction ? { prediction: c.prediction } : {}),
  };
}

/** The words of `mainspring` that ask the same; labelled rows before a window are those of a longer one. */
export function estimateWords(deployment: string, c: Choices, model?: string): string[] {
  const window = (days: number) => `deployment:${deployment}?last=${days}d`;
  const days = Number(c.days);
  const all = ["estimate", model ?? window(days + 30), window(days), "--label", c.label];
  if (c.prediction) all.push("--prediction", c.prediction);
  return all;
}

/** The page of a deployment's performance. */
export function performancePage(deployment: string, chosen: Record<string, string> = {}): string {
  const search = new URLSearchParams(chosen).toString();
  return `${to("deployments", deployment, "performance")}${search && `?${search}`}`;
}

/** The label that is chosen, or else `label` as the API has it, or else the one that most feedback has. */
export function labelOf(chosen: string, known: string[] | undefined): string {
  if (chosen) return chosen;
  return known && known.length > 0 && !known.includes("label") ? (known[0] ?? "label") : "label";
}

/** Names of the feedback about a deployment's predictions, that of which there is most first. */
export function labelsSql(deployment: string, days: string): string {
  return `select feedback_name, count(*) as n
from labeled
where deployment = ${literal(deployment)} and at > now() - interval '${days} days'
group by feedback_name
order by n desc, feedback_name
limit 50`;
}

/** The newest prediction that feedback may be sent for. */
export function newestSql(deployment: string): string {
  return `select event_id
from predictions
where deployment = ${literal(deployment)} and outcome = 'ok' and shadow_of is null
  and not forced and at > now() - interval '30 days'
order by at desc
limit 1`;
}

/** Inputs and outputs of the journal with their types: what a group's condition is written by. */
export const COLUMNS_SQL = `select column_name, data_type
from information_schema.columns
where table_name = 'predictions' and (column_name like 'in.%' or column_name like 'out.%')`;

const perRow = (shape: number[]) => shape.reduce((n, d) => n * (d < 0 ? 1 : d), 1);

/** The columns by whose values predictions can be told apart: those with one value a row. */
export function columnsOf(signature: VersionDetail["signature"] | undefined): {
  inputs: string[];
  outputs: string[];
} {
  if (!signature) return { inputs: [], outputs: [] };
  const { columns, inputs, outputs } = signature;
  const named = columns.filter((c) => kindOf({ ...c, elements: 1 }) !== "json").map((c) => c.name);
  const single = (tensors: typeof inputs) => tensors.filter((t) => perRow(t.shape) === 1).map((t) => t.name);
  return {
    inputs: (columns.length > 0 ? named : single(inputs)).map((name) => `in.${name}`),
    outputs: single(outputs).map((name) => `out.${name}`),
  };
}

/** A metric and the class that it is of, as the command line writes it: "precision (1)". */
export function nameOf(m: Pick<PerformanceMetric, "name" | "class">): string {
  return m.class === undefined || m.class === null ? m.name : `${m.name} (${m.class})`;
}

/** A group's metric by that name. */
export function metricOf(group: PerformanceGroup | undefined, name: string): PerformanceMetric | undefined {
  return group?.metrics.find((m) => nameOf(m) === name);
}

/** The names of the metrics that any of these groups has, in their order. */
export function metricNames(groups: PerformanceGroup[]): string[] {
  return [...new Set(groups.flatMap((g) => g.metrics.map(nameOf)))];
}

/** Both ends of an interval. */
export function betweenWords(m: Pick<PerformanceMetric, "low" | "high"> | undefined, digits = 4): string {
  const { low, high } = m ?? {};
  if (typeof low !== "number" || typeof high !== "number") return "";
  return `${measure(low, digits)} to ${measure(high, digits)}`;
}

/** A change with its sign. */
export function signed(value: number): string {
  return `${value > 0 ? "+" : ""}${measure(value, 3)}`;
}

/** What a group is called by: the value of each column that is told apart by. */
export function groupName(group: PerformanceGroup): string {
  return Object.values(group.by)
    .map((value) => (value === "" ? "empty" : value))
    .join(", ");
}

/** How a group stands beside the one with the most labels, by one metric. */
export function comparisonOf(
  report: Pick<PerformanceReport, "comparisons">,
  group: number,
  name: string,
): PerformanceComparison | undefined {
  return report.comparisons.find((c) => c.group === group && nameOf(c) === name);
}

/** The share of predictions that have a label. */
export function labeledShare(group: Pick<PerformanceGroup, "rows" | "labeled">): string {
  return group.rows === 0 ? "–" : percent(group.labeled / group.rows, 1);
}

/** Places from 0 to 1 of the values and intervals of one metric, on one line for all groups. */
export function line(groups: PerformanceGroup[], name: string): ((value: number) => number) | undefined {
  const all = groups
    .map((g) => metricOf(g, name))
    .flatMap((m) => (m ? [m.value, m.low, m.high] : []))
    .filter((v): v is number => typeof v === "number" && Number.isFinite(v));
  if (all.length === 0) return undefined;
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const air = 0.05;
  return (value) => (high > low ? air + ((value - low) / (high - low)) * (1 - 2 * air) : 0.5);
}

/** Windows are hours of a day, or else days. */
export type Step = "hour" | "day";
const LONG: Record<Step, number> = { hour: 3_600_000, day: 86_400_000 };

export function stepOf(days: string): Step {
  return days === "1" ? "hour" : "day";
}

/** An hour or a day of UTC, as far as it is in the report; milliseconds. */
export interface Window {
  /** Where the whole hour or day begins. */
  at: number;
  from: number;
  until: number;
  /** Nothing was predicted without one. */
  group?: PerformanceGroup;
}

/** A moment that a group is called by. It is of UTC, whether it says so or not. */
export function instant(text: string): number {
  const at = text.trim().replace(" ", "T");
  const zoned = /(z|[+-]\d\d:?\d\d)$/i.test(at) ? at : at.length === 10 ? `${at}T00:00:00Z` : `${at}Z`;
  return Date.parse(zoned);
}

/** Windows that a picture has at least. */
const LEAST = 7;

/**
 * The windows of a report, the oldest first, also those in which nothing was predicted; before the first prediction no more
 * of them than the picture needs.
 */
export function windows(report: PerformanceReport, step: Step): Window[] {
  const long = LONG[step];
  const [from, until] = [ms(report.from) ?? 0, ms(report.until) ?? 0];
  const found = new Map(report.groups.map((g) => [instant(g.by[step] ?? ""), g]));
  const all: Window[] = [];
  for (let at = from - (from % long); at < until; at += long) {
    const group = found.get(at);
    all.push({
      at,
      from: Math.max(at, from),
      until: Math.min(at + long, until),
      ...(group ? { group } : {}),
    });
  }
  const first = all.findIndex((w) => w.group);
  return all.slice(Math.max(0, Math.min(first, all.length - LEAST)));
}

/** When a window begins, in UTC: the day, and the hour of an hour. */
export function windowName(window: Pick<Window, "at">, step: Step): string {
  const text = new Date(window.at).toISOString();
  return step === "day" ? text.slice(0, 10) : `${text.slice(0, 10)} ${text.slice(11, 16)}`;
}

/** One metric over the windows with its interval; nothing where a window has no label. */
export function drawn(all: Window[], name: string): { x: number[]; series: Series[] } {
  const of = (key: "value" | "low" | "high") =>
    all.map((w) => {
      const value = metricOf(w.group, name)?.[key];
      return typeof value === "number" && Number.isFinite(value) ? value : null;
    });
  return {
    x: all.map((w) => w.at / 1000),
    series: [
      { label: name, values: of("value"), colour: 0 },
      { label: "upper end", values: of("high"), colour: 0, edge: true },
      { label: "lower end", values: of("low"), colour: 0, edge: true },
    ],
  };
}

/** Columns of the journal by name, with their types. */
export type Kinds = Record<string, string>;

const ENVELOPE = ["variant", "model", "version", "protocol", "caller"];
const TIMES = ["hour", "day", "week", "month"];
/** What a group is called by whose rows have no value. */
const MISSING = "(missing)";

/** A column as SQL has it and its type; `in.X[0]` is a column, or the first value of a list. */
function expression(name: string, kinds: Kinds): { sql: string; kind: string } {
  const [, list, place] = /^(.*)\[(\d+)\]$/.exec(name) ?? [];
  const of = list === undefined ? undefined : kinds[list];
  if (kinds[name] === undefined && list !== undefined && of !== undefined) {
    const inner = /\((?:non-null )?(\w+)/.exec(of)?.[1] ?? "";
    return { sql: `p.${identifier(list)}[${Number(place) + 1}]`, kind: inner };
  }
  return { sql: `p.${identifier(name)}`, kind: kinds[name] ?? "" };
}

/** A quarter's end: of 32-bit numbers it is written as short as these are. */
function end(text: string, kind: string): number {
  const value = Number(text);
  const digits = text.replace(/^-?[0.]*/, "").replace(".", "").length;
  return kind === "Float32" && digits <= 9 ? Math.fround(value) : value;
}

/** Numbers with many values are cut into quarters, which are called by their ends. */
function quarter(sql: string, kind: string, value: string): string | undefined {
  if (!/^(u?int|float|decimal)/i.test(kind)) return undefined;
  const number = "(-?\\d+(?:\\.\\d+)?)";
  const [, below] = new RegExp(`^< ${number}$`).exec(value) ?? [];
  const [, above] = new RegExp(`^>= ${number}$`).exec(value) ?? [];
  const [, from, until] = new RegExp(`^${number} to ${number}$`).exec(value) ?? [];
  const of = `CAST(${sql} AS DOUBLE)`;
  if (below !== undefined) return `${of} < ${end(below, kind)}`;
  if (above !== undefined) return `${of} >= ${end(above, kind)}`;
  if (from === undefined || until === undefined) return undefined;
  return `${of} >= ${end(from, kind)} AND ${of} < ${end(until, kind)}`;
}

/** What the rows of a group fulfil. */
function condition(name: string, value: string, kinds: Kinds): string {
  if (TIMES.includes(name)) return `CAST(date_trunc(${literal(name)}, p.at) AS VARCHAR) = ${literal(value)}`;
  const { sql, kind } = ENVELOPE.includes(name)
    ? { sql: `p.${identifier(name)}`, kind: "" }
    : expression(name, kinds);
  if (value === MISSING) return `${sql} IS NULL`;
  return quarter(sql, kind, value) ?? `CAST(${sql} AS VARCHAR) = ${literal(value)}`;
}

/**
 * A query for the predictions behind a figure of a report: of a group, of a window, or all; the labelled ones with what
 * was true. As the report, it leaves out what the caller forced a version for, and takes a shadow for an answer only where
 * variants, versions or models are told apart.
 */
export function behind(
  report: Pick<PerformanceReport, "deployment" | "label" | "prediction" | "from" | "until">,
  of: {
    by?: Record<string, string>;
    within?: Pick<Window, "from" | "until">;
    labeled?: boolean;
    kinds?: Kinds;
  },
): string {
  const by = Object.entries(of.by ?? {});
  const when = (at: string | number) =>
    `TIMESTAMP '${typeof at === "number" ? new Date(at).toISOString() : at}'`;
  // A window at the edge of the report has its very end, which is finer than a millisecond.
  const cut = (at: number | undefined, whole: string) =>
    when(at === undefined || at === ms(whole) ? whole : at);
  const where = [
    `p.deployment = ${literal(report.deployment)}`,
    `p.at >= ${cut(of.within?.from, report.from)}`,
    `p.at < ${cut(of.within?.until, report.until)}`,
    "p.outcome = 'ok'",
    "NOT p.forced",
    ...by.map(([name, value]) => condition(name, value, of.kinds ?? {})),
  ];
  if (!by.some(([name]) => ["variant", "version", "model"].includes(name))) where.push("p.shadow_of IS NULL");
  const said = `p.event_id, p.at, p."row", p.variant, p.version, p.${identifier(report.prediction)}`;
  const truth = of.labeled ? `, f.value AS ${identifier(`label.${report.label}`)}, f.at AS labeled_at` : "";
  const join = of.labeled
    ? `\nJOIN feedback f ON f.prediction_id = coalesce(p.shadow_of, p.event_id) AND f."row" = p."row"`
    : "";
  if (of.labeled) where.push(`f.name = ${literal(report.label)}`);
  return `SELECT ${said}${truth}
FROM predictions p${join}
WHERE ${where.join("\n  AND ")}
ORDER BY p.at DESC
LIMIT 200`;
}
