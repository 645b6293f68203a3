import type { PerformanceReport } from "../../api/native";
import { Card } from "../../components/basics";
import { Table } from "../../components/table";
import { count, measure } from "../../lib/format";
import { betweenWords, nameOf } from "../../lib/performance";

/** More classes than these are a sheet and no table. */
const MOST = 20;

/** How often each class was taken for which. */
export function Confusion({ report, confusion }: { report: PerformanceReport; confusion: number[][] }) {
  const classes = report.classes ?? [];
  if (confusion.length === 0 || confusion.length > MOST) return null;
  const name = (at: number) => classes[at] ?? String(at);
  return (
    <Card
      flush
      title="Confusion"
      note="Labelled predictions: a row for what was true, a column for what was predicted."
    >
      <Table
        caption="Labelled predictions by true and predicted class"
        rows={confusion.map((row, at) => ({ row, at }))}
        rowKey={({ at }) => String(at)}
        columns={[
          { key: "true", label: "True", head: true, render: ({ at }) => name(at) },
          ...confusion.map((_, to) => ({
            key: String(to),
            label: `predicted ${name(to)}`,
            numeric: true,
            render: ({ row, at }: { row: number[]; at: number }) =>
              at === to ? <b>{count(row[to] ?? 0)}</b> : count(row[to] ?? 0),
          })),
        ]}
      />
    </Card>
  );
}

/** How far apart the groups are treated, by Fairlearn's names. */
export function Fairness({ report, by }: { report: PerformanceReport; by: string }) {
  return (
    <Card
      flush
      title={`Between the groups of ${by}`}
      note={`How unlike they are treated, by Fairlearn’s names${report.positive ? `, of class ${report.positive}` : ""}: a difference whose interval begins at 0, or a ratio whose interval ends at 1, is one that chance may have made.`}
    >
      <Table
        caption={`Between the groups of ${by}`}
        rows={report.fairness}
        rowKey={nameOf}
        columns={[
          { key: "name", label: "Measure", head: true, render: (m) => m.name },
          { key: "value", label: "Value", numeric: true, render: (m) => measure(m.value, 4) },
          { key: "between", label: "Between", numeric: true, render: (m) => betweenWords(m) || "–" },
        ]}
      />
    </Card>
  );
}
