import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link, useParams } from "wouter";
import { mlflow } from "../../api/mlflow";
import { native, type Run, type RunSearch } from "../../api/native";
import { Empty, PageHead } from "../../components/basics";
import { Choice } from "../../components/choice";
import { ErrorBox } from "../../components/errors";
import { ShowCall } from "../../components/show-call";
import { Table } from "../../components/table";
import { count, measure, plural } from "../../lib/format";
import { mlflowEnv } from "../../lib/here";
import { useNow, useTitle } from "../../lib/hooks";
import { useListParam, useParam, useSort, writeList } from "../../lib/url";
import { ColumnChoice, columnsOf, orderBy, usual } from "./columns";
import { Curves } from "./curves";
import { commonKeys, metricOf, RunLink } from "./run-parts";
import { Scatter } from "./scatter";
import { SearchBox } from "./search-box";

/** Runs whose curves are drawn until some are chosen: more lines tell nothing. */
const DRAWN = 10;

const MODES = [
  ["table", "Table"],
  ["charts", "Charts"],
] as const;

const STATES: [string, string][] = [
  ["FINISHED", "finished"],
  ["RUNNING", "running"],
  ["FAILED", "failed"],
  ["KILLED", "killed"],
];

function Lead({ runs, more, metric }: { runs: Run[]; more: boolean; metric: string | undefined }) {
  const words = STATES.map(([state, word]) => [runs.filter((r) => r.status === state).length, word] as const)
    .filter(([n]) => n > 0)
    .map(([n, word]) => `${count(n)} ${word}`);
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
      {top && bottom && ranked.length > 1 && (
        <>
          ; {metric} from <b>{measure(bottom.y)}</b> (<RunLink run={bottom.run} />) to <b>{measure(top.y)}</b>{" "}
          (<RunLink run={top.run} />)
        </>
      )}
      .
    </>
  );
}

/** The runs that a search finds, page after page. */
function useRuns(search: RunSearch) {
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
  return { found, runs };
}

function NoRun({ id, filtered }: { id: string; filtered: boolean }) {
  return filtered ? (
    <Empty title="No run matches">
      The filter is MLflow’s: <code>metrics.auc &gt; 0.9 AND params.model = 'xgboost'</code>. Values of params
      and tags stand in quotes; “Syntax” says more.
    </Empty>
  ) : (
    <Empty
      title="No run in this experiment yet"
      command={`${mlflowEnv()} python - <<'EOF'\nimport mlflow\nwith mlflow.start_run(experiment_id=${JSON.stringify(id)}):\n    mlflow.log_metric("accuracy", 0.93)\nEOF`}
    />
  );
}

/** What is done with the chosen runs, and how the page shows them. */
function Toolbar(props: {
  chosen: string[];
  onChoose: (chosen: string[]) => void;
  mode: string;
  onMode: (mode: string) => void;
  columns?: React.ReactNode;
}) {
  const { chosen } = props;
  return (
    <div className="row">
      <Choice label="Show as" options={MODES} value={props.mode} onChange={props.onMode} />
      {chosen.length >= 2 ? (
        <Link className="button primary small" href={`/compare?runs=${writeList(chosen)}`}>
          Compare {chosen.length} runs
        </Link>
      ) : (
        <span className="quiet small">
          {chosen.length === 1 ? "One run is chosen; a comparison needs two." : "Tick runs to compare them."}
        </span>
      )}
      {chosen.length > 0 && (
        <button type="button" className="button plain small" onClick={() => props.onChoose([])}>
          Choose none
        </button>
      )}
      <span className="push">{props.columns}</span>
    </div>
  );
}

export default function ExperimentPage() {
  const { id = "" } = useParams<{ id: string }>();
  const now = useNow(5000);
  const [filter, setFilter] = useParam("filter");
  const [sort, setSort, order] = useSort("attributes.start_time:desc");
  const [view, setView] = useParam("view", "active");
  const [mode, setMode] = useParam("show", "table");
  const [columns, setColumns] = useListParam("cols");
  const [chosen, setChosen] = useListParam("chosen");
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
  const { found, runs } = useRuns(search);
  const shown = useMemo(() => (columns.length > 0 ? columns : usual(runs ?? [])), [columns, runs]);
  const metric = commonKeys(runs ?? [], (r) => r.metrics)[0];
  const drawn = useMemo(() => {
    const picked = runs?.filter((run) => chosen.includes(run.id)) ?? [];
    return picked.length > 0 ? picked : (runs ?? []).slice(0, DRAWN);
  }, [runs, chosen]);

  return (
    <>
      <PageHead
        crumbs={[{ label: "Experiments", href: "/experiments" }]}
        title={name}
        lead={
          found.error && !runs
            ? "The runs could not be searched."
            : runs && <Lead runs={runs} more={found.hasNextPage} metric={metric} />
        }
        actions={
          <ShowCall
            call={{ method: "POST", path: "/api/v1/runs/search", body: search }}
            mlflow={["runs", "list", "--experiment-id", id]}
            python={`mlflow.search_runs(experiment_ids=[${JSON.stringify(id)}], filter_string=${JSON.stringify(filter)}, order_by=[${JSON.stringify(orderBy(order))}])`}
          />
        }
      />
      <div className="stack">
        {experiment.error && <ErrorBox error={experiment.error} retry={() => void experiment.refetch()} />}
        <SearchBox runs={runs ?? []} filter={filter} onFilter={setFilter} view={view} onView={setView} />
        <Toolbar
          chosen={chosen}
          onChoose={setChosen}
          mode={mode}
          onMode={setMode}
          columns={
            mode === "charts" ? undefined : (
              <ColumnChoice runs={runs ?? []} shown={shown} onChange={setColumns} />
            )
          }
        />
        {found.error && <ErrorBox error={found.error} retry={() => void found.refetch()} />}
        {mode === "charts" && runs && runs.length > 0 ? (
          <>
            <Scatter runs={runs} />
            {runs.length > drawn.length && (
              <p className="quiet small">
                Curves of {chosen.length > 0 ? "the" : "the first"} {plural(drawn.length, "run")}
                {chosen.length > 0 ? " that are ticked in the table." : "; tick others in the table."}
              </p>
            )}
            <Curves runs={drawn} first={6} sync={`experiment-${id}`} />
          </>
        ) : (
          (!found.error || runs) && (
            <Table
              caption={`Runs of ${name}`}
              rows={runs}
              rowKey={(run) => run.id}
              rowLabel={(run) => run.name}
              columns={columnsOf(shown, runs ?? [], now)}
              sort={sort}
              onSort={setSort}
              chosen={chosen}
              onChoose={setChosen}
              empty={<NoRun id={id} filtered={filter !== "" || view !== "active"} />}
            />
          )
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
