import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { native, type VersionStats } from "../../api/native";
import { Card, Time } from "../../components/basics";
import { Loaded } from "../../components/loaded";
import { Table } from "../../components/table";
import { count, plural } from "../../lib/format";
import { literal } from "../../lib/sql";
import { rowsBehind } from "./parts";

interface Failure {
  kind: string;
  message: string;
  version: string;
  count: number;
  last: number;
}

/** The failures of a day by kind and words, newest first. */
function sqlOf(name: string): string {
  return `select error_kind, error, version, count(distinct event_id) as n, max(at) as last
from predictions
where deployment = ${literal(name)} and outcome <> 'ok' and at > now() - interval '1 day'
group by error_kind, error, version
order by last desc
limit 10`;
}

async function failuresOf(name: string, signal: AbortSignal): Promise<Failure[]> {
  const { rows } = await native.query(sqlOf(name), 10, signal);
  return rows.map(([kind, message, version, n, last]) => ({
    kind: String(kind ?? "failed").replaceAll("_", " "),
    message: String(message ?? ""),
    version: String(version ?? ""),
    count: Number(n),
    last: Date.parse(String(last)),
  }));
}

/** What failed, in the words that the callers got. */
export function Failures({ stats, name }: { stats: VersionStats[]; name: string }) {
  const since = stats.flatMap((v) => v.failures).reduce((n, f) => n + f.count, 0);
  const query = useQuery({
    queryKey: ["failures", name],
    queryFn: ({ signal }) => failuresOf(name, signal),
    refetchInterval: 15_000,
  });
  return (
    <Card
      flush
      title="Failures"
      note={`${plural(since, "request")} failed since the server started; the table holds the last day.`}
      tools={
        <Link className="button small" href={rowsBehind(name, " and outcome <> 'ok'")}>
          The rows behind it
        </Link>
      }
    >
      <Loaded query={query}>
        {(rows) => (
          <Table
            caption="Failures of the last day"
            rows={rows}
            skeletonRows={1}
            rowKey={(r) => `${r.kind}/${r.version}/${r.message}`}
            empty={<p className="quiet pad">No request failed in the last day.</p>}
            columns={[
              { key: "kind", label: "Kind", head: true, render: (r) => r.kind },
              {
                key: "message",
                label: "What the caller was told",
                render: (r) => <span className="break">{r.message}</span>,
              },
              {
                key: "version",
                label: "Version",
                numeric: true,
                render: (r) => (r.version === "" || r.version === "-" ? "none reached" : r.version),
              },
              { key: "count", label: "Requests", numeric: true, render: (r) => count(r.count) },
              { key: "last", label: "Last", render: (r) => <Time at={r.last} /> },
            ]}
          />
        )}
      </Loaded>
    </Card>
  );
}
