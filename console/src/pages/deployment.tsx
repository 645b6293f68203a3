import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useLocation, useParams } from "wouter";
import { type DeploymentDetail, ms, native, type Quantiles, type VersionStats } from "../api/native";
import { Card, Code, Empty, KeyValue, Live, PageHead, Skeleton, Status, Time } from "../components/basics";
import { Confirm } from "../components/confirm";
import { Loaded } from "../components/loaded";
import { ShowCall } from "../components/show-call";
import { Table } from "../components/table";
import { LatencyChart, rate, recentRate, TrafficChart } from "../components/traffic";
import { bytes, count, duration, percent, plural } from "../lib/format";
import { useTitle } from "../lib/hooks";
import { type LiveState, useLive } from "../lib/live";
import { to, useParam } from "../lib/url";
import { current, DeploymentState, failures, millis, rowsBehind } from "./deployment-parts";
import { Batches } from "./batches";
import { Generations } from "./generations";
import { TryIt } from "./try-it";
import { TryRaw } from "./try-raw";

const TABS = [
  ["live", "Live"],
  ["try", "Try it"],
  ["signature", "Signature"],
  ["spec", "Spec and history"],
] as const;

function Lead({ detail, live }: { detail: DeploymentDetail; live: LiveState }) {
  const { summary } = detail;
  const { traffic } = summary;
  if (summary.state !== "READY")
    return (
      <>
        This deployment is <b>{summary.state.toLowerCase()}</b>
        {summary.reason && `: ${summary.reason}`}.
      </>
    );
  return (
    <>
      <b>{summary.model}</b> version <b>{summary.version ?? "–"}</b> answered{" "}
      <b>{plural(traffic.answered, "request")}</b> since the server started,{" "}
      {failures(traffic.answered, traffic.failed)}
      {traffic.latency && (
        <>
          ; p50 <b>{millis(traffic.latency.p50)}</b>, p99 <b>{millis(traffic.latency.p99)}</b>
        </>
      )}
      ; now <b>{rate(recentRate(live.ticks))}</b>.{summary.reason && ` ${summary.reason}.`}
    </>
  );
}

const PARTS = [
  ["queue", "Queue", "waiting for admission and a batch", "--s2"],
  ["engine", "Engine", "in the model", "--s1"],
  ["encode", "Encode", "turning the outputs into the protocol’s bytes", "--s3"],
] as const;

/** Mean time per part of a request, drawn as one bar. */
function Split({ stats }: { stats: VersionStats }) {
  const total = stats.traffic.latency?.mean;
  const parts = PARTS.map(([key, label, , colour]) => ({ key, label, colour, mean: stats[key]?.mean ?? 0 }));
  const sum = Math.max(
    total ?? 0,
    parts.reduce((n, p) => n + p.mean, 0),
  );
  if (sum === 0) return <span className="quiet">–</span>;
  return (
    <span
      className="bar"
      role="img"
      aria-label={parts.map((p) => `${p.label} ${percent(p.mean / sum, 0)}`).join(", ")}
    >
      {parts.map((p) => (
        <i
          key={p.key}
          title={`${p.label}: ${millis(p.mean)}`}
          style={{ width: `${(p.mean / sum) * 100}%`, background: `var(${p.colour})` }}
        />
      ))}
    </span>
  );
}

function LatencySplit({ stats, name }: { stats: VersionStats[]; name: string }) {
  const rows = stats.flatMap((v) => {
    const lines: {
      key: string;
      version: string;
      part: string;
      note: string;
      colour?: string;
      q: Quantiles | null | undefined;
    }[] = [
      {
        key: `${v.version}/total`,
        version: v.version,
        part: "Whole request",
        note: "from the parsed request to the encoded answer",
        q: v.traffic.latency,
      },
      ...PARTS.map(([key, part, note, colour]) => ({
        key: `${v.version}/${key}`,
        version: v.version,
        part,
        note,
        colour,
        q: v[key],
      })),
    ];
    return lines.filter((line) => line.q);
  });
  return (
    <Card
      flush
      title="Where the time goes"
      note="Since the server started, per version."
      tools={
        <ShowCall
          call={{ method: "GET", path: `/api/v1${to("deployments", name).replace(/\/$/, "")}/stats` }}
          cli={`mainspring get deployment ${name}`}
        />
      }
    >
      {stats.length > 0 && rows.length > 0 && (
        <div className="pad stack" style={{ gap: 8 }}>
          {stats.map((v) => (
            <div key={v.version} className="row">
              <span style={{ width: 88 }}>Version {v.version}</span>
              <span className="grow">
                <Split stats={v} />
              </span>
            </div>
          ))}
        </div>
      )}
      <Table
        caption="Latency by part"
        rows={rows}
        rowKey={(line) => line.key}
        empty={<p className="quiet pad">No request was answered yet. Send one on the tab “Try it”.</p>}
        columns={[
          ...(stats.length > 1
            ? [{ key: "version", label: "Version", render: (line: (typeof rows)[number]) => line.version }]
            : []),
          {
            key: "part",
            label: "Part",
            head: true,
            render: (line) => (
              <>
                {line.colour && (
                  <span aria-hidden="true" className="swatch" style={{ background: `var(${line.colour})` }} />
                )}
                {line.part}
                <span className="quiet wide-only">, {line.note}</span>
              </>
            ),
          },
          { key: "mean", label: "Mean", numeric: true, render: (line) => millis(line.q?.mean) },
          { key: "p50", label: "p50", numeric: true, render: (line) => millis(line.q?.p50) },
          { key: "p90", label: "p90", numeric: true, render: (line) => millis(line.q?.p90) },
          { key: "p99", label: "p99", numeric: true, render: (line) => millis(line.q?.p99) },
          { key: "max", label: "Longest", numeric: true, render: (line) => millis(line.q?.max) },
        ]}
      />
    </Card>
  );
}

function Versions({ detail }: { detail: DeploymentDetail }) {
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
              <>
                <Link href={`${to("models", v.model)}?v=${v.version}`}>
                  {v.model} {v.version}
                </Link>{" "}
                {v.current && <Status state="live">current</Status>}
              </>
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
          {
            key: "runs",
            label: "Runs",
            render: (v) =>
              v.execution.inlineRows > 0
                ? `up to ${plural(v.execution.inlineRows, "row")} on the calling thread${v.execution.batched ? ", more in batches" : ""}`
                : v.execution.batched
                  ? "in batches"
                  : "one request a call",
          },
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
              <>
                <Time at={ms(v.loadedAt)} /> <span className="quiet nowrap">in {millis(v.loadMs)}</span>
              </>
            ),
          },
        ]}
      />
    </Card>
  );
}

function Failed({ stats, name }: { stats: VersionStats[]; name: string }) {
  const rows = stats.flatMap((v) => v.failures.map((f) => ({ ...f, version: v.version })));
  return (
    <Card
      flush
      title="Failures"
      tools={
        <Link className="button small" href={rowsBehind(name, " and outcome <> 'ok'")}>
          The rows behind it
        </Link>
      }
    >
      <Table
        caption="Failures by kind"
        rows={rows}
        rowKey={(r) => `${r.version}/${r.kind}`}
        empty={<p className="quiet pad">No request failed since the server started.</p>}
        columns={[
          { key: "kind", label: "Kind", head: true, render: (r) => r.kind.replaceAll("_", " ") },
          {
            key: "version",
            label: "Version",
            numeric: true,
            render: (r) => (r.version === "-" ? "none reached" : r.version),
          },
          { key: "count", label: "Requests", numeric: true, render: (r) => count(r.count) },
        ]}
      />
    </Card>
  );
}

function LiveTab({ detail, live, name }: { detail: DeploymentDetail; live: LiveState; name: string }) {
  const path = `/api/v1${to("deployments", name).replace(/\/$/, "")}/live`;
  const tools = (
    <>
      <Live updatedAt={live.updatedAt} everyMs={1000} />
      <ShowCall
        call={{ method: "GET", path }}
        cli={`mainspring query "select date_trunc('second', at) as second, count(*) from predictions where deployment = '${name}' group by 1 order by 1 desc limit 60"`}
      />
    </>
  );
  return (
    <>
      <div className="grid">
        <Card title="Traffic" tools={tools}>
          <TrafficChart ticks={live.ticks} by="version" sync={`deployment-${name}`} />
        </Card>
        <Card title="Latency" tools={tools}>
          <LatencyChart ticks={live.ticks} sync={`deployment-${name}`} />
        </Card>
      </div>
      <Versions detail={detail} />
      <LatencySplit stats={detail.stats.filter((s) => s.version !== "-")} name={name} />
      <div className="grid">
        <Batches name={name} />
        <Failed stats={detail.stats} name={name} />
      </div>
    </>
  );
}

function SignatureTab({ detail }: { detail: DeploymentDetail }) {
  const version = current(detail);
  if (!version)
    return <Empty title="No version is loaded">The signature is known once a version is loaded.</Empty>;
  const { columns, inputs, outputs } = version.signature;
  const shape = (dims: number[]) => `[${dims.map((d) => (d < 0 ? "any" : d)).join(", ")}]`;
  const tensors = (title: string, rows: typeof inputs) => (
    <Card flush title={title}>
      <Table
        caption={title}
        rows={rows}
        rowKey={(t) => t.name}
        columns={[
          { key: "name", label: "Name", head: true, render: (t) => t.name },
          { key: "type", label: "Type", render: (t) => t.datatype },
          { key: "shape", label: "Shape", render: (t) => <code>{shape(t.shape)}</code> },
        ]}
      />
    </Card>
  );
  return (
    <div className="grid">
      <Card
        flush
        title="Columns of a row"
        note={`What version ${version.version} was logged with; the form on “Try it” is made from it.`}
      >
        <Table
          caption="Columns"
          rows={columns}
          rowKey={(c) => c.name}
          columns={[
            {
              key: "name",
              label: "Column",
              head: true,
              render: (c) => <span className="break">{c.name}</span>,
            },
            { key: "type", label: "Type", render: (c) => c.type },
            { key: "required", label: "Needed", render: (c) => (c.required ? "yes" : "optional") },
          ]}
        />
      </Card>
      <div className="stack">
        {tensors("Input tensors", inputs)}
        {tensors("Output tensors", outputs)}
        <Card title="Ask for it">
          <Code
            text={`curl -sS ${location.origin}/v2${to("models", detail.summary.name)}`}
            label="Metadata by the Open Inference Protocol"
          />
        </Card>
      </div>
    </div>
  );
}

export default function DeploymentPage() {
  const { name = "" } = useParams<{ name: string }>();
  useTitle(name);
  const [tab] = useParam("tab", "live");
  const [asking, setAsking] = useState(false);
  const [, navigate] = useLocation();
  const client = useQueryClient();
  const query = useQuery({
    queryKey: ["deployment", name],
    queryFn: ({ signal }) => native.deployment(name, signal),
    refetchInterval: 3000,
  });
  const live = useLive(`/api/v1${to("deployments", name).replace(/\/$/, "")}/live`);
  const detail = query.data;
  const version = detail && current(detail);
  return (
    <>
      <PageHead
        crumbs={[{ label: "Deployments", href: "/deployments" }]}
        title={
          <>
            {name} {detail && <DeploymentState state={detail.summary.state} />}
          </>
        }
        lead={
          detail ? (
            <Lead detail={detail} live={live} />
          ) : query.error ? (
            "This deployment could not be loaded."
          ) : undefined
        }
        actions={
          <>
            <ShowCall
              call={{ method: "GET", path: `/api/v1${to("deployments", name)}` }}
              cli={`mainspring get deployment ${name}`}
            />
            {detail && (
              <button type="button" className="button small" onClick={() => setAsking(true)}>
                Delete
              </button>
            )}
          </>
        }
      />
      <Loaded query={query}>
        {(data) => (
          <div className="stack" style={{ gap: 16 }}>
            <nav className="tabs" aria-label="Parts of the deployment">
              {TABS.map(([key, label]) => (
                <Link
                  key={key}
                  href={`${to("deployments", name)}${key === "live" ? "" : `?tab=${key}`}`}
                  replace
                  aria-current={tab === key ? "page" : undefined}
                >
                  {label}
                </Link>
              ))}
            </nav>
            {data === undefined ? (
              <Skeleton width="100%" />
            ) : tab === "try" ? (
              version ? (
                version.signature.columns.length > 0 ? (
                  <TryIt key={version.version} deployment={name} version={version} />
                ) : (
                  <TryRaw key={version.version} deployment={name} version={version} />
                )
              ) : (
                <Empty title="No version is loaded">
                  {data.summary.reason ?? "The form is made from the signature of the version that answers."}
                </Empty>
              )
            ) : tab === "signature" ? (
              <SignatureTab detail={data} />
            ) : tab === "spec" ? (
              <Generations kind="Deployment" name={name} spec={data.spec} />
            ) : (
              <LiveTab detail={data} live={live} name={name} />
            )}
            {tab === "spec" && data && (
              <Card title="About">
                <KeyValue
                  items={[
                    ["Model", <code key="model">{data.summary.model}</code>],
                    ["State since", <Time key="since" at={ms(data.summary.since)} exact />],
                    ["Default", data.summary.default ? "yes: it answers scoring requests at the root" : "no"],
                  ]}
                />
              </Card>
            )}
          </div>
        )}
      </Loaded>
      {asking && (
        <Confirm
          title={`Delete deployment ${name}?`}
          action="Delete"
          danger
          onClose={() => setAsking(false)}
          onConfirm={async () => {
            await native.remove("Deployment", name);
            await client.invalidateQueries();
            navigate("/deployments");
          }}
        >
          <p>
            Requests in flight are answered, later ones get “not found”. The model, the journal’s rows and the
            history stay: applying the spec again brings it back.
          </p>
        </Confirm>
      )}
    </>
  );
}
