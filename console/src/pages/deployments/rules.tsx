import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { native } from "../../api/native";
import { Card, type State, Status } from "../../components/basics";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { Table } from "../../components/table";
import { count, percent } from "../../lib/format";
import { literal } from "../../lib/sql";
import { api } from "../../lib/url";
import { rowsBehind } from "./parts";

const ACTIONS: Record<string, [State, string]> = {
  reject: ["bad", "refused"],
  flag: ["warn", "flagged"],
  count: ["none", "counted"],
};

/** What the rows of requests must keep, and how many did not; nothing where there are no rules. */
export function Rules({ name }: { name: string }) {
  const query = useQuery({
    queryKey: ["rules", name],
    queryFn: ({ signal }) => native.rules(name, signal),
    refetchInterval: 3000,
  });
  if (query.data && query.data.rules.length === 0) return null;
  const path = api("deployments", name, "rules");
  return (
    <Card
      flush
      title="Rules"
      note="What the rows of requests must keep, and how many did not since this server started."
      tools={<ShowCall call={{ method: "GET", path }} cli={["rules", name]} />}
    >
      <Loaded query={query}>
        {() => (
          <Table
            caption="Rules by what they say"
            rows={query.data?.rules}
            skeletonRows={1}
            rowKey={(r) => r.name}
            empty={null}
            columns={[
              {
                key: "name",
                label: "Rule",
                head: true,
                render: (r) => (
                  <span title={r.type}>
                    {r.action === "count" || r.broken === 0 ? (
                      r.name
                    ) : (
                      <Link
                        href={rowsBehind(
                          name,
                          ` and ',' || flags || ',' like ${literal(`%,${r.name},%`)}`,
                        )}
                      >
                        {r.name}
                      </Link>
                    )}
                  </span>
                ),
              },
              {
                key: "action",
                label: "Who breaks it is",
                render: (r) => {
                  const [mark, word] = ACTIONS[r.action] ?? ["none", r.action];
                  return <Status state={mark}>{word}</Status>;
                },
              },
              { key: "rows", label: "Rows", numeric: true, render: (r) => count(r.rows) },
              { key: "broken", label: "Broke it", numeric: true, render: (r) => count(r.broken) },
              {
                key: "share",
                label: "Share",
                numeric: true,
                render: (r) => (r.rows === 0 ? "–" : percent(r.broken / r.rows, 2)),
              },
              { key: "requests", label: "Requests", numeric: true, render: (r) => count(r.requests) },
            ]}
          />
        )}
      </Loaded>
    </Card>
  );
}
