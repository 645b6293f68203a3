import type { ReactNode } from "react";
import type { PerformanceMetric, PerformanceReport } from "../../api/native";
import { Card } from "../../components/basics";
import { Table } from "../../components/table";
import { measure, percent } from "../../lib/format";
import { betweenWords, nameOf } from "../../lib/performance";
import { useParam } from "../../lib/url";

/** Every measure of all predictions together with its interval; one is chosen to be drawn and told apart. */
export function Measures(props: { report: PerformanceReport | undefined; chosen: string; tools: ReactNode }) {
  const { report, chosen } = props;
  const [, setChosen] = useParam("measure");
  return (
    <Card
      flush
      title="Measures"
      note={
        report &&
        `Of all labelled predictions, and between what each is in ${percent(report.confidence)} of cases. The pressed one is drawn, and told apart by groups.`
      }
      tools={props.tools}
    >
      <Table
        caption="Measures"
        rows={report?.overall.metrics}
        rowKey={nameOf}
        current={chosen}
        empty={<p className="quiet pad">No label could be compared with its prediction.</p>}
        columns={[
          {
            key: "name",
            label: "Measure",
            head: true,
            render: (m) => (
              <button
                type="button"
                className="button plain small"
                aria-pressed={nameOf(m) === chosen}
                onClick={() => setChosen(nameOf(m))}
              >
                {nameOf(m)}
              </button>
            ),
          },
          { key: "value", label: "Value", numeric: true, render: (m) => measure(m.value, 4) },
          {
            key: "between",
            label: "Between",
            numeric: true,
            render: (m: PerformanceMetric) =>
              betweenWords(m) || <span className="quiet">no interval is valid</span>,
          },
          {
            key: "method",
            label: "Interval by",
            render: (m) => <span className="quiet">{m.method ?? ""}</span>,
          },
        ]}
      />
    </Card>
  );
}
