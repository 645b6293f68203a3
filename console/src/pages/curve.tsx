import { useQueries } from "@tanstack/react-query";
import { useMemo } from "react";
import { figure, native, type Run } from "../api/native";
import { Card, Skeleton } from "../components/basics";
import { align, Chart } from "../components/chart";
import { ErrorBox } from "../components/errors";
import { ShowCall } from "../components/show-call";
import { count, plural } from "../lib/format";
import { metricOf } from "./run-parts";

/** The curve of one metric: one line a run, by step or by time since the run's start. */
export function Curve(props: { runs: Run[]; metric: string; axis?: string; log?: boolean; sync: string }) {
  const { runs, metric, axis = "step" } = props;
  const having = useMemo(() => runs.filter((run) => metricOf(run, metric) !== undefined), [runs, metric]);
  const histories = useQueries({
    queries: having.map((run) => ({
      queryKey: ["metric", run.id, metric],
      queryFn: ({ signal }: { signal: AbortSignal }) => native.metric(run.id, metric, signal),
      refetchInterval: run.status === "RUNNING" ? 3000 : (false as const),
    })),
  });
  const failed = histories.find((h) => h.error);
  const stamp = histories.map((h) => h.dataUpdatedAt).join();
  // biome-ignore lint/correctness/useExhaustiveDependencies: `stamp` stands for the histories
  const { x, series } = useMemo(
    () =>
      align(
        having.map((run, i) => {
          const points = histories[i]?.data?.points ?? [];
          const start = points.reduce((least, p) => Math.min(least, p.atMs), Number.POSITIVE_INFINITY);
          return {
            label: run.name,
            points: points.map((p) => ({
              x: axis === "time" ? (p.atMs - start) / 1000 : p.step,
              y: figure(p.value) ?? Number.NaN,
            })),
          };
        }),
      ),
    [stamp, axis, having],
  );
  const total = histories.reduce((sum, h) => sum + (h.data?.total ?? 0), 0);
  const drawn = histories.reduce((sum, h) => sum + (h.data?.points.length ?? 0), 0);
  const path = (run: Run) =>
    `/api/v1/runs/${run.id}/metric?${new URLSearchParams({ key: metric, points: "2000" })}`;
  return (
    <Card
      title={metric}
      {...(total > drawn
        ? { note: `${count(drawn)} of ${plural(total, "point")} drawn: ends and extremes of each stretch.` }
        : {})}
      tools={
        having[0] && (
          <ShowCall
            call={{ method: "GET", path: path(having[0]) }}
            python={`from mlflow import MlflowClient\nclient = MlflowClient("${location.origin}")\nfor run in ${JSON.stringify(having.map((r) => r.id))}:\n    print(client.get_metric_history(run, ${JSON.stringify(metric)}))`}
          />
        )
      }
    >
      {failed?.error ? (
        <ErrorBox error={failed.error} retry={() => void failed.refetch()} />
      ) : histories.some((h) => h.data === undefined) ? (
        <div style={{ height: 248 }}>
          <Skeleton width="100%" />
        </div>
      ) : (
        <Chart
          label={`${metric} of ${plural(having.length, "run")}`}
          x={x}
          xKind="step"
          xLabel={axis === "time" ? "seconds since the first point" : "step"}
          series={series}
          log={props.log ?? false}
          points={x.length === 1}
          sync={props.sync}
        />
      )}
    </Card>
  );
}
