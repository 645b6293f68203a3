import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { native, type PerformanceGroup, type PerformanceReport } from "../../api/native";
import { Card, Status } from "../../components/basics";
import { Loaded } from "../../components/loaded";
import { type Column, Table } from "../../components/table";
import { count, measure, percent, plural } from "../../lib/format";
import {
  behind,
  betweenWords,
  COLUMNS_SQL,
  comparisonOf,
  groupName,
  type Kinds,
  line,
  metricNames,
  metricOf,
  signed,
} from "../../lib/performance";
import { journalOf } from "../../lib/url";

const WIDE = 160;
const HIGH = 20;

/** A group, or all of them together, which is no group. */
interface Row {
  at: number | undefined;
  group: PerformanceGroup;
}

/** The types of the journal's columns; envelopes need none. */
function useKinds(by: string): Kinds | undefined {
  const query = useQuery({
    queryKey: ["journal-columns"],
    queryFn: async ({ signal }) => {
      const { rows } = await native.query(COLUMNS_SQL, 10_000, signal);
      return Object.fromEntries(rows.map(([name, kind]) => [String(name), String(kind)]));
    },
    enabled: by.includes("."),
    staleTime: 300_000,
  });
  return by.includes(".") ? query.data : {};
}

/** A value and its interval on a line that all groups share, with the value of all of them together. */
function Picture(props: {
  group: PerformanceGroup;
  overall: PerformanceGroup;
  name: string;
  place: (value: number) => number;
  differs: boolean;
}) {
  const m = metricOf(props.group, props.name);
  const all = metricOf(props.overall, props.name);
  if (!m || typeof m.value !== "number") return null;
  const x = (value: number) => props.place(value) * WIDE;
  const middle = HIGH / 2;
  const ends = typeof m.low === "number" && typeof m.high === "number" ? [m.low, m.high] : [];
  return (
    <svg
      className="interval"
      data-state={props.differs ? "warn" : "none"}
      width={WIDE}
      height={HIGH}
      viewBox={`0 0 ${WIDE} ${HIGH}`}
      aria-hidden="true"
    >
      {all && <line className="against" x1={x(all.value)} x2={x(all.value)} y1={1} y2={HIGH - 1} />}
      {ends.length === 2 && (
        <line className="range" x1={x(ends[0] ?? 0)} x2={x(ends[1] ?? 0)} y1={middle} y2={middle} />
      )}
      {ends.map((end, i) => (
        <line
          key={i ? "high" : "low"}
          className="end"
          x1={x(end)}
          x2={x(end)}
          y1={middle - 5}
          y2={middle + 5}
        />
      ))}
      <circle className="estimate" cx={x(m.value)} cy={middle} r={4} />
    </svg>
  );
}

/** A value with its interval under it. */
function Measured({ group, name }: { group: PerformanceGroup; name: string }) {
  const found = metricOf(group, name);
  if (!found) return <span className="quiet">–</span>;
  return (
    <>
      <div>{measure(found.value, 4)}</div>
      <span className="quiet small">{betweenWords(found)}</span>
    </>
  );
}

/** How far a group is from the one with the most labels, and whether that is more than chance. */
function Difference({ report, row, name }: { report: PerformanceReport; row: Row; name: string }) {
  if (row.at === undefined) return <span className="quiet">–</span>;
  if (row.at === 0) return <Status state="none">has the most labels</Status>;
  const found = comparisonOf(report, row.at, name);
  if (!found) return <span className="quiet">–</span>;
  const between = betweenWords(found.difference, 3);
  return (
    <>
      <Status state={found.differs ? "warn" : "none"}>
        {found.differs ? "differs" : "no sure difference"}
      </Status>
      <div className="small quiet nowrap">
        {signed(found.difference.value)}
        {between && ` (${between})`}
      </div>
    </>
  );
}

/** Measures that stand beside the chosen one, each with a mark where it surely differs. */
function others(report: PerformanceReport, chosen: string): Column<Row>[] {
  const differs = (row: Row, name: string) =>
    row.at !== undefined && comparisonOf(report, row.at, name)?.differs === true;
  return metricNames([report.overall, ...report.groups])
    .filter((name) => name !== chosen)
    .map((name) => ({
      key: name,
      label: name,
      numeric: true,
      differs: (row: Row) => differs(row, name),
      render: (row: Row) => (
        <>
          <Measured group={row.group} name={name} />
          {differs(row, name) && <div className="small">differs</div>}
        </>
      ),
    }));
}

/** Each group with all its measures, the chosen one first, beside the group with the most labels. */
export function Groups(props: {
  query: Pick<UseQueryResult<PerformanceReport>, "data" | "error" | "refetch">;
  by: string;
  chosen: string;
  tools: ReactNode;
}) {
  const { by, chosen } = props;
  const kinds = useKinds(by);
  const report = props.query.data;
  const rows: Row[] | undefined = report && [
    ...report.groups.map((group, at) => ({ at, group })),
    { at: undefined, group: report.overall },
  ];
  const place = report && line([report.overall, ...report.groups], chosen);
  const rowsBehind = (row: Row, labeled: boolean) => {
    const n = count(labeled ? row.group.labeled : row.group.rows);
    // Until it is known how a column is stored, no condition of it can be written.
    if (!report || !kinds) return n;
    const of = row.at === undefined ? {} : { by: row.group.by, kinds };
    return <Link href={journalOf(behind(report, { ...of, labeled }))}>{n}</Link>;
  };
  return (
    <Card
      flush
      title={`${chosen || "Measures"} by ${by}`}
      note={
        report &&
        `Each beside the one with the most labels. ${
          report.comparisons.length > 0
            ? `“Differs” is said where it is so after a correction for ${plural(report.comparisons.length, "comparison")}, all of them together in ${percent(report.confidence)} of cases. `
            : ""
        }The dashed line is the value of all; the other measures follow on the right.`
      }
      tools={props.tools}
    >
      <Loaded query={props.query}>
        {() => (
          <Table
            caption={`Measures by ${by}`}
            rows={rows}
            rowKey={(row) => (row.at === undefined ? "" : `=${groupName(row.group)}`)}
            columns={[
              {
                key: "by",
                label: by,
                head: true,
                render: (row) => (row.at === undefined ? "all" : groupName(row.group)),
              },
              {
                key: "chosen",
                label: chosen || "Measure",
                render: (row) => (
                  <div className="effect">
                    <span className="nowrap">
                      <Measured group={row.group} name={chosen} />
                    </span>
                    {report && place && (
                      <Picture
                        group={row.group}
                        overall={report.overall}
                        name={chosen}
                        place={place}
                        differs={
                          row.at !== undefined && comparisonOf(report, row.at, chosen)?.differs === true
                        }
                      />
                    )}
                  </div>
                ),
              },
              {
                key: "difference",
                label: "Difference",
                render: (row) => report && <Difference report={report} row={row} name={chosen} />,
              },
              { key: "labeled", label: "Labelled", numeric: true, render: (row) => rowsBehind(row, true) },
              { key: "rows", label: "Predictions", numeric: true, render: (row) => rowsBehind(row, false) },
              ...(report ? others(report, chosen) : []),
            ]}
          />
        )}
      </Loaded>
    </Card>
  );
}
