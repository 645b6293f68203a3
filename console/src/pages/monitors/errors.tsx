import type { MonitorDetail } from "../../api/native";
import { Card } from "../../components/basics";
import { Table } from "../../components/table";
import { count, measure, percent } from "../../lib/format";

type Wrong = NonNullable<MonitorDetail["label"]>["errors"][number];

/** A share in per cent, a distance in its own unit. */
function shown(of: Wrong, value: number): string {
  return of.metric === "error_rate" ? percent(value, 1) : measure(value, 3);
}

function between(of: Wrong): string {
  if (typeof of.low !== "number" || typeof of.high !== "number") return "";
  return `${shown(of, of.low)} to ${shown(of, of.high)}`;
}

/** How wrong the model was over the window, by the labels that came in time; nothing without any. */
export function Errors({ monitor: m }: { monitor: MonitorDetail }) {
  const all = m.label?.errors ?? [];
  const first = all[0];
  if (!m.label || !first) return null;
  const what = first.metric === "error_rate" ? "the share of answers that were another value" : "the mean distance";
  return (
    <Card
      flush
      title="How wrong it was"
      note={`By the label ${m.label.name} over ${m.window}: ${what}, and between what it is in 95 % of cases.`}
    >
      <Table
        caption="How wrong it was"
        rows={all}
        rowKey={(e) => e.segment ?? ""}
        columns={[
          { key: "where", label: "Where", head: true, render: (e) => e.segment ?? "all rows" },
          { key: "value", label: "Error", numeric: true, render: (e) => shown(e, e.value) },
          { key: "between", label: "Between", numeric: true, render: between },
          { key: "rows", label: "Labelled rows", numeric: true, render: (e) => count(e.rows) },
        ]}
      />
    </Card>
  );
}
