import { Link } from "wouter";
import { type DeploymentDetail, ms, type VersionDetail } from "../../api/native";
import { Card, Status, Time } from "../../components/basics";
import { Table } from "../../components/table";
import { bytes, count, duration, plural } from "../../lib/format";
import { to } from "../../lib/url";
import { DeploymentState, millis, rowsBehind } from "./parts";

/** How the requests of a version are run, in words. */
export function execution({ inlineRows, batched }: VersionDetail["execution"]): string {
  if (inlineRows > 0)
    return `up to ${plural(inlineRows, "row")} on the calling thread${batched ? ", more in batches" : ""}`;
  return batched ? "in batches" : "one request a call";
}

/** The versions that are loaded now. */
export function Versions({ detail }: { detail: DeploymentDetail }) {
  const stats = new Map(detail.stats.map((s) => [s.version, s]));
  const warnings = detail.versions.flatMap((v) => v.warnings.map((w) => `Version ${v.version}: ${w}`));
  return (
    <Card flush title="Versions held" note="The current one first, then those that finish their requests.">
      {warnings.length > 0 && (
        <div className="pad">
          <div className="notice warn">
            {warnings.map((w) => (
              <p key={w}>{w}</p>
            ))}
          </div>
        </div>
      )}
      <Table
        caption="Versions held"
        rows={detail.versions}
        rowKey={(v) => v.version}
        empty={<p className="quiet pad">No version is loaded.</p>}
        columns={[
          {
            key: "version",
            label: "Version",
            head: true,
            render: (v) => (
              <span className="row">
                <Link href={`${to("models", v.model)}?v=${v.version}`}>
                  {v.model} {v.version}
                </Link>
                {v.current && <Status state="live">current</Status>}
              </span>
            ),
          },
          { key: "state", label: "State", render: (v) => <DeploymentState state={v.state} /> },
          {
            key: "answered",
            label: "Answered",
            numeric: true,
            render: (v) => (
              <Link href={rowsBehind(detail.summary.name, ` and version = '${v.version}'`)}>
                {count(stats.get(v.version)?.traffic.answered ?? 0)}
              </Link>
            ),
          },
          {
            key: "engine",
            label: "Engine",
            render: (v) => `${v.engine}, ${plural(v.instances, "instance")}`,
          },
          { key: "runs", label: "Runs", render: (v) => execution(v.execution) },
          {
            key: "row",
            label: "One row",
            numeric: true,
            render: (v) => duration(v.execution.oneRowUs / 1e6),
          },
          { key: "memory", label: "Memory", numeric: true, render: (v) => bytes(v.memoryBytes) },
          {
            key: "loaded",
            label: "Loaded",
            render: (v) => (
              <span className="nowrap">
                <Time at={ms(v.loadedAt)} /> <span className="quiet">in {millis(v.loadMs)}</span>
              </span>
            ),
          },
        ]}
      />
    </Card>
  );
}
