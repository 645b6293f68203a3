import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link, useParams } from "wouter";
import { modelFiles, runFiles } from "../../api/files";
import { mlflow } from "../../api/mlflow";
import { figure, native, type Run, type RunDetail } from "../../api/native";
import { Empty, PageHead, Skeleton } from "../../components/basics";
import { Confirm } from "../../components/confirm";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { Tabs, useTab } from "../../components/tabs";
import { duration, measure, plural } from "../../lib/format";
import { useNow, useTitle } from "../../lib/hooks";
import { to } from "../../lib/url";
import { Artifacts } from "./artifacts";
import { Curves } from "./curves";
import { RunOverview } from "./run-overview";
import { RunStatus, runSeconds, useExperimentName, useLoggedModels } from "./run-parts";

const TABS = [
  ["overview", "Overview"],
  ["charts", "Charts"],
  ["artifacts", "Artifacts"],
] as const;

const WORDS: Record<string, string> = {
  RUNNING: "has been running for",
  FINISHED: "finished after",
  FAILED: "failed after",
  KILLED: "was killed after",
};

function Lead({ run }: { run: Run }) {
  const now = useNow(2000);
  const took = runSeconds(run, now);
  const first = Object.entries(run.metrics)[0];
  return (
    <>
      This run {WORDS[run.status] ?? "is scheduled"}{" "}
      {took !== undefined && WORDS[run.status] && <b>{duration(took)}</b>} with{" "}
      <b>{plural(Object.keys(run.params).length, "param")}</b> and{" "}
      <b>{plural(Object.keys(run.metrics).length, "metric")}</b>
      {first && (
        <>
          ; {first[0]} is <b>{measure(figure(first[1]))}</b>
        </>
      )}
      .
    </>
  );
}

function RunArtifacts({ run }: { run: Run }) {
  const models = useLoggedModels(run);
  const files = useQuery({
    queryKey: ["files", "run", runFiles(run.id).uri(""), ""],
    queryFn: ({ signal }) => runFiles(run.id).list("", signal),
  });
  return (
    <Loaded query={models}>
      {(logged) => {
        if (logged === undefined || (files.data === undefined && !files.error))
          return <Skeleton width="100%" />;
        // A run of MLflow 3 that logged nothing but a model has no file of its own.
        const own = files.data?.length === 0 ? [] : [runFiles(run.id)];
        const places = [...own, ...logged.map(modelFiles)];
        return places.length === 0 ? (
          <Empty title="No artifacts" command={`mlflow.log_artifact("plot.png")`}>
            This run logged no file and no model.
          </Empty>
        ) : (
          <Artifacts places={places} />
        );
      }}
    </Loaded>
  );
}

function Content({ tab, detail }: { tab: string; detail: RunDetail }) {
  const { run } = detail;
  const self = useMemo(() => [run], [run]);
  if (tab === "artifacts") return <RunArtifacts run={run} />;
  if (tab !== "charts") return <RunOverview detail={detail} />;
  return Object.keys(run.metrics).length === 0 ? (
    <Empty title="No metric to draw" command={`mlflow.log_metric("loss", 0.3, step=1)`} />
  ) : (
    <Curves runs={self} first={12} sync={`run-${run.id}`} />
  );
}

function DeleteDialog({ run, onClose }: { run: Run; onClose: () => void }) {
  const client = useQueryClient();
  const deleted = run.lifecycle === "deleted";
  const name = run.name || run.id.slice(0, 8);
  return (
    <Confirm
      title={deleted ? `Restore run ${name}?` : `Delete run ${name}?`}
      action={deleted ? "Restore" : "Delete"}
      danger={!deleted}
      onClose={onClose}
      onConfirm={async () => {
        await (deleted ? mlflow.restoreRun(run.id) : mlflow.deleteRun(run.id));
        await client.invalidateQueries({ queryKey: ["run", run.id] });
        await client.invalidateQueries({ queryKey: ["runs"] });
      }}
    >
      <p>
        {deleted
          ? "It appears in its experiment again, with all its params, metrics and artifacts."
          : "It leaves the lists and searches. It can be restored from this page until a purge frees its artifacts."}
      </p>
    </Confirm>
  );
}

export default function RunPage() {
  const { id = "" } = useParams<{ id: string }>();
  const tab = useTab(TABS);
  const [asking, setAsking] = useState(false);
  const experimentName = useExperimentName();
  const query = useQuery({
    queryKey: ["run", id],
    queryFn: ({ signal }) => native.run(id, signal),
    refetchInterval: (q) => (q.state.data?.run.status === "RUNNING" ? 3000 : false),
  });
  const run = query.data?.run;
  const name = run?.name || `Run ${id.slice(0, 8)}`;
  useTitle(name);
  return (
    <>
      <PageHead
        crumbs={[
          { label: "Experiments", href: "/experiments" },
          ...(run
            ? [{ label: experimentName(run.experimentId), href: to("experiments", run.experimentId) }]
            : []),
        ]}
        title={
          <>
            {name} {run && <RunStatus run={run} />}
          </>
        }
        lead={run ? <Lead run={run} /> : query.error ? "This run could not be loaded." : undefined}
        actions={
          <>
            <ShowCall
              call={{ method: "GET", path: `/api/v1/runs/${id}` }}
              mlflow={["runs", "describe", "--run-id", id]}
              python={`mlflow.get_run("${id}")`}
            />
            {run?.parentId && (
              <Link className="button small" href={to("runs", run.parentId)}>
                Parent run
              </Link>
            )}
            {run && (
              <button type="button" className="button small" onClick={() => setAsking(true)}>
                {run.lifecycle === "deleted" ? "Restore" : "Delete"}
              </button>
            )}
          </>
        }
      />
      <Loaded query={query}>
        {(detail) => (
          <div className="stack">
            <Tabs label="Parts of the run" href={to("runs", id)} tabs={TABS} at={tab} />
            {detail === undefined ? <Skeleton width="100%" /> : <Content tab={tab} detail={detail} />}
          </div>
        )}
      </Loaded>
      {asking && run && <DeleteDialog run={run} onClose={() => setAsking(false)} />}
    </>
  );
}
