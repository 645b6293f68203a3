import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { figure, ms, native, type Run, type RunDetail } from "../../api/native";
import { Card, Chip, CopyButton, KeyValue, Skeleton, Time } from "../../components/basics";
import { Loaded } from "../../components/loaded";
import { Table } from "../../components/table";
import { measure, plural } from "../../lib/format";
import { to } from "../../lib/url";
import { useLoggedModels } from "./run-parts";

const byName = <T,>(record: Record<string, T>) =>
  Object.entries(record).sort((a, b) => a[0].localeCompare(b[0], undefined, { numeric: true }));

/** Names and values, as they were logged. */
function Pairs(props: {
  title: string;
  noun: string;
  rows: [string, string][];
  numeric?: boolean;
  teach: string;
}) {
  return (
    <Card flush title={plural(props.rows.length, props.noun)}>
      <Table
        caption={props.title}
        rows={props.rows}
        rowKey={([key]) => key}
        empty={
          <p className="quiet pad">
            Nothing logged: <code>{props.teach}</code>
          </p>
        }
        columns={[
          {
            key: "key",
            label: "Name",
            head: true,
            render: ([key]) => <span className="break">{key}</span>,
          },
          {
            key: "value",
            label: props.numeric ? "Last value" : "Value",
            numeric: props.numeric ?? false,
            render: ([, value]) => (props.numeric ? value : <span className="break">{value}</span>),
          },
        ]}
      />
    </Card>
  );
}

function LoggedModels({ run }: { run: Run }) {
  const models = useLoggedModels(run);
  return (
    <Loaded query={models}>
      {(data) =>
        data === undefined ? (
          <Skeleton />
        ) : data.length === 0 ? (
          <p className="quiet">
            None: <code>mlflow.onnx.log_model(model, name="model")</code>
          </p>
        ) : (
          <ul>
            {data.map(({ info }) => (
              <li key={info.model_id} className="break">
                <Link href={to("logged-models", info.model_id)}>{info.name}</Link>{" "}
                <code className="quiet">models:/{info.model_id}</code>
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
    <p>
      Holds{" "}
      <Link href={`${to("experiments", run.experimentId)}?${new URLSearchParams({ filter })}`}>
        {plural(children.data.runs.length, "nested run")}
      </Link>
      .
    </p>
  );
}

/** What came out of the run and what went into it. */
function InAndOut({ detail }: { detail: RunDetail }) {
  const { run, modelVersions, datasets } = detail;
  return (
    <Card title="Models and data">
      <div className="stack">
        <div>
          <h3>Models logged</h3>
          <LoggedModels run={run} />
        </div>
        <div>
          <h3>Registered as</h3>
          {modelVersions.length === 0 ? (
            <p className="quiet">
              No version yet: <code>mlflow.register_model("runs:/{run.id}/model", "name")</code>
            </p>
          ) : (
            <ul>
              {modelVersions.map((v) => (
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
          {datasets.length === 0 ? (
            <p className="quiet">
              None: <code>mlflow.log_input(dataset, context="training")</code>
            </p>
          ) : (
            <ul>
              {datasets.map((d) => (
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
  );
}

function About({ detail }: { detail: RunDetail }) {
  const { run, systemTags } = detail;
  return (
    <Card title="About this run">
      <div className="stack">
        <KeyValue
          items={[
            [
              "Run id",
              <span key="id" className="row">
                <code>{run.id}</code> <CopyButton text={run.id} />
              </span>,
            ],
            ["Started", <Time key="start" at={ms(run.startedAt)} exact />],
            ["Ended", <Time key="end" at={ms(run.endedAt)} exact />],
            ["User", run.user || "–"],
            ["Source", systemTags["mlflow.source.name"] ?? "–"],
            ["Commit", systemTags["mlflow.source.git.commit"] ?? "–"],
            ["Artifacts at", <code key="uri">{detail.artifactUri}</code>],
            ...byName(run.tags).map(([key, value]): [string, string] => [`Tag ${key}`, value]),
          ]}
        />
        <Children run={run} />
      </div>
    </Card>
  );
}

/** Everything that a run has but its curves and files. */
export function RunOverview({ detail }: { detail: RunDetail }) {
  const { run } = detail;
  return (
    <div className="grid">
      <Pairs
        title="Metrics"
        noun="metric"
        numeric
        rows={byName(run.metrics).map(([key, value]) => [key, measure(figure(value), 6)])}
        teach={`mlflow.log_metric("accuracy", 0.93)`}
      />
      <Pairs
        title="Params"
        noun="param"
        rows={byName(run.params)}
        teach={`mlflow.log_param("learning_rate", 0.1)`}
      />
      <InAndOut detail={detail} />
      <About detail={detail} />
    </div>
  );
}
