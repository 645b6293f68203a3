import { Link } from "wouter";
import { figure, type Lineage, type ModelVersion, ms } from "../../api/native";
import { Card, Empty, Status, Time } from "../../components/basics";
import { Toggle } from "../../components/choice";
import { type Column, Table } from "../../components/table";
import { measure } from "../../lib/format";
import { mlflowEnv } from "../../lib/here";
import { to, writeList } from "../../lib/url";
import { commonKeys } from "../experiments/run-parts";

type Line = Lineage["versions"][number];

function State({ status }: { status: string }) {
  if (status === "READY") return <Status state="ok">ready</Status>;
  return status === "FAILED_REGISTRATION" ? (
    <Status state="bad">failed</Status>
  ) : (
    <Status state="live">registering</Status>
  );
}

/** The metrics of the runs behind the versions, so that versions can be told apart by what they can do. */
function metricColumns(lines: Map<string, Line>): Column<ModelVersion>[] {
  const runs = [...lines.values()].map((l) => l.run).filter((r) => r !== null && r !== undefined);
  return commonKeys(runs, (r) => r.metrics)
    .slice(0, 3)
    .map((key) => ({
      key: `metrics.${key}`,
      label: key,
      numeric: true,
      render: (v) => measure(figure(lines.get(v.version)?.run?.metrics[key])),
    }));
}

/** The versions of a model with what each can do, who answers with it, and its aliases. */
export function Versions(props: {
  name: string;
  versions: ModelVersion[] | undefined;
  lines: Line[];
  current: string | undefined;
  onShow: (version: string) => void;
  onAlias: (version: string) => void;
  onDrop: (alias: string) => void;
}) {
  const { name, versions, current } = props;
  const lines = new Map(props.lines.map((line) => [line.version.version, line]));
  const runs = [...new Set((versions ?? []).flatMap((v) => v.runId ?? []))].slice(0, 20);
  const made = props.lines.some((line) => line.madeFrom);
  const staged = versions?.some((v) => v.stage !== "None") ?? false;
  return (
    <Card
      flush
      title="Versions"
      tools={
        runs.length >= 2 && (
          <Link className="button small" href={`/compare?runs=${writeList(runs)}`}>
            Compare their runs
          </Link>
        )
      }
    >
      <Table
        caption={`Versions of ${name}`}
        rows={versions}
        rowKey={(v) => v.version}
        current={current}
        empty={
          <div className="pad">
            <Empty
              title="Register a version"
              command={`${mlflowEnv()} python -c 'import mlflow; mlflow.register_model("runs:/RUN_ID/model", "${name}")'`}
            />
          </div>
        }
        columns={[
          {
            key: "version",
            label: "Version",
            head: true,
            render: (v) => (
              <span className="row tight">
                <Toggle on={current === v.version} onPress={() => props.onShow(v.version)}>
                  Version {v.version}
                </Toggle>
                {v.frozen && <Status state="warn">frozen</Status>}
              </span>
            ),
          },
          {
            key: "aliases",
            label: "Aliases",
            render: (v) => (
              <span className="row tight">
                {v.aliases.map((alias) => (
                  <span key={alias} className="chip">
                    @{alias}
                    <button
                      type="button"
                      className="drop"
                      aria-label={`Remove alias ${alias}`}
                      onClick={() => props.onDrop(alias)}
                    >
                      ×
                    </button>
                  </span>
                ))}
              </span>
            ),
          },
          {
            key: "serving",
            label: "Answers in",
            render: (v) => {
              const found = lines.get(v.version)?.deployments ?? [];
              return found.length === 0 ? (
                <span className="quiet">–</span>
              ) : (
                <span className="row tight">
                  {found.map((d) => (
                    <Link key={d.name} href={to("deployments", d.name)}>
                      {d.name}
                    </Link>
                  ))}
                </span>
              );
            },
          },
          ...metricColumns(lines),
          { key: "status", label: "State", render: (v) => <State status={v.status} /> },
          ...(staged
            ? [
                {
                  key: "stage",
                  label: "Stage",
                  render: (v: ModelVersion) => (v.stage === "None" ? "–" : v.stage),
                },
              ]
            : []),
          ...(made
            ? [
                {
                  key: "from",
                  label: "Made from",
                  render: (v: ModelVersion) => {
                    const from = lines.get(v.version)?.madeFrom;
                    return from ? (
                      <Toggle on={false} onPress={() => props.onShow(from)}>
                        Version {from}
                      </Toggle>
                    ) : (
                      "–"
                    );
                  },
                },
              ]
            : []),
          { key: "made", label: "Made", render: (v) => <Time at={ms(v.createdAt)} /> },
          {
            key: "run",
            label: "Run",
            render: (v) =>
              v.runId ? (
                <Link href={to("runs", v.runId)}>
                  {lines.get(v.version)?.run?.name || v.runId.slice(0, 8)}
                </Link>
              ) : (
                "–"
              ),
          },
          {
            key: "act",
            label: <span className="sr">Alias</span>,
            render: (v) => (
              <button type="button" className="button small" onClick={() => props.onAlias(v.version)}>
                Set alias
              </button>
            ),
          },
        ]}
      />
    </Card>
  );
}
