import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useParams } from "wouter";
import { type Lineage, type ModelVersion, ms, native } from "../../api/native";
import { Card, KeyValue, PageHead, Skeleton, Time } from "../../components/basics";
import { ErrorBox } from "../../components/errors";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { UseIt } from "../../components/use-it";
import { ago, plural } from "../../lib/format";
import { python } from "../../lib/here";
import { useNow, useTitle } from "../../lib/hooks";
import { api, to, useParam } from "../../lib/url";
import { firstDeployment } from "../deployments/parts";
import { AliasDialog, DropDialog, type Move, Moved } from "./alias";
import { LineagePicture } from "./lineage";
import { ProfileLine } from "./profile";
import { Versions } from "./versions";

type Serving = Lineage["versions"][number]["deployments"];

function Lead(props: { versions: ModelVersion[]; champion: string | undefined; serving: Serving }) {
  const { versions, champion, serving } = props;
  const now = useNow();
  const [newest] = versions;
  if (!newest) return <>This model has no version yet.</>;
  return (
    <>
      <b>{plural(versions.length, "version")}</b>, the newest is <b>{newest.version}</b> (
      {ago(ms(newest.createdAt) ?? now, now)})
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
              <Link href={to("deployments", d.name)}>{d.name}</Link> answers with version <b>{d.version}</b>
            </span>
          ))}
        </>
      )}
      .
    </>
  );
}

/** One version: what it is, and how it is used. */
function VersionCards({ name, version }: { name: string; version: ModelVersion }) {
  const [alias] = version.aliases;
  return (
    <div className="grid">
      <Card title={`Version ${version.version}`}>
        <KeyValue
          items={[
            ["Address", <code key="uri">{`models:/${name}/${version.version}`}</code>],
            ["Source", <code key="source">{version.source}</code>],
            ["Made", <Time key="made" at={ms(version.createdAt)} exact />],
            ["Changed", <Time key="changed" at={ms(version.updatedAt)} exact />],
            ["Description", version.description || "–"],
            ["Profile", <ProfileLine key="profile" name={name} version={version.version} />],
            ...Object.entries(version.tags).map(([key, value]): [string, string] => [`Tag ${key}`, value]),
          ]}
        />
      </Card>
      <UseIt
        steps={[
          {
            title: "Deploy it",
            text: firstDeployment(
              alias ? `models:/${name}@${alias}` : `models:/${name}/${version.version}`,
              name,
            ),
          },
          {
            title: "Load it in Python",
            text: python(`model = mlflow.pyfunc.load_model("models:/${name}/${version.version}")`),
          },
        ]}
      />
    </div>
  );
}

/** Moves of aliases from this page: one at a time, with the way back. */
function useMoves(name: string) {
  const client = useQueryClient();
  const [moved, setMoved] = useState<Move>();
  const [failed, setFailed] = useState<unknown>();
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
  const done = (move: Move) => {
    setMoved(move);
    return refresh();
  };
  return { moved, failed, undo, done, keep: () => setMoved(undefined) };
}

export default function ModelPage() {
  const { name = "" } = useParams<{ name: string }>();
  useTitle(name);
  const [chosen, setChosen] = useParam("v");
  const [moving, setMoving] = useState<string>();
  const [dropping, setDropping] = useState<string>();
  const moves = useMoves(name);
  const query = useQuery({ queryKey: ["model", name], queryFn: ({ signal }) => native.model(name, signal) });
  const lineage = useQuery({
    queryKey: ["lineage", name],
    queryFn: ({ signal }) => native.lineage(name, signal),
  });
  const model = query.data?.model;
  const versions = query.data?.versions;
  const aliases = model?.aliases ?? {};
  const shown = versions?.find((v) => v.version === chosen) ?? versions?.[0];
  const lines = lineage.data?.versions ?? [];
  const line = lines.find((v) => v.version.version === shown?.version);
  const serving = lines.flatMap((v) => v.deployments);
  const node = line && `model:${name}/${line.version.version}`;
  const graph = useQuery({
    queryKey: ["lineage", name, "graph", node],
    queryFn: ({ signal }) => native.lineageGraph(node ?? "", signal),
    enabled: node !== undefined,
  });
  const lost = query.error && !model;
  return (
    <>
      <PageHead
        crumbs={[{ label: "Models", href: "/models" }]}
        title={name}
        lead={
          lost
            ? "This model could not be loaded."
            : versions &&
              !lineage.isPending && <Lead versions={versions} champion={aliases.champion} serving={serving} />
        }
        actions={
          <ShowCall
            call={{ method: "GET", path: api("models", name) }}
            python={`mlflow.search_model_versions(filter_string="name = '${name}'")`}
          />
        }
      />
      <div className="stack">
        {moves.moved && (
          <Moved
            move={moves.moved}
            onUndo={() => moves.moved && void moves.undo(moves.moved)}
            onKeep={moves.keep}
          />
        )}
        {moves.failed !== undefined && <ErrorBox error={moves.failed} />}
        {!lost && versions?.length !== 0 && (
          <Card
            title={shown ? `Where version ${shown.version} comes from and goes to` : "Lineage"}
            tools={
              <ShowCall
                call={{ method: "GET", path: api("models", name, "lineage") }}
                {...(shown && { cli: ["lineage", `${name}/${shown.version}`] })}
              />
            }
          >
            <Loaded query={lineage}>
              {() => (line ? <LineagePicture line={line} graph={graph.data} /> : <Skeleton width="100%" />)}
            </Loaded>
            {graph.error && <ErrorBox error={graph.error} retry={() => void graph.refetch()} />}
          </Card>
        )}
        <Loaded query={query}>
          {() => (
            <Versions
              name={name}
              versions={versions}
              lines={lines}
              current={shown?.version}
              onShow={setChosen}
              onAlias={setMoving}
              onDrop={setDropping}
            />
          )}
        </Loaded>
        {shown && <VersionCards name={name} version={shown} />}
      </div>
      {moving !== undefined && model && (
        <AliasDialog
          model={name}
          version={moving}
          aliases={aliases}
          users={serving.map((d) => d.model)}
          onClose={() => setMoving(undefined)}
          onDone={(move) => void moves.done(move)}
        />
      )}
      {dropping !== undefined && (
        <DropDialog
          model={name}
          alias={dropping}
          version={aliases[dropping]}
          onClose={() => setDropping(undefined)}
          onDone={moves.done}
        />
      )}
    </>
  );
}
