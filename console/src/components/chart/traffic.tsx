import { useMemo } from "react";
import type { LiveTick, LiveVersion } from "../../api/native";
import { count, duration, measure } from "../../lib/format";
import { WINDOW } from "../../lib/live";
import { Chart } from "./chart";
import type { Mark, Series } from "./data";

interface ChartOfTicks {
  ticks: LiveTick[];
  /** How much of the past is shown; the live window when left out. */
  seconds?: number;
  sync: string;
}

/** One value per tick and line; null where a line is not in the tick. */
function lines(
  ticks: LiveTick[],
  keyOf: (v: LiveVersion) => string,
  value: (v: LiveVersion) => number | null,
): Series[] {
  const keys = [...new Set(ticks.flatMap((t) => t.versions.map(keyOf)))].sort();
  return keys.map((key) => ({
    label: key,
    values: ticks.map((tick) => {
      const parts = tick.versions.filter((v) => keyOf(v) === key).map(value);
      const known = parts.filter((v): v is number => v !== null);
      return known.length === 0 ? null : known.reduce((a, b) => a + b, 0);
    }),
  }));
}

/** `seconds` up to the newest tick. */
function useAxis(ticks: LiveTick[], seconds: number) {
  const x = useMemo(() => ticks.map((t) => t.atMs / 1000), [ticks]);
  const end = x.at(-1) ?? Date.now() / 1000;
  return { x, xRange: [end - seconds, end] as [number, number] };
}

/** Requests a second, one line per deployment or per version, with failures as a line of their own. */
export function TrafficChart(props: ChartOfTicks & { by: "deployment" | "version" }) {
  const { ticks, by } = props;
  const axis = useAxis(ticks, props.seconds ?? WINDOW);
  const series = useMemo(() => {
    const answered = lines(
      ticks,
      (v) => (by === "version" ? `version ${v.version}` : v.deployment),
      (v) => v.answered,
    );
    const failed = lines(
      ticks,
      () => "failed",
      (v) => v.failed,
    );
    return [...answered, ...failed.map((line) => ({ ...line, tone: "bad" as const }))];
  }, [ticks, by]);
  const marks = useMemo(() => (by === "version" ? changes(ticks) : []), [ticks, by]);
  return (
    <Chart
      label="Requests a second"
      {...axis}
      xKind="time"
      series={series}
      unit={(v) => `${measure(v, 3)}/s`}
      zero
      marks={marks}
      sync={props.sync}
    />
  );
}

/** The version that answered most in a second stands for it: quantiles do not add up. */
function busiest(tick: LiveTick): LiveVersion | undefined {
  return tick.versions.filter((v) => v.latency).sort((a, b) => b.answered - a.answered)[0];
}

/** Where another version began to answer. */
export function changes(ticks: LiveTick[]): Mark[] {
  const marks: Mark[] = [];
  let before: string | undefined;
  for (const tick of ticks) {
    const now = busiest(tick)?.version;
    if (now === undefined) continue;
    if (before !== undefined && now !== before) marks.push({ x: tick.atMs / 1000, label: `version ${now}` });
    before = now;
  }
  return marks;
}

const milliseconds = (v: number) => duration(v / 1000);

/** Quantiles of each second's answers. */
export function LatencyChart(props: ChartOfTicks & { log: boolean }) {
  const { ticks } = props;
  const axis = useAxis(ticks, props.seconds ?? WINDOW);
  const series = useMemo(() => {
    const pick = (of: "p50" | "p90" | "p99") => ticks.map((t) => busiest(t)?.latency?.[of] ?? null);
    return [
      { label: "p50", values: pick("p50") },
      { label: "p90", values: pick("p90") },
      { label: "p99", values: pick("p99") },
    ];
  }, [ticks]);
  const marks = useMemo(() => changes(ticks), [ticks]);
  return (
    <Chart
      label="Latency"
      {...axis}
      xKind="time"
      series={series}
      unit={milliseconds}
      zero={!props.log}
      log={props.log}
      marks={marks}
      sync={props.sync}
    />
  );
}

/** The parts of a request, in the order in which they happen, with their colours. */
export const PARTS = [
  { key: "queue", label: "Queue", note: "waiting for admission and a batch", colour: 1 },
  { key: "engine", label: "Engine", note: "in the model", colour: 0 },
  { key: "encode", label: "Encode", note: "turning the outputs into the protocol’s bytes", colour: 2 },
] as const;

/** Mean time of each part of a request, second by second, on top of each other. */
export function PartsChart(props: ChartOfTicks) {
  const { ticks } = props;
  const axis = useAxis(ticks, props.seconds ?? WINDOW);
  const series = useMemo(
    () =>
      PARTS.map(({ key, label, colour }) => ({
        label,
        colour,
        values: ticks.map((t) => busiest(t)?.[key]?.mean ?? null),
      })),
    [ticks],
  );
  return (
    <Chart
      label="Mean time of each part of a request"
      {...axis}
      xKind="time"
      series={series}
      unit={milliseconds}
      zero
      stacked
      sync={props.sync}
    />
  );
}

/** Requests answered in the last seconds, for the first line of a page. */
export function recentRate(ticks: LiveTick[], seconds = 10, deployment?: string): number | undefined {
  const last = ticks.slice(-seconds);
  if (last.length === 0) return undefined;
  const sum = last.reduce(
    (total, t) =>
      total +
      t.versions.reduce((n, v) => (deployment && v.deployment !== deployment ? n : n + v.answered), 0),
    0,
  );
  return sum / last.length;
}

export function rate(value: number | undefined): string {
  if (value === undefined) return "–";
  return value >= 10 ? `${count(Math.round(value))}/s` : `${measure(value, 2)}/s`;
}
