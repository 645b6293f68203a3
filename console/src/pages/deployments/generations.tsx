import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { type Generation, ms, native } from "../../api/native";
import { Card, Code, Time } from "../../components/basics";
import { Toggle } from "../../components/choice";
import { Confirm } from "../../components/confirm";
import { Diff } from "../../components/diff";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { Table } from "../../components/table";
import { plural } from "../../lib/format";
import { mainspring } from "../../lib/here";
import { api, useParam } from "../../lib/url";
import { yaml } from "../../lib/yaml";

/** The spec as it stands in a file that is applied. */
function declared(kind: string, name: string, spec: unknown): string {
  return yaml({ apiVersion: "mainspring/v1", kind, name, ...(spec as Record<string, unknown>) });
}

/** What is declared, every earlier generation, what changed between them, and the way back. */
export function Generations({ kind, name, spec }: { kind: string; name: string; spec: unknown }) {
  const [chosen, setChosen] = useParam("gen");
  const [asking, setAsking] = useState<Generation>();
  const client = useQueryClient();
  const query = useQuery({
    queryKey: ["history", kind, name],
    queryFn: ({ signal }) => native.history(kind, name, signal),
  });
  const all = query.data?.generations;
  const newest = all?.[0];
  const at = all?.findIndex((g) => String(g.generation) === chosen) ?? -1;
  const shown = at >= 0 ? all?.[at] : newest;
  const before = shown && all?.find((g) => g.generation < shown.generation);
  const path = api("resources", kind, name, "history");
  const lower = kind.toLowerCase();
  const write = (s: unknown) => (s === null || s === undefined ? "" : declared(kind, name, s));
  return (
    <div className="grid">
      <div className="stack">
        <Card
          title="Declared now"
          note={
            <>
              With the defaults filled in. Keep it in a file and change it with{" "}
              <code>{mainspring("apply", "-f", `${name}.yaml`)}</code>.
            </>
          }
          tools={
            <ShowCall
              call={{ method: "GET", path: api("resources", kind, name) }}
              cli={["get", lower, name, "--output", "json"]}
            />
          }
        >
          <Code text={write(spec)} label="Spec" />
        </Card>
      </div>
      <div className="stack">
        <Card
          flush
          title="History"
          {...(all ? { note: `${plural(all.length, "generation")}, newest first.` } : {})}
          tools={<ShowCall call={{ method: "GET", path }} cli={["history", lower, name]} />}
        >
          <Loaded query={query}>
            {() => (
              <Table
                caption="Generations"
                rows={all}
                rowKey={(g) => String(g.generation)}
                current={shown && String(shown.generation)}
                columns={[
                  {
                    key: "generation",
                    label: "Generation",
                    head: true,
                    render: (g) => (
                      <Toggle on={g === shown} onPress={() => setChosen(String(g.generation))}>
                        {g.generation}
                      </Toggle>
                    ),
                  },
                  {
                    key: "change",
                    label: "Change",
                    render: (g) => (g.change === "rolledBack" ? "rolled back" : g.change),
                  },
                  { key: "at", label: "When", render: (g) => <Time at={ms(g.at)} /> },
                  { key: "by", label: "By", render: (g) => <span className="break">{g.by}</span> },
                  {
                    key: "act",
                    label: <span className="sr">Bring back</span>,
                    render: (g) =>
                      g === newest || g.spec === null || g.spec === undefined ? null : (
                        <button type="button" className="button small" onClick={() => setAsking(g)}>
                          Bring back
                        </button>
                      ),
                  },
                ]}
              />
            )}
          </Loaded>
        </Card>
        {shown && (
          <Card
            title={before ? `What generation ${shown.generation} changed` : `Generation ${shown.generation}`}
          >
            {before ? (
              <Diff before={write(before.spec)} after={write(shown.spec)} label="Difference" />
            ) : (
              <p className="quiet">The first one; nothing came before it.</p>
            )}
          </Card>
        )}
      </div>
      {asking && newest && (
        <Confirm
          title={`Bring generation ${asking.generation} of ${name} back?`}
          action="Bring it back"
          danger
          onClose={() => setAsking(undefined)}
          onConfirm={async () => {
            await native.rollback(kind, name, asking.generation);
            setChosen("");
            await client.invalidateQueries();
          }}
        >
          <div className="stack tight">
            <p>
              It becomes a new generation; nothing is lost, and you can bring generation {newest.generation}{" "}
              back the same way. This changes:
            </p>
            <Diff before={write(newest.spec)} after={write(asking.spec)} label="What will change" />
          </div>
        </Confirm>
      )}
    </div>
  );
}
