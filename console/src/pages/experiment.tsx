import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { type FormEvent, useEffect, useMemo, useState } from "react";
import { Link, useParams } from "wouter";
import { mlflow } from "../api/mlflow";
import { ms, native, type Run, type RunSearch } from "../api/native";
import { Card, Empty, PageHead, Popover, Time } from "../components/basics";
import { Chart } from "../components/chart";
import { ErrorBox } from "../components/errors";
import { ShowCall } from "../components/show-call";
import { type Column, Table } from "../components/table";
import { count, duration, measure, plural } from "../lib/format";
import { useNow, useTitle } from "../lib/hooks";
import { quote } from "../lib/shell";
import { useListParam, useParam, writeList } from "../lib/url";
import { commonKeys, metricOf, RunLink, RunStatus, runSeconds } from "./run-parts";

const EXAMPLES = [
  "metrics.accuracy > 0.9",
  'params.model = "xgboost"',
  'attributes.status = "FAILED"',
  'tags.team ILIKE "%risk%"',
];

/** "metrics.val loss:asc" as MLflow's `order_by`. */
function orderBy(order: string): string {
  const at = order.lastIndexOf(":");
  const [key, direction] = [order.slice(0, at), order.slice(at + 1)];
  const dot = key.indexOf(".");
  const way = direction === "asc" ? "ASC" : "DESC";
  return key.startsWith("attributes.")
    ? `${key} ${way}`
    : `${key.slice(0, dot)}.\`${key.slice(dot + 1)}\` ${way}`;
}

function columnsFor(keys: string[], now: number): Column<Run>[] {
  return keys.map((full): Column<Run> => {
    const [kind, key] = [full.slice(0, full.indexOf(".")), full.slice(full.indexOf(".") + 1)];
    if (kind === "metrics")
      return {
        key: full,
        label: key,
        numeric: true,
        sortable: true,
        render: (run) => measure(metricOf(run, key)),
      };
    if (kind === "params")
      return {
        key: full,
        label: key,
        sortable: true,
        render: (run) => <span className="break">{run.params[key] ?? "–"}</span>,
      };
    if (kind === "tags")
      return { key: full, label: key, sortable: true, render: (run) => run.tags[key] ?? "–" };
    if (key === "user_id")
      return { key: full, label: "User", sortable: true, render: (run) => run.user || "–" };
    return { key: full, label: "Took", numeric: true, render: (run) => duration(runSeconds(run, now)) };
  });
}

function ColumnChoice(props: { runs: Run[]; shown: string[]; onChange: (keys: string[]) => void }) {
  const groups: [string, string[]][] = [
    ["Attributes", ["attributes.duration", "attributes.user_id"]],
    ["Metrics", commonKeys(props.runs, (r) => r.metrics).map((k) => `metrics.${k}`)],
    ["Params", commonKeys(props.runs, (r) => r.params).map((k) => `params.${k}`)],
    ["Tags", commonKeys(props.runs, (r) => r.tags).map((k) => `tags.${k}`)],
  ];
  return (
    <Popover label="Columns" title="Choose columns" narrow small>
      <div className="stack" style={{ gap: 12 }}>
        {groups
          .filter(([, keys]) => keys.length > 0)
          .map(([title, keys]) => (
            <fieldset key={title} style={{ border: 0, margin: 0, padding: 0 }}>
              <legend className="label">{title}</legend>
              {keys.map((key) => (
                <label key={key} className="check">
                  <input
                    type="checkbox"
                    checked={props.shown.includes(key)}
                    onChange={() =>
                      props.onChange(
                        props.shown.includes(key)
                          ? props.shown.filter((k) => k !== key)
                          : [...props.shown, key],
                      )
                    }
                  />
                  <span className="break">
                    {key === "attributes.duration"
                      ? "Took"
                      : key === "attributes.user_id"
                        ? "User"
                        : key.slice(key.indexOf(".") + 1)}
                  </span>
                </label>
              ))}
            </fieldset>
          ))}
      </div>
    </Popover>
  );
}

/** One metric of the shown runs against their start. */
function MetricPicture({ runs, metric }: { runs: Run[]; metric: string }) {
  const points = useMemo(
    () =>
      runs
        .map((run) => ({ x: (ms(run.startedAt) ?? 0) / 1000, y: metricOf(run, metric) }))
        .filter((p): p is { x: number; y: number } => p.x > 0 && p.y !== undefined && Number.isFinite(p.y))
        .sort((a, b) => a.x - b.x),
    [runs, metric],
  );
  const x = useMemo(() => points.map((p) => p.x), [points]);
  const series = useMemo(() => [{ label: metric, values: points.map((p) => p.y) }], [points, metric]);
  return (
    <Chart
      label={`${metric} of each run by its start`}
      x={x}
      xKind="time"
      series={series}
      points
      height={180}
    />
  );
}

function summary(runs: Run[], more: boolean, metric: string | undefined) {
  const by = (status: string) => runs.filter((r) => r.status === status).length;
  const words = [
    [by("FINISHED"), "finished"],
    [by("RUNNING"), "running"],
    [by("FAILED"), "failed"],
    [by("KILLED"), "killed"],
  ]
    .filter(([n]) => Number(n) > 0)
    .map(([n, word]) => `${count(Number(n))} ${word}`);
  const ranked = metric
    ? runs
        .map((run) => ({ run, y: metricOf(run, metric) }))
        .filter((p): p is { run: Run; y: number } => p.y !== undefined && Number.isFinite(p.y))
        .sort((a, b) => b.y - a.y)
    : [];
  const [top, bottom] = [ranked[0], ranked.at(-1)];
  return (
    <>
      <b>{plural(runs.length, "run")}</b>
      {more && " shown, more exist"}
      {words.length > 0 && `: ${words.join(", ")}`}
      {top && bottom && metric && (
        <>
          ; {metric} from <b>{measure(bottom.y)}</b> (<RunLink run={bottom.run} />) to <b>{measure(top.y)}</b>{" "}
          (
          <RunLink run={top.run} />)
        </>
      )}
      .
    </>
  );
}

export default function ExperimentPage() {
  const { id = "" } = useParams<{ id: string }>();
  const now = useNow(5000);
  const [filter, setFilter] = useParam("filter");
  const [order, setOrder] = useParam("order", "attributes.start_time:desc");
  const [view, setView] = useParam("view", "active");
  const [columns, setColumns] = useListParam("cols");
  const [chosen, setChosen] = useListParam("chosen");
  const [picture, setPicture] = useParam("metric");
  const [draft, setDraft] = useState(filter);
  useEffect(() => setDraft(filter), [filter]);

  const experiment = useQuery({
    queryKey: ["experiment", id],
    queryFn: ({ signal }) => mlflow.experimentName(id, signal),
  });
  const name = experiment.data ?? `Experiment ${id}`;
  useTitle(name);
  const search: RunSearch = {
    experimentIds: [id],
    ...(filter ? { filter } : {}),
    orderBy: [orderBy(order)],
    view,
  };
  const found = useInfiniteQuery({
    queryKey: ["runs", search],
    queryFn: ({ signal, pageParam }) =>
      native.runs({ ...search, ...(pageParam ? { pageToken: pageParam } : {}) }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextPageToken ?? undefined,
    placeholderData: (before) => before,
    // A running run still changes; finished ones do not.
    refetchInterval: (q) =>
      q.state.data?.pages.some((p) => p.runs.some((r) => r.status === "RUNNING")) ? 5000 : false,
  });
  const runs = useMemo(() => found.data?.pages.flatMap((page) => page.runs), [found.data]);
  const metrics = useMemo(() => commonKeys(runs ?? [], (r) => r.metrics), [runs]);
  const metric = metrics.includes(picture) ? picture : metrics[0];
  const shown = useMemo(() => {
    if (columns.length > 0) return columns;
    const params = commonKeys(runs ?? [], (r) => r.params);
    return [
      "attributes.duration",
      ...metrics.slice(0, 4).map((k) => `metrics.${k}`),
      ...params.slice(0, 3).map((k) => `params.${k}`),
    ];
  }, [columns, runs, metrics]);
  const sortAt = order.lastIndexOf(":");

  const base: Column<Run>[] = [
    {
      key: "attributes.run_name",
      label: "Run",
      head: true,
      sortable: true,
      render: (run) => <RunLink run={run} />,
    },
    { key: "attributes.status", label: "State", sortable: true, render: (run) => <RunStatus run={run} /> },
    {
      key: "attributes.start_time",
      label: "Started",
      sortable: true,
      render: (run) => <Time at={ms(run.startedAt)} />,
    },
  ];
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setFilter(draft.trim());
  };

  return (
    <>
      <PageHead
        crumbs={[{ label: "Experiments", href: "/experiments" }]}
        title={name}
        lead={
          found.error && !runs
            ? "The runs could not be searched."
            : runs && summary(runs, found.hasNextPage, metric)
        }
        actions={
          <ShowCall
            call={{ method: "POST", path: "/api/v1/runs/search", body: search }}
            cli={`MLFLOW_TRACKING_URI=${location.origin} mlflow runs list --experiment-id ${quote(id)}`}
            python={`import mlflow\nmlflow.set_tracking_uri("${location.origin}")\nmlflow.search_runs(experiment_ids=[${JSON.stringify(id)}], filter_string=${JSON.stringify(filter)}, order_by=[${JSON.stringify(orderBy(order))}])`}
          />
        }
      />
      <div className="stack" style={{ gap: 16 }}>
        {experiment.error && <ErrorBox error={experiment.error} retry={() => void experiment.refetch()} />}
        {metric && runs && (
          <Card
            title={`${metric} over runs`}
            tools={
              <select
                className="input"
                style={{ width: "auto" }}
                aria-label="Metric"
                value={metric}
                onChange={(e) => setPicture(e.target.value)}
              >
                {metrics.map((key) => (
                  <option key={key}>{key}</option>
                ))}
              </select>
            }
          >
            <MetricPicture runs={runs} metric={metric} />
          </Card>
        )}
        <form className="row" onSubmit={submit}>
          <input
            className="input grow mono"
            style={{ width: "auto" }}
            type="search"
            aria-label="Filter of runs"
            placeholder={`e.g. ${EXAMPLES[0]} and ${EXAMPLES[1]}`}
            list="filter-examples"
            spellCheck={false}
            value={draft}
            onChange={(event) => {
              setDraft(event.target.value);
              if (event.target.value === "") setFilter("");
            }}
          />
          <datalist id="filter-examples">
            {EXAMPLES.map((example) => (
              <option key={example} value={example} />
            ))}
          </datalist>
          <button type="submit" className="button">
            Search
          </button>
          <select
            className="input"
            style={{ width: "auto" }}
            aria-label="Which runs"
            value={view}
            onChange={(e) => setView(e.target.value)}
          >
            <option value="active">Active</option>
            <option value="deleted">Deleted</option>
            <option value="all">All</option>
          </select>
        </form>
        <div className="row">
          {chosen.length >= 2 ? (
            <Link className="button primary small" href={`/compare?runs=${writeList(chosen)}`}>
              Compare {chosen.length} runs
            </Link>
          ) : (
            <span className="quiet small">Choose two or more runs to compare them.</span>
          )}
          {chosen.length > 0 && (
            <button type="button" className="button plain small" onClick={() => setChosen([])}>
              Choose none
            </button>
          )}
          <span style={{ marginLeft: "auto" }} />
          <ColumnChoice runs={runs ?? []} shown={shown} onChange={setColumns} />
        </div>
        {found.error && <ErrorBox error={found.error} retry={() => void found.refetch()} />}
        {(!found.error || runs) && (
          <Table
            caption={`Runs of ${name}`}
            rows={runs}
            rowKey={(run) => run.id}
            rowLabel={(run) => run.name}
            columns={[...base, ...columnsFor(shown, now)]}
            sort={{ key: order.slice(0, sortAt), descending: order.slice(sortAt + 1) !== "asc" }}
            onSort={(s) => setOrder(`${s.key}:${s.descending ? "desc" : "asc"}`)}
            chosen={chosen}
            onChoose={setChosen}
            empty={
              filter || view !== "active" ? (
                <Empty title="No run matches">
                  The filter is MLflow’s: <code>metrics.x &gt; 0.9 and params.model = "xgboost"</code>. Values
                  of params and tags stand in quotes.
                </Empty>
              ) : (
                <Empty
                  title="No run in this experiment yet"
                  command={`MLFLOW_TRACKING_URI=${location.origin} python - <<'EOF'\nimport mlflow\nwith mlflow.start_run(experiment_id=${JSON.stringify(id)}):\n    mlflow.log_metric("accuracy", 0.93)\nEOF`}
                />
              )
            }
          />
        )}
        {found.hasNextPage && (
          <div>
            <button
              type="button"
              className="button"
              disabled={found.isFetchingNextPage}
              onClick={() => void found.fetchNextPage()}
            >
              {found.isFetchingNextPage ? "Loading more runs…" : "Show 100 more"}
            </button>
          </div>
        )}
      </div>
    </>
  );
}
