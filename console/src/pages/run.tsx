import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link, useParams } from "wouter";
import { mlflow } from "../api/mlflow";
import { figure, ms, native, type Run, type RunDetail } from "../api/native";
import { Card, Chip, Empty, KeyValue, PageHead, Skeleton, Time } from "../components/basics";
import { Confirm } from "../components/confirm";
import { Loaded } from "../components/loaded";
import { ShowCall } from "../components/show-call";
import { Table } from "../components/table";
import { count, duration, measure, plural } from "../lib/format";
import { useNow, useTitle } from "../lib/hooks";
import { to, useParam } from "../lib/url";
import { Artifacts } from "./artifacts";
import { Curve } from "./curve";
import { RunStatus, runSeconds, useExperimentName } from "./run-parts";

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

function Lead({ run, now }: { run: Run; now: number }) {
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

const sortedEntries = <T,>(record: Record<string, T>) =>
  Object.entries(record).sort((a, b) => a[0].localeCompare(b[0]));

function Lists({ detail }: { detail: RunDetail }) {
  const { run, systemTags } = detail;
  const metrics = sortedEntries(run.metrics);
  const params = sortedEntries(run.params);
  return (
    <div className="grid">
      <Card flush title={`Metrics (${count(metrics.length)})`}>
        <Table
          caption="Metrics"
          rows={metrics}
          rowKey={([key]) => key}
          empty={<p className="quiet pad">Nothing logged: mlflow.log_metric("accuracy", 0.93)</p>}
          columns={[
            {
              key: "key",
              label: "Metric",
              head: true,
              render: ([key]) => <span className="break">{key}</span>,
            },
            {
              key: "value",
              label: "Last value",
              numeric: true,
              render: ([, value]) => measure(figure(value), 6),
            },
          ]}
        />
      </Card>
      <Card flush title={`Params (${count(params.length)})`}>
        <Table
          caption="Params"
          rows={params}
          rowKey={([key]) => key}
          empty={<p className="quiet pad">Nothing logged: mlflow.log_param("learning_rate", 0.1)</p>}
          columns={[
            {
              key: "key",
              label: "Param",
              head: true,
              render: ([key]) => <span className="break">{key}</span>,
            },
            { key: "value", label: "Value", render: ([, value]) => <span className="break">{value}</span> },
          ]}
        />
      </Card>
      <Card title="Models and datasets">
        <div className="stack" style={{ gap: 16 }}>
          <div>
            <h3>Models logged</h3>
            <LoggedModels run={run} />
          </div>
          <div>
            <h3>Registered as</h3>
            {detail.modelVersions.length === 0 ? (
              <p className="quiet">
                No version yet: mlflow.register_model("runs:/{run.id.slice(0, 8)}…/model", "name")
              </p>
            ) : (
              <ul>
                {detail.modelVersions.map((v) => (
                  <li key={`${v.name}/${v.version}`}>
                    <Link href={`${to("models", v.name)}?v=${v.version}`}>
                      {v.name} version {v.version}
                    </Link>{" "}
                    {v.aliases.map((alias) => (
                      <Chip key={alias}>@{alias}</Chip>
                    ))}
                  </li>
                ))}
              </ul>
            )}
          </div>
          <div>
            <h3>Datasets</h3>
            {detail.datasets.length === 0 ? (
              <p className="quiet">None: mlflow.log_input(dataset, context="training")</p>
            ) : (
              <ul>
                {detail.datasets.map((d) => (
                  <li key={`${d.name}${d.digest}${d.context}`} className="break">
                    {d.name} <code className="quiet">{d.digest}</code> {d.context && <Chip>{d.context}</Chip>}{" "}
                    <span className="quiet">{d.sourceType}</span>
                  </li>
                ))}
              </ul>
            )}
          </div>
        </div>
      </Card>
      <Card title="About this run">
        <KeyValue
          items={[
            ["Run id", <code key="id">{run.id}</code>],
            ["Started", <Time key="start" at={ms(run.startedAt)} exact />],
            ["Ended", <Time key="end" at={ms(run.endedAt)} exact />],
            ["User", run.user || "–"],
            ["Source", systemTags["mlflow.source.name"] ?? "–"],
            ["Commit", systemTags["mlflow.source.git.commit"] ?? "–"],
            [
              "Parent",
              run.parentId ? (
                <Link key="parent" href={to("runs", run.parentId)}>
                  {run.parentId.slice(0, 8)}
                </Link>
              ) : (
                "–"
              ),
            ],
            ["Artifacts at", <code key="uri">{detail.artifactUri}</code>],
            ...sortedEntries(run.tags).map(([key, value]): [string, string] => [`Tag ${key}`, value]),
          ]}
        />
        <Children run={run} />
      </Card>
    </div>
  );
}

function LoggedModels({ run }: { run: Run }) {
  const models = useQuery({
    queryKey: ["logged-models", run.id],
    queryFn: ({ signal }) => mlflow.loggedModels(run.experimentId, run.id, signal),
  });
  return (
    <Loaded query={models}>
      {(data) =>
        data === undefined ? (
          <Skeleton />
        ) : data.length === 0 ? (
          <p className="quiet">None: mlflow.onnx.log_model(model, name="model")</p>
        ) : (
          <ul>
            {data.map(({ info }) => (
              <li key={info.model_id} className="break">
                {info.name} <code className="quiet">models:/{info.model_id}</code>
              </li>
            ))}
          </ul>
        )
      }
    </Loaded>
  );
}

/** Runs nested in this one. */
function Children({ run }: { run: Run }) {
  const filter = `tags.\`mlflow.parentRunId\` = '${run.id}'`;
  const children = useQuery({
    queryKey: ["children", run.id],
    queryFn: ({ signal }) => native.runs({ experimentIds: [run.experimentId], filter, limit: 100 }, signal),
  });
  if (!children.data || children.data.runs.length === 0) return null;
  return (
    <p style={{ marginTop: 16 }}>
      Holds{" "}
      <Link href={`${to("experiments", run.experimentId)}?${new URLSearchParams({ filter })}`}>
        {plural(children.data.runs.length, "nested run")}
      </Link>
      .
    </p>
  );
}

export default function RunPage() {
  const { id = "" } = useParams<{ id: string }>();
  const now = useNow(2000);
  const [tab] = useParam("tab", "overview");
  const [asking, setAsking] = useState(false);
  const experimentName = useExperimentName();
  const client = useQueryClient();
  const query = useQuery({
    queryKey: ["run", id],
    queryFn: ({ signal }) => native.run(id, signal),
    refetchInterval: (q) => (q.state.data?.run.status === "RUNNING" ? 3000 : false),
  });
  const run = query.data?.run;
  const name = run?.name || `Run ${id.slice(0, 8)}`;
  useTitle(name);
  const deleted = run?.lifecycle === "deleted";
  const self = useMemo(() => (run ? [run] : []), [run]);
  const metrics = run ? Object.keys(run.metrics).sort() : [];
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
        lead={run ? <Lead run={run} now={now} /> : query.error ? "This run could not be loaded." : undefined}
        actions={
          <>
            <ShowCall
              call={{ method: "GET", path: `/api/v1/runs/${id}` }}
              cli={`MLFLOW_TRACKING_URI=${location.origin} mlflow runs describe --run-id ${id}`}
              python={`import mlflow\nmlflow.set_tracking_uri("${location.origin}")\nmlflow.get_run("${id}")`}
            />
            {run && (
              <button type="button" className="button small" onClick={() => setAsking(true)}>
                {deleted ? "Restore" : "Delete"}
              </button>
            )}
          </>
        }
      />
      <Loaded query={query}>
        {(detail) => (
          <div className="stack" style={{ gap: 16 }}>
            <nav className="tabs" aria-label="Parts of the run">
              {TABS.map(([key, label]) => (
                <Link
                  key={key}
                  href={`${to("runs", id)}${key === "overview" ? "" : `?tab=${key}`}`}
                  replace
                  aria-current={tab === key ? "page" : undefined}
                >
                  {label}
                </Link>
              ))}
            </nav>
            {detail === undefined ? (
              <Skeleton width="100%" />
            ) : tab === "charts" ? (
              metrics.length === 0 ? (
                <Empty title="No metric to draw" command={`mlflow.log_metric("loss", 0.3, step=1)`} />
              ) : (
                <div className="grid">
                  {metrics.map((metric) => (
                    <Curve key={metric} runs={self} metric={metric} sync={`run-${id}`} />
                  ))}
                </div>
              )
            ) : tab === "artifacts" ? (
              <Artifacts run={id} />
            ) : (
              <Lists detail={detail} />
            )}
          </div>
        )}
      </Loaded>
      {asking && run && (
        <Confirm
          title={deleted ? `Restore run ${name}?` : `Delete run ${name}?`}
          action={deleted ? "Restore" : "Delete"}
          danger={!deleted}
          onClose={() => setAsking(false)}
          onConfirm={async () => {
            await (deleted ? mlflow.restoreRun(id) : mlflow.deleteRun(id));
            await client.invalidateQueries({ queryKey: ["run", id] });
            await client.invalidateQueries({ queryKey: ["runs"] });
          }}
        >
          <p>
            {deleted
              ? "It appears in its experiment again, with all its params, metrics and artifacts."
              : "It leaves the lists and searches. It can be restored from this page until a purge frees its artifacts."}
          </p>
        </Confirm>
      )}
    </>
  );
}
