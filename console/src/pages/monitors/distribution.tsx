import { useQuery } from "@tanstack/react-query";
import { type MonitorColumn, native } from "../../api/native";
import { Card, Skeleton } from "../../components/basics";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { Table } from "../../components/table";
import { count, percent } from "../../lib/format";
import { type Bin, bins, columnName } from "../../lib/monitor";
import { api } from "../../lib/url";

const HIGH = 160;
const WIDE = 720;

/** Both sides' shares bin by bin, as bars in pairs. */
function Bars({ all, label }: { all: Bin[]; label: string }) {
  const most = Math.max(...all.flatMap((bin) => [bin.reference, bin.window]), 1e-9);
  const step = WIDE / Math.max(1, all.length);
  const bar = Math.max(1, step * 0.4);
  const part = (value: number) => (value / most) * HIGH;
  return (
    <figure className="histogram">
      <svg viewBox={`0 0 ${WIDE} ${HIGH}`} preserveAspectRatio="none" role="img" aria-label={label}>
        {all.map((bin, i) => (
          <g key={bin.at}>
            <title>{`${bin.name}: ${percent(bin.reference)} of the reference, ${percent(bin.window)} now`}</title>
            <rect
              className="reference"
              x={i * step + step * 0.08}
              width={bar}
              y={HIGH - part(bin.reference)}
              height={part(bin.reference)}
            />
            <rect
              className="window"
              x={i * step + step * 0.52}
              width={bar}
              y={HIGH - part(bin.window)}
              height={part(bin.window)}
            />
          </g>
        ))}
      </svg>
      <figcaption>
        <span>{all[0]?.name}</span>
        <span className="key">
          <i className="reference" /> reference <i className="window" /> now, up to {percent(most)}
        </span>
        <span>{all.at(-1)?.name}</span>
      </figcaption>
    </figure>
  );
}

/** A column beside its reference: a picture, and the same as a table. */
export function Distribution({ monitor, column }: { monitor: string; column: MonitorColumn }) {
  const { name, segment } = column;
  const query = useQuery({
    queryKey: ["monitor-distribution", monitor, name, segment ?? ""],
    queryFn: ({ signal }) => native.monitorDistribution(monitor, name, segment ?? undefined, signal),
    refetchInterval: 15_000,
  });
  const search = new URLSearchParams({ column: name, ...(segment ? { segment } : {}) });
  const path = `${api("monitors", monitor, "distribution")}?${search}`;
  return (
    <Card
      title={columnName(column)}
      note={
        query.data &&
        `${count(query.data.windowRows)} sampled rows of the window beside the reference, by bin.`
      }
      tools={<ShowCall call={{ method: "GET", path }} cli={["monitor", "show", monitor]} />}
    >
      <Loaded query={query}>
        {(data) => {
          if (data === undefined) return <Skeleton width="100%" />;
          const all = bins(data);
          if (all.length === 0) return <p className="quiet">No rows are known yet.</p>;
          return (
            <>
              <Bars all={all} label={`${columnName(column)}: ${all.length} bins, reference and now`} />
              <details>
                <summary>Table</summary>
                <Table
                  caption={`Bins of ${columnName(column)}`}
                  rows={all}
                  rowKey={(bin) => String(bin.at)}
                  columns={[
                    { key: "name", label: "Bin", head: true, render: (bin) => bin.name },
                    {
                      key: "reference",
                      label: "Reference",
                      numeric: true,
                      render: (bin) => percent(bin.reference),
                    },
                    { key: "window", label: "Now", numeric: true, render: (bin) => percent(bin.window) },
                  ]}
                />
              </details>
            </>
          );
        }}
      </Loaded>
    </Card>
  );
}
