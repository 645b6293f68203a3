import type { RolloutMetric } from "../../api/native";
import { Status } from "../../components/basics";
import { type Column, Table } from "../../components/table";
import { count, measure } from "../../lib/format";
import { placed } from "../../lib/interval";
import { effectWords, eValue, findingWords, metricName, testWords } from "../../lib/rollout";

const WIDE = 160;
const HIGH = 24;

/** The effect and its confidence sequence on a line, against 0, 1 or its limit. */
export function IntervalPicture({ metric }: { metric: RolloutMetric }) {
  const p = placed(metric);
  if (!p) return null;
  const x = (part: number) => part * WIDE;
  const middle = HIGH / 2;
  const words = `${effectWords(metric)} against ${measure(p.value, 3)}`;
  return (
    <svg
      className="interval"
      data-state={findingWords(metric)[0]}
      width={WIDE}
      height={HIGH}
      viewBox={`0 0 ${WIDE} ${HIGH}`}
      role="img"
      aria-label={`${metric.scale} ${words}`}
    >
      <line className="against" x1={x(p.against)} x2={x(p.against)} y1={1} y2={HIGH - 1} />
      <line className="range" x1={x(p.low)} x2={x(p.high)} y1={middle} y2={middle} />
      {p.openLow ? (
        <path className="tip-end" d={`M7,${middle - 5}L1,${middle}L7,${middle + 5}`} />
      ) : (
        <line className="end" x1={x(p.low)} x2={x(p.low)} y1={middle - 5} y2={middle + 5} />
      )}
      {p.openHigh ? (
        <path
          className="tip-end"
          d={`M${WIDE - 7},${middle - 5}L${WIDE - 1},${middle}L${WIDE - 7},${middle + 5}`}
        />
      ) : (
        <line className="end" x1={x(p.high)} x2={x(p.high)} y1={middle - 5} y2={middle + 5} />
      )}
      <circle className="estimate" cx={x(p.estimate)} cy={middle} r={4} />
    </svg>
  );
}

export function Finding({ metric }: { metric: RolloutMetric }) {
  const [mark, words] = findingWords(metric);
  return <Status state={mark}>{words}</Status>;
}

/** What the first e-value of a metric is evidence of. */
function against(role: string): string {
  return role === "quality" ? "fault" : role === "signal" ? "move" : "harm";
}

/** How far the statistics of a group-sequential test were from their boundaries at its last look. */
function Looks({ looks }: { looks: NonNullable<NonNullable<RolloutMetric["tested"]>["looks"]> }) {
  const all = [
    ["harm", looks.harm],
    ["better", looks.better],
  ] as const;
  return (
    <span className="nowrap">
      {all.map(([what, { z, bound }]) => (
        <div key={what} title="The statistic, and the boundary beyond which it counts">
          <span className="quiet small">{what}</span> {measure(z, 2)} of {bound == null ? "∞" : measure(bound, 3)}
        </div>
      ))}
    </span>
  );
}

function Evidence({ metric: m }: { metric: RolloutMetric }) {
  if (m.tested?.looks?.units) return <Looks looks={m.tested.looks} />;
  const all: [string, number | null | undefined][] = [
    [against(m.role), m.logEHarm],
    ["better", m.logEBetter],
  ];
  const known = all.filter(([, value]) => value !== null && value !== undefined);
  if (known.length === 0) return <span className="quiet">–</span>;
  return (
    <span className="nowrap">
      {known.map(([what, value]) => (
        <div key={what}>
          <span className="quiet small">{what}</span> {eValue(value)}
        </div>
      ))}
    </span>
  );
}

const COLUMNS: Column<RolloutMetric>[] = [
  {
    key: "name",
    label: "Metric",
    head: true,
    render: (m) => (
      <>
        <div>{metricName(m.name)}</div>
        <span className="quiet small">
          {m.role}
          {m.required && m.role !== "quality" && (
            <span title="A promotion waits until this one is decided">, required</span>
          )}
        </span>
      </>
    ),
  },
  {
    key: "finding",
    label: "Finding",
    render: (m) => (
      <>
        <Finding metric={m} />
        {m.tested && <div className="small quiet break">{testWords(m)}</div>}
        {m.why && <div className="small quiet break">{m.why}</div>}
      </>
    ),
  },
  {
    key: "stable",
    label: "Stable",
    numeric: true,
    render: (m) =>
      m.scale === "mean" ? <span title="The limit">≤ {measure(m.stable, 4)}</span> : measure(m.stable, 4),
  },
  { key: "candidate", label: "Candidate", numeric: true, render: (m) => measure(m.candidate, 4) },
  {
    key: "effect",
    label: "Effect and its range",
    render: (m) =>
      m.effect ? (
        <div className="effect">
          <span className="nowrap">
            <span className="quiet small">{m.scale}</span> {effectWords(m)}
          </span>
          <IntervalPicture metric={m} />
        </div>
      ) : (
        <span className="quiet">–</span>
      ),
  },
  {
    key: "evidence",
    label: <span title="The largest e-values so far">Evidence</span>,
    numeric: true,
    render: (m) => <Evidence metric={m} />,
  },
  {
    key: "units",
    label: <span title="Units that it rests on: of stable and of the candidate">Units</span>,
    numeric: true,
    // Under each other, or the table would be wider than a desk's page.
    render: ({ units: [stable = 0, ...others] }) => (
      <>
        <div>{`${count(stable)} /`}</div>
        <div>{others.map(count).join(" / ")}</div>
      </>
    ),
  },
];

/** One row a metric: both values, the effect with its range, what the test says and how strongly. */
export function Metrics(props: { caption: string; metrics: RolloutMetric[] | undefined }) {
  return (
    <Table
      caption={props.caption}
      rows={props.metrics}
      rowKey={(m) => m.name}
      skeletonRows={3}
      empty={
        <p className="quiet pad">
          Nothing is measured yet. Of several replicas, the one that decides has the numbers.
        </p>
      }
      columns={COLUMNS}
    />
  );
}
