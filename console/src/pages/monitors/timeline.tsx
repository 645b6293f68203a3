import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link } from "wouter";
import { type MonitorColumn, type MonitorDetail, ms, native } from "../../api/native";
import { Card, Skeleton, Time } from "../../components/basics";
import { Chart } from "../../components/chart/chart";
import { Choice } from "../../components/choice";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { percent } from "../../lib/format";
import { behind, columnName, eventMarks, standingWords, timeline } from "../../lib/monitor";
import { api, journalOf, useParam } from "../../lib/url";

const SPANS = [
  ["6h", "6 hours"],
  ["24h", "Day"],
  ["7d", "7 days"],
  ["30d", "30 days"],
] as const;

/** How far a column had moved at each look, with the level of drift and what was told; a point leads to its rows. */
export function Timeline({ monitor: m, column }: { monitor: MonitorDetail; column: MonitorColumn }) {
  const [span, setSpan] = useParam("last", "6h");
  const [picked, setPicked] = useState<number | undefined>(undefined);
  const { name, segment } = column;
  const query = useQuery({
    queryKey: ["monitor-history", m.name, name, segment ?? "", span],
    queryFn: ({ signal }) => native.monitorHistory(m.name, span, name, segment ?? undefined, signal),
    refetchInterval: 15_000,
  });
  const events = useQuery({
    queryKey: ["monitor-events", m.name],
    queryFn: ({ signal }) => native.monitorEvents(m.name, signal),
  });
  const marks = useMemo(() => eventMarks(events.data?.events ?? [], column), [events.data, column]);
  // Marks are drawn with the data: what was told and came later brings the same data anew.
  const drawn = useMemo(
    () => query.data && { ...timeline(query.data.points, m.minEffect), marks },
    [query.data, m.minEffect, marks],
  );
  const search = new URLSearchParams({ last: span, column: name, ...(segment ? { segment } : {}) });
  const cli = ["monitor", "history", m.name, "--column", name, "--last", span];
  if (segment) cli.push("--segment", segment);
  return (
    <Card
      title={`Timeline of ${columnName(column)}`}
      note="The share of rows that would have had to move, beyond chance, at each look. A click on a point chooses its rows."
      tools={
        <>
          <Choice label="How far back" options={SPANS} value={span} onChange={setSpan} />
          <ShowCall
            call={{ method: "GET", path: `${api("monitors", m.name, "history")}?${search}` }}
            cli={cli}
          />
        </>
      }
    >
      <Loaded query={query}>
        {(data) => {
          if (data === undefined || drawn === undefined) return <Skeleton width="100%" />;
          const at = data.points.findIndex((p) => ms(p.at) === picked);
          const point = data.points[at < 0 ? data.points.length - 1 : at];
          const seen = point?.columns[0];
          if (!point || !seen)
            return (
              <p className="quiet">No look of it is kept yet: it has none before its reference is known.</p>
            );
          return (
            <>
              <Chart
                label={`${columnName(column)} beyond chance`}
                {...drawn}
                xKind="time"
                unit={(v) => percent(v)}
                zero
                height={200}
                onPick={(i) => setPicked(ms(data.points[i]?.at) ?? undefined)}
              />
              <p className="row">
                <Time at={ms(point.at)} exact />
                <span>
                  {percent(Math.max(0, seen.distance - seen.chance))} beyond chance, {standingWords(seen)[1]}
                </span>
                <Link href={journalOf(behind(m, column, ms(point.at) ?? 0))}>the predictions behind it</Link>
              </p>
            </>
          );
        }}
      </Loaded>
    </Card>
  );
}
