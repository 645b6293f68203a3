import { useQuery } from "@tanstack/react-query";
import { type BatchesOfVersion, native } from "../../api/native";
import { Card } from "../../components/basics";
import { Loaded } from "../../components/loaded";
import { Share } from "../../components/share";
import { ShowCall } from "../../components/show-call";
import { Table } from "../../components/table";
import { count, duration, plural } from "../../lib/format";
import { api } from "../../lib/url";
import { millis } from "./parts";

const CLOSED: Record<string, string> = {
  size: "full: the next request did not fit",
  delay: "the oldest request had waited for maxDelay",
  idle: "an instance was idle",
  shape: "the next request had other dimensions",
  alone: "the model takes one request a call",
  inline: "no batch: quick enough for the request’s own thread",
};

function sentence(v: BatchesOfVersion): string {
  const rows = v.sizes.reduce((n, s) => n + s.rows * s.calls, 0);
  const calls = v.sizes.reduce((n, s) => n + s.calls, 0);
  const mean = calls > 0 ? `, ${(rows / calls).toFixed(1)} rows each` : "";
  const waiting = v.waiting > 0 ? `; ${plural(v.waiting, "request")} now waiting` : "";
  return `Version ${v.version}: ${plural(v.batches, "engine call")}${mean}; at most ${plural(v.maxRows, "row")} or ${millis(v.maxDelayMs)} a batch${waiting}.`;
}

/** Why batches closed, and how large they were. */
export function Batches({ name }: { name: string }) {
  const query = useQuery({
    queryKey: ["batches", name],
    queryFn: ({ signal }) => native.batches(name, signal),
    refetchInterval: 3000,
  });
  const versions = query.data?.versions;
  const several = (versions?.length ?? 0) > 1;
  const reasons = versions?.flatMap((v) => {
    const total = v.closedBy.reduce((n, c) => n + c.count, 0);
    return v.closedBy
      .filter((c) => c.count > 0)
      .sort((a, b) => b.count - a.count)
      .map((c) => ({ ...c, version: v.version, share: c.count / total }));
  });
  const sizes = versions?.flatMap((v) => {
    const total = v.sizes.reduce((n, s) => n + s.calls, 0);
    return v.sizes
      .filter((s) => s.calls > 0)
      .map((s) => ({ ...s, version: v.version, share: s.calls / total }));
  });
  const version = <T extends { version: string }>() =>
    several ? [{ key: "version", label: "Version", numeric: true, render: (r: T) => r.version }] : [];
  const path = api("deployments", name, "batches");
  return (
    <div className="grid">
      <Card
        flush
        title="Why batches closed"
        {...(versions && versions.length > 0 ? { note: versions.map(sentence).join(" ") } : {})}
        tools={<ShowCall call={{ method: "GET", path }} />}
      >
        <Loaded query={query}>
          {() => (
            <Table
              caption="Batches by the reason that closed them"
              rows={reasons}
              skeletonRows={2}
              rowKey={(r) => `${r.version}/${r.reason}`}
              empty={<p className="quiet pad">No engine call was made yet.</p>}
              columns={[
                {
                  key: "reason",
                  label: "Closed because",
                  head: true,
                  render: (r) => <span title={r.reason}>{CLOSED[r.reason] ?? r.reason}</span>,
                },
                ...version<(typeof reasons & object)[number]>(),
                { key: "count", label: "Calls", numeric: true, render: (r) => count(r.count) },
                { key: "share", label: "Share", numeric: true, render: (r) => <Share share={r.share} /> },
              ]}
            />
          )}
        </Loaded>
      </Card>
      {sizes && sizes.length > 0 && (
        <Card
          flush
          title="How large they were"
          note="Engine calls by rows and their mean time in the engine; rows are exact up to 128, then the next power of two."
        >
          <Table
            caption="Engine calls by rows"
            rows={sizes}
            rowKey={(s) => `${s.version}/${s.rows}`}
            columns={[
              { key: "rows", label: "Rows", head: true, numeric: true, render: (s) => count(s.rows) },
              ...version<(typeof sizes)[number]>(),
              { key: "calls", label: "Calls", numeric: true, render: (s) => count(s.calls) },
              { key: "share", label: "Share", numeric: true, render: (s) => <Share share={s.share} /> },
              {
                key: "mean",
                label: "Mean",
                numeric: true,
                render: (s) => duration(s.meanUs / 1e6),
              },
            ]}
          />
        </Card>
      )}
    </div>
  );
}
