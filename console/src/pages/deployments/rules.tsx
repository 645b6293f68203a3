import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { type DeploymentRule, native } from "../../api/native";
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

/** What a rule says, without the words that each has: "column values to be between". */
function says(rule: DeploymentRule): string {
  return rule.type.replace(/^expect_/, "").replaceAll("_", " ");
}

/** How many rows broke a rule, and the way to them: the journal has those that were flagged or refused. */
function Broken({ deployment, rule: r }: { deployment: string; rule: DeploymentRule }) {
  if (r.action === "count" || r.broken === 0)
    return (
      <span title={r.action === "count" ? "Only counted: the journal does not say which rows" : undefined}>
        {count(r.broken)}
      </span>
    );
  const where = ` and ',' || flags || ',' like ${literal(`%,${r.name},%`)}`;
  return <Link href={rowsBehind(deployment, where)}>{count(r.broken)}</Link>;
}

/** What the rows of requests must keep, and how many did not. */
export function Rules({
  name,
  title,
  empty,
}: {
  name: string;
  title: string;
  /** Where there are no rules; nothing is shown when it is left out. */
  empty?: ReactNode;
}) {
  const query = useQuery({
    queryKey: ["rules", name],
    queryFn: ({ signal }) => native.rules(name, signal),
    refetchInterval: 5000,
  });
  if (!empty && query.data?.rules.length === 0) return null;
  const path = api("deployments", name, "rules");
  return (
    <Card
      flush
      title={title}
      note="What the rows of requests must keep, and how many did not since this server started."
      tools={<ShowCall call={{ method: "GET", path }} cli={["rules", name]} />}
    >
      <Loaded query={query}>
        {(data) => (
          <Table
            caption="Rules by what they say"
            rows={data?.rules}
            skeletonRows={1}
            rowKey={(r) => r.name}
            empty={empty}
            columns={[
              {
                key: "name",
                label: "Rule",
                head: true,
                render: (r) => r.name,
              },
              {
                key: "action",
                label: "Who breaks it is",
                render: (r) => {
                  const [mark, word] = ACTIONS[r.action] ?? ["none", r.action];
                  return <Status state={mark}>{word}</Status>;
                },
              },
              {
                key: "broken",
                label: "Broke it",
                numeric: true,
                render: (r) => <Broken deployment={name} rule={r} />,
              },
              {
                key: "share",
                label: "Share",
                numeric: true,
                render: (r) => (r.rows === 0 ? "–" : percent(r.broken / r.rows, 2)),
              },
              { key: "rows", label: "Rows", numeric: true, render: (r) => count(r.rows) },
              { key: "requests", label: "Requests", numeric: true, render: (r) => count(r.requests) },
              { key: "says", label: "Expects", render: says },
            ]}
          />
        )}
      </Loaded>
    </Card>
  );
}
