import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { figure, ms, native } from "../api/native";
import { Card, Empty, PageHead, Popover, Time } from "../components/basics";
import { DiffTable, type DiffRow, differs } from "../components/diff";
import { Loaded } from "../components/loaded";
import { ShowCall } from "../components/show-call";
import { Table } from "../components/table";
import { count, duration, measure, plural } from "../lib/format";
import { useNow, useTitle } from "../lib/hooks";
import { to, useListParam, useParam } from "../lib/url";
import { Curve } from "./curve";
import { RunLink, RunStatus, runSeconds, useExperimentName } from "./run-parts";

export default function Compare() {
  useTitle("Compare runs");
  const now = useNow();
  const experimentName = useExperimentName();
  const [ids, setIds] = useListParam("runs");
  const [only, setOnly] = useParam("only", "differing");
  const [axis, setAxis] = useParam("axis", "step");
  const [log, setLog] = useParam("log", "no");
  const [pictures, setPictures] = useListParam("metrics");
  const query = useQuery({
    queryKey: ["compare", ids],
    queryFn: ({ signal }) => native.compare(ids, signal),
    enabled: ids.length >= 2,
    placeholderData: (before) => before,
  });

  if (ids.length < 2) {
    return (
      <>
        <PageHead
          crumbs={[{ label: "Experiments", href: "/experiments" }]}
          title="Compare runs"
          lead={ids.length === 0 ? "No run is chosen." : "One run is chosen; a comparison needs two."}
        />
        <Empty title="Choose runs first">
          Open an experiment, tick two or more runs and press “Compare”. The address of this page then holds
          the choice.
        </Empty>
      </>
    );
  }
  const body = query.data;
  const runs = body?.runs ?? [];
  const params: DiffRow[] = (body?.params ?? []).map((p) => ({
    name: p.key,
    values: p.values.map((v) => v ?? undefined),
  }));
  const values = new Map((body?.metrics ?? []).map((m) => [m.key, m.values.map(figure)]));
  const metrics: DiffRow[] = [...values].map(([name, row]) => ({
    name,
    values: row.map((v) => (v === undefined ? undefined : measure(v, 6))),
  }));
  const differing = params.filter(differs);
  const shownParams = only === "differing" ? differing : params;
  const extremes = (row: DiffRow, at: number) => {
    const known = (values.get(row.name) ?? []).filter(
      (v): v is number => v !== undefined && Number.isFinite(v),
    );
    const v = values.get(row.name)?.[at];
    if (v === undefined || new Set(known).size < 2) return undefined;
    return v === Math.max(...known) ? "▲" : v === Math.min(...known) ? "▽" : undefined;
  };
  const metricNames = [...values.keys()];
  const drawn = pictures.length > 0 ? pictures.filter((m) => values.has(m)) : metricNames.slice(0, 4);
  const names = runs.map((run) => ({ key: run.id, label: <RunLink run={run} /> }));
  const experiment = runs[0]?.experimentId;

  return (
    <>
      <PageHead
        crumbs={[
          { label: "Experiments", href: "/experiments" },
          ...(experiment ? [{ label: experimentName(experiment), href: to("experiments", experiment) }] : []),
        ]}
        title="Compare runs"
        lead={
          query.error && !body
            ? "These runs could not be compared."
            : body && (
                <>
                  <b>{plural(runs.length, "run")}</b> differ in <b>{count(differing.length)}</b> of{" "}
                  {plural(params.length, "param")} and <b>{count(metrics.filter(differs).length)}</b> of{" "}
                  {plural(metrics.length, "metric")}.
                </>
              )
        }
        actions={
          <ShowCall
            call={{ method: "POST", path: "/api/v1/runs/compare", body: { runIds: ids } }}
            cli={ids
              .map((id) => `MLFLOW_TRACKING_URI=${location.origin} mlflow runs describe --run-id ${id}`)
              .join("\n")}
            python={`import mlflow\nmlflow.set_tracking_uri("${location.origin}")\nfor run in ${JSON.stringify(ids)}:\n    print(mlflow.get_run(run).data)`}
          />
        }
      />
      <Loaded query={query}>
        {(data) => (
          <div className="stack">
            <div className="row">
              <h2 style={{ marginRight: "auto" }}>Curves</h2>
              <div className="seg">
                <button
                  type="button"
                  className="button small"
                  aria-pressed={axis === "step"}
                  onClick={() => setAxis("step")}
                >
                  By step
                </button>
                <button
                  type="button"
                  className="button small"
                  aria-pressed={axis === "time"}
                  onClick={() => setAxis("time")}
                >
                  By time
                </button>
              </div>
              <button
                type="button"
                className="button small"
                aria-pressed={log === "yes"}
                onClick={() => setLog(log === "yes" ? "no" : "yes")}
              >
                Log scale
              </button>
              <Popover label="Metrics" title="Choose metrics to draw" narrow small>
                {metricNames.map((name) => (
                  <label key={name} className="check">
                    <input
                      type="checkbox"
                      checked={drawn.includes(name)}
                      onChange={() =>
                        setPictures(drawn.includes(name) ? drawn.filter((m) => m !== name) : [...drawn, name])
                      }
                    />
                    <span className="break">{name}</span>
                  </label>
                ))}
              </Popover>
            </div>
            {drawn.length > 0 && (
              <div className="grid">
                {drawn.map((metric) => (
                  <Curve
                    key={metric}
                    runs={runs}
                    metric={metric}
                    axis={axis}
                    log={log === "yes"}
                    sync={`compare-${axis}`}
                  />
                ))}
              </div>
            )}
            <Card
              flush
              title="Metrics"
              note="Last value of each. ≠ differs; ▲ is the highest of its row, ▽ the lowest."
            >
              <DiffTable
                caption="Metrics of the runs"
                nameLabel="Metric"
                names={names}
                rows={metrics}
                numeric
                mark={extremes}
              />
            </Card>
            <Card
              flush
              title="Params"
              tools={
                <label className="check">
                  <input
                    type="checkbox"
                    checked={only === "differing"}
                    onChange={(event) => setOnly(event.target.checked ? "differing" : "all")}
                  />
                  Only what differs
                </label>
              }
            >
              {data !== undefined && shownParams.length === 0 ? (
                <p className="quiet pad">
                  {params.length === 0
                    ? "These runs have no params."
                    : `All ${params.length} params are the same.`}
                </p>
              ) : (
                <DiffTable caption="Params of the runs" nameLabel="Param" names={names} rows={shownParams} />
              )}
            </Card>
            <Card flush title="Runs">
              <Table
                caption="The runs compared"
                rows={data && runs}
                rowKey={(run) => run.id}
                columns={[
                  { key: "name", label: "Run", head: true, render: (run) => <RunLink run={run} /> },
                  { key: "state", label: "State", render: (run) => <RunStatus run={run} /> },
                  {
                    key: "started",
                    label: "Started",
                    render: (run) => <Time at={ms(run.startedAt)} exact />,
                  },
                  {
                    key: "took",
                    label: "Took",
                    numeric: true,
                    render: (run) => duration(runSeconds(run, now)),
                  },
                  { key: "user", label: "User", render: (run) => run.user || "–" },
                  {
                    key: "out",
                    label: <span className="sr">Leave out</span>,
                    render: (run) => (
                      <button
                        type="button"
                        className="button small"
                        aria-label={`Leave out ${run.name}`}
                        onClick={() => setIds(ids.filter((id) => id !== run.id))}
                      >
                        Leave out
                      </button>
                    ),
                  },
                ]}
              />
            </Card>
          </div>
        )}
      </Loaded>
      <p className="small quiet" style={{ marginTop: 16 }}>
        To add a run, go back to{" "}
        <Link href={experiment ? to("experiments", experiment) : "/experiments"}>its experiment</Link> and
        tick it.
      </p>
    </>
  );
}
