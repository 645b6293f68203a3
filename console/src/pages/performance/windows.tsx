import { type ReactNode, useMemo, useState } from "react";
import { Link } from "wouter";
import type { PerformanceReport } from "../../api/native";
import { Card } from "../../components/basics";
import { Chart } from "../../components/chart/chart";
import { Table } from "../../components/table";
import { count, measure, plural } from "../../lib/format";
import {
  behind,
  betweenWords,
  drawn,
  metricOf,
  type Step,
  type Window,
  windowName,
} from "../../lib/performance";
import { journalOf } from "../../lib/url";

interface Props {
  report: PerformanceReport | undefined;
  windows: Window[] | undefined;
  step: Step;
  /** The measure that is shown. */
  chosen: string;
}

/** A window in words, and the way to its predictions. */
function Told({ report, window: w, step, chosen }: Props & { report: PerformanceReport; window: Window }) {
  const found = metricOf(w.group, chosen);
  const between = betweenWords(found);
  return (
    <p className="row">
      <span>
        {windowName(w, step)} UTC:{" "}
        {found ? `${chosen} ${measure(found.value, 4)}${between && `, between ${between}`}` : "no label"},{" "}
        {count(w.group?.labeled ?? 0)} of {plural(w.group?.rows ?? 0, "prediction")} with a label
      </span>
      <Link href={journalOf(behind(report, { within: w, labeled: (w.group?.labeled ?? 0) > 0 }))}>
        the predictions behind it
      </Link>
    </p>
  );
}

/** One measure over hours or days with its interval; a click on a point chooses its predictions. */
export function Drawn(props: Props & { tools: ReactNode }) {
  const { report, windows, step, chosen } = props;
  const [picked, setPicked] = useState<number | undefined>(undefined);
  const picture = useMemo(() => windows && drawn(windows, chosen), [windows, chosen]);
  const shown = windows?.find((w) => w.at === picked) ?? windows?.findLast((w) => w.group);
  return (
    <Card
      title={`${chosen || "Measures"} by ${step}`}
      note={`By when the prediction was made; each ${step} is one of UTC, and the first and the last are not whole. One without a label has no value. A click on a point chooses its predictions.`}
      tools={props.tools}
    >
      {picture ? (
        <Chart
          label={`${chosen} by ${step}`}
          {...picture}
          xKind="time"
          dots
          onPick={(i) => setPicked(windows?.[i]?.at)}
        />
      ) : (
        <div className="chart-place" />
      )}
      {report && shown && <Told {...props} report={report} window={shown} />}
    </Card>
  );
}

/** A line for each hour or day in which something was predicted, the newest first. */
export function Windows(props: Props) {
  const { report, step, chosen } = props;
  const rows = props.windows?.filter((w) => w.group).reverse();
  const rowsBehind = (w: Window, labeled: boolean) =>
    report &&
    w.group && (
      <Link href={journalOf(behind(report, { within: w, labeled }))}>
        {count(labeled ? w.group.labeled : w.group.rows)}
      </Link>
    );
  return (
    <Card flush title={step === "day" ? "Days" : "Hours"} note="Each leads to its predictions.">
      <Table
        caption={`${chosen || "Measures"} by ${step}`}
        rows={rows}
        skeletonRows={3}
        rowKey={(w) => String(w.at)}
        columns={[
          {
            key: "at",
            label: step === "day" ? "Day (UTC)" : "Hour (UTC)",
            head: true,
            render: (w) => windowName(w, step),
          },
          {
            key: "value",
            label: chosen || "Measure",
            numeric: true,
            render: (w) => measure(metricOf(w.group, chosen)?.value, 4),
          },
          {
            key: "between",
            label: "Between",
            numeric: true,
            render: (w) => betweenWords(metricOf(w.group, chosen)) || <span className="quiet">–</span>,
          },
          { key: "labeled", label: "Labelled", numeric: true, render: (w) => rowsBehind(w, true) },
          { key: "rows", label: "Predictions", numeric: true, render: (w) => rowsBehind(w, false) },
        ]}
      />
    </Card>
  );
}
