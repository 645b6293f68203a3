import { useMemo } from "react";
import { useLocation } from "wouter";
import { ms, type Run } from "../../api/native";
import { Card } from "../../components/basics";
import { Chart } from "../../components/chart/chart";
import { to, useParam } from "../../lib/url";
import { splitKey } from "./columns";
import { commonKeys, metricOf } from "./run-parts";

const START = "attributes.start_time";

/** The number that a run has under a key such as `params.depth`; undefined when it has none. */
export function numberOf(run: Run, full: string): number | undefined {
  if (full === START) return (ms(run.startedAt) ?? 0) / 1000 || undefined;
  const [kind, key] = splitKey(full);
  const value = kind === "metrics" ? metricOf(run, key) : Number(run.params[key] || Number.NaN);
  return value !== undefined && Number.isFinite(value) ? value : undefined;
}

/** One metric of the runs against their start, a param or another metric; a click opens a run. */
export function Scatter({ runs }: { runs: Run[] }) {
  const [, navigate] = useLocation();
  const metrics = useMemo(() => commonKeys(runs, (r) => r.metrics), [runs]);
  const [chosenY, setY] = useParam("metric");
  const [chosenX, setX] = useParam("against", START);
  const xs = useMemo(
    () => [
      START,
      ...commonKeys(runs, (r) => r.params)
        .map((k) => `params.${k}`)
        .filter((k) => runs.some((run) => numberOf(run, k) !== undefined)),
      ...metrics.map((k) => `metrics.${k}`),
    ],
    [runs, metrics],
  );
  const metric = metrics.includes(chosenY) ? chosenY : (metrics[0] ?? "");
  const against = xs.includes(chosenX) ? chosenX : START;
  const points = useMemo(
    () =>
      runs
        .flatMap((run) => {
          const [x, y] = [numberOf(run, against), numberOf(run, `metrics.${metric}`)];
          return x === undefined || y === undefined ? [] : [{ run, x, y }];
        })
        .sort((a, b) => a.x - b.x),
    [runs, metric, against],
  );
  const x = useMemo(() => points.map((p) => p.x), [points]);
  const series = useMemo(() => [{ label: metric, values: points.map((p) => p.y) }], [points, metric]);
  if (metrics.length === 0) return null;
  const word = (full: string) => (full === START ? "their start" : splitKey(full)[1]);
  return (
    <Card
      title={`${metric} over runs`}
      tools={
        <>
          <select
            className="input auto small"
            aria-label="Metric"
            value={metric}
            onChange={(e) => setY(e.target.value)}
          >
            {metrics.map((key) => (
              <option key={key}>{key}</option>
            ))}
          </select>
          <span className="quiet">against</span>
          <select
            className="input auto small"
            aria-label="Drawn against"
            value={against}
            onChange={(e) => setX(e.target.value)}
          >
            {xs.map((key) => (
              <option key={key} value={key}>
                {word(key)}
              </option>
            ))}
          </select>
        </>
      }
    >
      <Chart
        label={`${metric} of each run against ${word(against)}`}
        x={x}
        xKind={against === START ? "time" : "step"}
        xLabel={word(against)}
        series={series}
        points
        names={points.map((p) => p.run.name || p.run.id.slice(0, 8))}
        onPick={(at) => {
          const run = points[at]?.run;
          if (run) navigate(to("runs", run.id));
        }}
        height={180}
      />
    </Card>
  );
}
