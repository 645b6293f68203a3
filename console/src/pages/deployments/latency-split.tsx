import type { Quantiles, VersionStats } from "../../api/native";
import { Card } from "../../components/basics";
import { PARTS } from "../../components/chart/traffic";
import { ShowCall } from "../../components/show-call";
import { type Column, Table } from "../../components/table";
import { percent } from "../../lib/format";
import { api } from "../../lib/url";
import { millis } from "./parts";

const colourOf = (colour: number) => `var(--s${colour + 1})`;

/** Mean time per part of a request, drawn as one bar. */
function Split({ stats }: { stats: VersionStats }) {
  const parts = PARTS.map((part) => ({ ...part, mean: stats[part.key]?.mean ?? 0 }));
  const sum = Math.max(
    stats.traffic.latency?.mean ?? 0,
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
          style={{ width: `${(p.mean / sum) * 100}%`, background: colourOf(p.colour) }}
        />
      ))}
      <i
        className="rest"
        title={`Between the parts: ${millis(sum - parts.reduce((n, p) => n + p.mean, 0))}`}
      />
    </span>
  );
}

interface Line {
  key: string;
  version: string;
  part: string;
  note: string;
  colour?: number;
  q: Quantiles | null | undefined;
}

function linesOf(v: VersionStats): Line[] {
  return [
    {
      key: `${v.version}/total`,
      version: v.version,
      part: "Whole request",
      note: "from the parsed request to the encoded answer",
      q: v.traffic.latency,
    },
    ...PARTS.map(({ key, label, note, colour }) => ({
      key: `${v.version}/${key}`,
      version: v.version,
      part: label,
      note,
      colour,
      q: v[key],
    })),
  ];
}

const quantile = (key: keyof Quantiles, label: string): Column<Line> => ({
  key,
  label,
  numeric: true,
  render: (line) => millis(line.q?.[key]),
});

/** Where the time of a request goes: since the server started, per version. */
export function LatencySplit({ stats, name }: { stats: VersionStats[]; name: string }) {
  const rows = stats.flatMap(linesOf).filter((line) => line.q);
  return (
    <Card
      flush
      title="Where the time goes"
      note="Since the server started, per version."
      tools={
        <ShowCall
          call={{ method: "GET", path: api("deployments", name, "stats") }}
          cli={["get", "deployment", name]}
        />
      }
    >
      {rows.length > 0 && (
        <div className="pad stack tight">
          {stats.map((v) => (
            <div key={v.version} className="row">
              <span className="key">Version {v.version}</span>
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
            ? [{ key: "version", label: "Version", render: (line: Line) => line.version }]
            : []),
          {
            key: "part",
            label: "Part",
            head: true,
            render: (line) => (
              <>
                {line.colour !== undefined && (
                  <span aria-hidden="true" className="swatch" style={{ background: colourOf(line.colour) }} />
                )}
                {line.part}
                <span className="quiet wide-only">, {line.note}</span>
              </>
            ),
          },
          quantile("mean", "Mean"),
          quantile("p50", "p50"),
          quantile("p90", "p90"),
          quantile("p99", "p99"),
          quantile("max", "Longest"),
        ]}
      />
    </Card>
  );
}
