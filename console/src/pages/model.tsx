import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useParams } from "wouter";
import { ms, native } from "../api/native";
import { Card, Chip, Code, Empty, KeyValue, PageHead, Skeleton, Status, Time } from "../components/basics";
import { Confirm } from "../components/confirm";
import { ErrorBox } from "../components/errors";
import { Loaded } from "../components/loaded";
import { ShowCall } from "../components/show-call";
import { Table } from "../components/table";
import { ago, plural } from "../lib/format";
import { useNow, useTitle } from "../lib/hooks";
import { to, useParam } from "../lib/url";
import { firstDeployment } from "./deployment-parts";
import { LineagePicture } from "./lineage";

/** A move of an alias, so that it can be taken back. */
interface Move {
  alias: string;
  from: string | undefined;
  to: string | undefined;
}

function AliasDialog(props: {
  model: string;
  version: string;
  aliases: Record<string, string>;
  users: string[];
  onDone: (move: Move) => void;
  onClose: () => void;
}) {
  const known = Object.keys(props.aliases);
  const [alias, setAlias] = useState(
    known.includes("champion") || known.length === 0 ? "champion" : (known[0] ?? ""),
  );
  const from = props.aliases[alias];
  const wrong =
    alias === ""
      ? "Give the alias a name."
      : /[\s/:@]/.test(alias) || /^v?\d+$/i.test(alias) || alias === "latest"
        ? "Letters, digits, dashes; not a version number and not “latest”."
        : undefined;
  const users = props.users.filter((uri) => uri === `models:/${props.model}@${alias}`).length;
  return (
    <Confirm
      title={`Point an alias at version ${props.version}`}
      action={from === undefined ? "Set the alias" : "Move the alias"}
      disabled={wrong !== undefined || from === props.version}
      onClose={props.onClose}
      onConfirm={async () => {
        await native.setAlias(props.model, alias, props.version);
        props.onDone({ alias, from, to: props.version });
      }}
    >
      <div className="stack" style={{ gap: 12 }}>
        <div className="field">
          <label htmlFor="alias">Alias</label>
          <input
            id="alias"
            className="input"
            list="aliases"
            value={alias}
            aria-invalid={wrong !== undefined}
            onChange={(e) => setAlias(e.target.value.trim())}
          />
          <datalist id="aliases">
            {known.map((a) => (
              <option key={a} value={a} />
            ))}
          </datalist>
          {wrong && <span className="wrong">{wrong}</span>}
        </div>
        <p>
          {from === undefined
            ? `“${alias}” is new; it will point at version ${props.version}.`
            : from === props.version
              ? `“${alias}” points at version ${from} already.`
              : `“${alias}” points at version ${from} now and will point at version ${props.version}.`}{" "}
          {users > 0 &&
            `${plural(users, "deployment")} that ${users === 1 ? "names" : "name"} this alias will load version ${props.version}, warm it, and then change over without a failed request.`}
        </p>
        <p className="quiet">You can take it back on this page.</p>
      </div>
    </Confirm>
  );
}

export default function ModelPage() {
  const { name = "" } = useParams<{ name: string }>();
  useTitle(name);
  const now = useNow();
  const client = useQueryClient();
  const [chosen, setChosen] = useParam("v");
  const [moving, setMoving] = useState<string>();
  const [dropping, setDropping] = useState<string>();
  const [moved, setMoved] = useState<Move>();
  const [failed, setFailed] = useState<unknown>();
  const query = useQuery({ queryKey: ["model", name], queryFn: ({ signal }) => native.model(name, signal) });
  const lineage = useQuery({
    queryKey: ["lineage", name],
    queryFn: ({ signal }) => native.lineage(name, signal),
  });
  const model = query.data?.model;
  const versions = query.data?.versions;
  const aliases = model?.aliases ?? {};
  const shown = versions?.find((v) => v.version === chosen) ?? versions?.[0];
  const line = lineage.data?.versions.find((v) => v.version.version === shown?.version);
  const serving = lineage.data?.versions.flatMap((v) => v.deployments) ?? [];

  const refresh = () =>
    Promise.all(
      ["model", "lineage", "models", "deployments", "overview"].map((key) =>
        client.invalidateQueries({ queryKey: [key] }),
      ),
    );
  const undo = async (move: Move) => {
    setFailed(undefined);
    try {
      if (move.from === undefined) await native.deleteAlias(name, move.alias);
      else await native.setAlias(name, move.alias, move.from);
      setMoved(undefined);
    } catch (error) {
      setFailed(error);
    }
    await refresh();
  };

  const champion = aliases.champion;
  return (
    <>
      <PageHead
        crumbs={[{ label: "Models", href: "/models" }]}
        title={name}
        lead={
          query.error && !model ? (
            "This model could not be loaded."
          ) : versions === undefined || lineage.isPending ? undefined : versions.length === 0 ? (
            "This model has no version yet."
          ) : (
            <>
              <b>{plural(versions.length, "version")}</b>, the newest is <b>{versions[0]?.version}</b> (
              {ago(ms(versions[0]?.createdAt) ?? now, now)})
              {champion && (
                <>
                  ; champion is version <b>{champion}</b>
                </>
              )}
              {serving.length === 0 ? (
                "; no deployment answers with it"
              ) : (
                <>
                  ;{" "}
                  {serving.map((d, i) => (
                    <span key={d.name}>
                      {i > 0 && ", "}
                      <Link href={to("deployments", d.name)}>{d.name}</Link> answers with version{" "}
                      <b>{d.version}</b>
                    </span>
                  ))}
                </>
              )}
              .
            </>
          )
        }
        actions={
          <ShowCall
            call={{ method: "GET", path: `/api/v1${to("models", name)}` }}
            python={`from mlflow import MlflowClient\nMlflowClient("${location.origin}").search_model_versions("name = '${name}'")`}
          />
        }
      />
      <div className="stack" style={{ gap: 16 }}>
        {moved && (
          <div className="notice" role="status">
            <div className="row">
              <span className="grow">
                {moved.to === undefined
                  ? `Alias “${moved.alias}” is gone; it pointed at version ${moved.from}.`
                  : `“${moved.alias}” points at version ${moved.to}${moved.from ? ` (was ${moved.from})` : ""}.`}
              </span>
              <button type="button" className="button small" onClick={() => void undo(moved)}>
                Undo
              </button>
              <button type="button" className="button plain small" onClick={() => setMoved(undefined)}>
                Keep
              </button>
            </div>
          </div>
        )}
        {failed !== undefined && <ErrorBox error={failed} />}
        {!(query.error && !model) && (
          <Card
            title={shown ? `Where version ${shown.version} comes from and goes to` : "Lineage"}
            tools={
              <ShowCall
                call={{ method: "GET", path: `/api/v1${to("models", name).replace(/\/$/, "")}/lineage` }}
              />
            }
          >
            <Loaded query={lineage}>
              {() =>
                line ? (
                  <LineagePicture line={line} />
                ) : lineage.isPending ? (
                  <Skeleton width="100%" />
                ) : (
                  <p className="quiet">No version to draw.</p>
                )
              }
            </Loaded>
          </Card>
        )}
        <Loaded query={query}>
          {() => (
            <Card flush title="Versions">
              <Table
                caption={`Versions of ${name}`}
                rows={versions}
                rowKey={(v) => v.version}
                current={shown?.version}
                empty={
                  <div className="pad">
                    <Empty
                      title="Register a version"
                      command={`MLFLOW_TRACKING_URI=${location.origin} python -c 'import mlflow; mlflow.register_model("runs:/RUN_ID/model", "${name}")'`}
                    />
                  </div>
                }
                columns={[
                  {
                    key: "version",
                    label: "Version",
                    head: true,
                    render: (v) => (
                      <button
                        type="button"
                        className="button small"
                        aria-pressed={shown?.version === v.version}
                        onClick={() => setChosen(v.version)}
                      >
                        Version {v.version}
                      </button>
                    ),
                  },
                  {
                    key: "aliases",
                    label: "Aliases",
                    render: (v) => (
                      <span className="row" style={{ gap: 4 }}>
                        {v.aliases.map((alias) => (
                          <span key={alias} className="chip">
                            @{alias}
                            <button
                              type="button"
                              className="drop"
                              aria-label={`Remove alias ${alias}`}
                              onClick={() => setDropping(alias)}
                            >
                              ×
                            </button>
                          </span>
                        ))}
                      </span>
                    ),
                  },
                  {
                    key: "status",
                    label: "State",
                    render: (v) =>
                      v.status === "READY" ? (
                        <Status state="ok">ready</Status>
                      ) : v.status === "FAILED_REGISTRATION" ? (
                        <Status state="bad">failed</Status>
                      ) : (
                        <Status state="live">registering</Status>
                      ),
                  },
                  { key: "stage", label: "Stage", render: (v) => (v.stage === "None" ? "–" : v.stage) },
                  { key: "made", label: "Made", render: (v) => <Time at={ms(v.createdAt)} /> },
                  {
                    key: "run",
                    label: "Run",
                    render: (v) =>
                      v.runId ? <Link href={to("runs", v.runId)}>{v.runId.slice(0, 8)}</Link> : "–",
                  },
                  {
                    key: "act",
                    label: <span className="sr">Alias</span>,
                    render: (v) => (
                      <button type="button" className="button small" onClick={() => setMoving(v.version)}>
                        Set alias
                      </button>
                    ),
                  },
                ]}
              />
            </Card>
          )}
        </Loaded>
        {shown && (
          <div className="grid">
            <Card title={`Version ${shown.version}`}>
              <KeyValue
                items={[
                  ["Address", <code key="uri">{`models:/${name}/${shown.version}`}</code>],
                  ["Source", <code key="source">{shown.source}</code>],
                  ["Made", <Time key="made" at={ms(shown.createdAt)} exact />],
                  ["Changed", <Time key="changed" at={ms(shown.updatedAt)} exact />],
                  ["Description", shown.description || "–"],
                  ...Object.entries(shown.tags).map(([key, value]): [string, string] => [
                    `Tag ${key}`,
                    value,
                  ]),
                ]}
              />
            </Card>
            <Card title="Use it">
              <div className="stack" style={{ gap: 12 }}>
                <div>
                  <h3>Deploy it</h3>
                  <Code
                    text={firstDeployment(
                      shown.aliases[0]
                        ? `models:/${name}@${shown.aliases[0]}`
                        : `models:/${name}/${shown.version}`,
                      name,
                    )}
                    label="Deploy command"
                  />
                </div>
                <div>
                  <h3>Load it in Python</h3>
                  <Code
                    text={`import mlflow\nmlflow.set_tracking_uri("${location.origin}")\nmodel = mlflow.pyfunc.load_model("models:/${name}/${shown.version}")`}
                    label="Python"
                  />
                </div>
              </div>
            </Card>
          </div>
        )}
      </div>
      {moving !== undefined && model && (
        <AliasDialog
          model={name}
          version={moving}
          aliases={aliases}
          users={serving.map((d) => d.model)}
          onClose={() => setMoving(undefined)}
          onDone={(move) => {
            setMoved(move);
            void refresh();
          }}
        />
      )}
      {dropping !== undefined && (
        <Confirm
          title={`Remove alias “${dropping}”?`}
          action="Remove the alias"
          danger
          onClose={() => setDropping(undefined)}
          onConfirm={async () => {
            await native.deleteAlias(name, dropping);
            setMoved({ alias: dropping, from: aliases[dropping], to: undefined });
            await refresh();
          }}
        >
          <p>
            <Chip>@{dropping}</Chip> points at version {aliases[dropping]}. Whoever asks for{" "}
            <code>{`models:/${name}@${dropping}`}</code> gets an error afterwards; a running deployment keeps
            the version it has.
          </p>
        </Confirm>
      )}
    </>
  );
}
