import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { figure, ms, native, type Run } from "../../api/native";
import { Card, Empty, PageHead, Time } from "../../components/basics";
import { type DiffRow, DiffTable, differs } from "../../components/diff";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { Table } from "../../components/table";
import { aligned, count, decimals, duration, plural } from "../../lib/format";
import { useNow, useTitle } from "../../lib/hooks";
import { to, useListParam, useParam } from "../../lib/url";
import { Curves } from "./curves";
import { Parallel, uprights } from "./parallel";
import { RunLink, RunStatus, runSeconds, useExperimentName } from "./run-parts";

function NothingChosen({ chosen }: { chosen: number }) {
  return (
    <>
      <PageHead
        crumbs={[{ label: "Experiments", href: "/experiments" }]}
        title="Compare runs"
        lead={chosen === 0 ? "No run is chosen." : "One run is chosen; a comparison needs two."}
      />
      <Empty title="Choose runs first">
        Open an experiment, tick two or more runs and press “Compare”. The address of this page then holds the
        choice.
      </Empty>
    </>
  );
}

/** ▲ beside the highest value of a row, ▽ beside the lowest. */
function extreme(values: (number | undefined)[], at: number): string | undefined {
  const known = values.filter((v): v is number => v !== undefined && Number.isFinite(v));
  const v = values[at];
  if (v === undefined || new Set(known).size < 2) return undefined;
  return v === Math.max(...known) ? "▲" : v === Math.min(...known) ? "▽" : undefined;
}

interface Names {
  key: string;
  label: React.ReactNode;
}

function Params(props: { loaded: boolean; params: DiffRow[]; names: Names[] }) {
  const { params, names } = props;
  const [only, setOnly] = useParam("only", "differing");
  const shown = only === "differing" ? params.filter(differs) : params;
  return (
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
      {props.loaded && shown.length === 0 ? (
        <p className="quiet pad">
          {params.length === 0 ? "These runs have no params." : `All ${params.length} params are the same.`}
        </p>
      ) : (
        <DiffTable caption="Params of the runs" nameLabel="Param" names={names} rows={shown} />
      )}
    </Card>
  );
}

function Runs({ runs, onLeaveOut }: { runs: Run[] | undefined; onLeaveOut: (id: string) => void }) {
  const now = useNow();
  return (
    <Card flush title="Runs">
      <Table
        caption="The runs compared"
        rows={runs}
        rowKey={(run) => run.id}
        columns={[
          { key: "name", label: "Run", head: true, render: (run) => <RunLink run={run} /> },
          { key: "state", label: "State", render: (run) => <RunStatus run={run} /> },
          { key: "started", label: "Started", render: (run) => <Time at={ms(run.startedAt)} exact /> },
          { key: "took", label: "Took", numeric: true, render: (run) => duration(runSeconds(run, now)) },
          { key: "user", label: "User", render: (run) => run.user || "–" },
          {
            key: "out",
            label: <span className="sr">Leave out</span>,
            render: (run) => (
              <button
                type="button"
                className="button small"
                aria-label={`Leave out ${run.name}`}
                onClick={() => onLeaveOut(run.id)}
              >
                Leave out
              </button>
            ),
          },
        ]}
      />
    </Card>
  );
}

export default function Compare() {
  useTitle("Compare runs");
  const experimentName = useExperimentName();
  const [ids, setIds] = useListParam("runs");
  const query = useQuery({
    queryKey: ["compare", ids],
    queryFn: ({ signal }) => native.compare(ids, signal),
    enabled: ids.length >= 2,
    placeholderData: (before) => before,
  });
  if (ids.length < 2) return <NothingChosen chosen={ids.length} />;

  const body = query.data;
  const runs = body?.runs ?? [];
  const params: DiffRow[] = (body?.params ?? []).map((p) => ({
    name: p.key,
    values: p.values.map((v) => v ?? undefined),
  }));
  const values = new Map((body?.metrics ?? []).map((m) => [m.key, m.values.map(figure)]));
  const metrics: DiffRow[] = [...values].map(([name, row]) => ({
    name,
    values: row.map((v) => (v === undefined ? undefined : aligned(v, decimals(row, 6)))),
  }));
  const differing = params.filter(differs);
  const names = runs.map((run) => ({ key: run.id, label: <RunLink run={run} /> }));
  const experiment = runs[0]?.experimentId;
  const axes = uprights(runs, [
    ...differing.slice(0, 6).map((p) => `params.${p.name}`),
    ...metrics
      .filter(differs)
      .slice(0, 4)
      .map((m) => `metrics.${m.name}`),
  ]);

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
            python={`for run in ${JSON.stringify(ids)}:\n    print(mlflow.get_run(run).data)`}
          />
        }
      />
      <Loaded query={query}>
        {(data) => (
          <div className="stack loose">
            <Curves runs={runs} first={4} sync="compare" />
            {axes.length >= 2 && (
              <Card
                title="Params and results"
                note="One line a run, from its params to its metrics. Only what differs has an axis."
              >
                <Parallel runs={runs} axes={axes} />
              </Card>
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
                mark={(row, at) => extreme(values.get(row.name) ?? [], at)}
              />
            </Card>
            <Params loaded={data !== undefined} params={params} names={names} />
            <Runs runs={data && runs} onLeaveOut={(id) => setIds(ids.filter((other) => other !== id))} />
            <p className="small quiet">
              To add a run, go back to{" "}
              <Link href={experiment ? to("experiments", experiment) : "/experiments"}>its experiment</Link>{" "}
              and tick it.
            </p>
          </div>
        )}
      </Loaded>
    </>
  );
}
