import { useMemo } from "react";
import type { LiveTick, LiveVersion } from "../api/native";
import { count, duration, measure } from "../lib/format";
import { WINDOW } from "../lib/live";
import { Chart, type Series } from "./chart";

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

function useAxis(ticks: LiveTick[]) {
  const x = useMemo(() => ticks.map((t) => t.atMs / 1000), [ticks]);
  const end = x.at(-1) ?? Date.now() / 1000;
  return { x, xRange: [end - WINDOW, end] as [number, number] };
}

/** Requests a second, one line per deployment or per version, with failures as a line of their own. */
export function TrafficChart(props: {
  ticks: LiveTick[];
  by: "deployment" | "version";
  sync: string;
  height?: number;
}) {
  const { ticks, by } = props;
  const axis = useAxis(ticks);
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
  return (
    <Chart
      label="Requests a second"
      {...axis}
      xKind="time"
      series={series}
      unit={(v) => `${measure(v, 3)}/s`}
      zero
      sync={props.sync}
      height={props.height ?? 200}
    />
  );
}

/** Median and 99th percentile of each second's answers. */
export function LatencyChart(props: { ticks: LiveTick[]; sync: string }) {
  const { ticks } = props;
  const axis = useAxis(ticks);
  const series = useMemo(() => {
    // The version that answered most in a second stands for it: quantiles do not add up.
    const busiest = (tick: LiveTick) =>
      tick.versions.filter((v) => v.latency).sort((a, b) => b.answered - a.answered)[0]?.latency;
    const pick = (of: "p50" | "p90" | "p99") => ticks.map((t) => busiest(t)?.[of] ?? null);
    return [
      { label: "p50", values: pick("p50") },
      { label: "p90", values: pick("p90") },
      { label: "p99", values: pick("p99") },
    ];
  }, [ticks]);
  return (
    <Chart
      label="Latency"
      {...axis}
      xKind="time"
      series={series}
      unit={(v) => duration(v / 1000)}
      zero
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
