import { useQueries } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link } from "wouter";
import { figure, native, type Run } from "../../api/native";
import { Card, Skeleton } from "../../components/basics";
import { Chart } from "../../components/chart/chart";
import { align, type Range, smoothed } from "../../components/chart/data";
import { ErrorBox } from "../../components/errors";
import { ShowCall } from "../../components/show-call";
import { aligned, count, decimals, measure, plural } from "../../lib/format";
import { api, to } from "../../lib/url";
import { metricOf } from "./run-parts";

/** What a curve is drawn against: the step, the seconds since the run's first point, the clock. */
export type Axis = "step" | "time" | "clock";

export interface CurveView {
  axis: Axis;
  log: boolean;
  /** 0 is as logged, up to 0.99. */
  smooth: number;
  /** The part of the axis that is shown. */
  range: Range | undefined;
  onRange: (range: Range) => void;
}

/** One line a run: its name among the others, and its place among the colours. */
export interface RunLine {
  run: Run;
  label: string;
  colour: number;
}

/** Names are not unique; where two are the same the id tells them apart. */
export function runLines(runs: Run[]): RunLine[] {
  const named = runs.map((run) => run.name || run.id.slice(0, 8));
  return runs.map((run, colour) => {
    const name = named[colour] ?? "";
    const twice = named.filter((other) => other === name).length > 1;
    return { run, colour, label: twice ? `${name} ${run.id.slice(0, 6)}` : name };
  });
}

const AXES: Record<Axis, string> = {
  step: "step",
  time: "seconds since the first point",
  clock: "time",
};

/** The histories of one metric, one a run; a running run's is read again and again. */
function useHistories(runs: Run[], metric: string) {
  return useQueries({
    queries: runs.map((run) => ({
      queryKey: ["metric", run.id, metric],
      queryFn: ({ signal }: { signal: AbortSignal }) => native.metric(run.id, metric, signal),
      refetchInterval: run.status === "RUNNING" ? 3000 : (false as const),
    })),
  });
}

/** Values that were logged once have no curve: a bar each, longest first. */
function Bars({ lines, metric, hidden }: { lines: RunLine[]; metric: string; hidden: string[] }) {
  const rows = lines
    .filter(({ label }) => !hidden.includes(label))
    .map((line) => ({ ...line, value: metricOf(line.run, metric) ?? Number.NaN }))
    .sort((a, b) => (Number.isNaN(a.value) ? 1 : Number.isNaN(b.value) ? -1 : b.value - a.value));
  const most = Math.max(...rows.map(({ value }) => (Number.isFinite(value) ? Math.abs(value) : 0)));
  const places = decimals(rows.map(({ value }) => value));
  return (
    <ul className="bars">
      {rows.map(({ run, label, colour, value }) => (
        <li key={run.id}>
          <Link className="name" href={to("runs", run.id)}>
            {label}
          </Link>
          <span className="bar" aria-hidden="true" data-series={(colour % 8) + 1}>
            <i
              style={{
                width: `${Number.isFinite(value) && most > 0 ? (Math.abs(value) / most) * 100 : 0}%`,
              }}
            />
          </span>
          <b className="num">{aligned(value, places)}</b>
        </li>
      ))}
    </ul>
  );
}

/** The curve of one metric, one line a run. */
export function Curve(props: {
  lines: RunLine[];
  metric: string;
  view: CurveView;
  sync: string;
  /** From the legend that all curves share. */
  hidden: string[];
  focus: string | undefined;
}) {
  const { lines, metric, view } = props;
  const { axis, smooth } = view;
  const shown = useMemo(
    () => lines.filter(({ run }) => metricOf(run, metric) !== undefined),
    [lines, metric],
  );
  const having = useMemo(() => shown.map(({ run }) => run), [shown]);
  const histories = useHistories(having, metric);
  const failed = histories.find((h) => h.error);
  const stamp = histories.map((h) => h.dataUpdatedAt).join();
  // biome-ignore lint/correctness/useExhaustiveDependencies: `stamp` stands for the histories
  const { x, series } = useMemo(() => {
    const together = align(
      having.map((run, i) => {
        const points = histories[i]?.data?.points ?? [];
        const start = points.reduce((least, p) => Math.min(least, p.atMs), Number.POSITIVE_INFINITY);
        const place = (p: (typeof points)[number]) =>
          axis === "step" ? p.step : (p.atMs - (axis === "time" ? start : 0)) / 1000;
        return {
          label: shown[i]?.label ?? run.id,
          points: points.map((p) => ({ x: place(p), y: figure(p.value) ?? Number.NaN })),
        };
      }),
    );
    const coloured = together.series.map((s, i) => ({ ...s, colour: shown[i]?.colour ?? i }));
    return { x: together.x, series: smoothed(coloured, smooth) };
  }, [stamp, axis, smooth, shown]);
  const loaded = histories.every((h) => h.data !== undefined);
  const once = loaded && histories.every((h) => (h.data?.total ?? 0) <= 1);
  const total = histories.reduce((sum, h) => sum + (h.data?.total ?? 0), 0);
  const drawn = histories.reduce((sum, h) => sum + (h.data?.points.length ?? 0), 0);
  return (
    <Card
      title={metric}
      {...(total > drawn
        ? { note: `${count(drawn)} of ${plural(total, "point")} drawn: ends and extremes of each stretch.` }
        : {})}
      tools={
        having[0] && (
          <>
            {lines.length === 1 && <b>{measure(metricOf(having[0], metric))}</b>}
            <ShowCall
              call={{
                method: "GET",
                path: `${api("runs", having[0].id, "metric")}?${new URLSearchParams({ key: metric, points: "2000" })}`,
              }}
              python={`for run in ${JSON.stringify(having.map((r) => r.id))}:\n    print(mlflow.MlflowClient().get_metric_history(run, ${JSON.stringify(metric)}))`}
            />
          </>
        )
      }
    >
      {failed?.error ? (
        <ErrorBox error={failed.error} retry={() => void failed.refetch()} />
      ) : !loaded ? (
        <div className="chart-place">
          <Skeleton width="100%" />
        </div>
      ) : once ? (
        <Bars lines={shown} metric={metric} hidden={props.hidden} />
      ) : (
        <Chart
          label={`${metric} of ${plural(having.length, "run")}`}
          x={x}
          xKind={axis === "clock" ? "time" : "step"}
          xLabel={AXES[axis]}
          series={series}
          log={view.log}
          xRange={view.range}
          onRange={view.onRange}
          legend={false}
          hidden={props.hidden}
          focus={props.focus}
          sync={props.sync}
        />
      )}
    </Card>
  );
}
