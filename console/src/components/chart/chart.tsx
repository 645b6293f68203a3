import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { local, measure, utc } from "../../lib/format";
import { useShade } from "../../lib/theme";
import { CopyButton } from "../basics";
import { Table } from "../table";
import {
  type ChartProps,
  columns,
  csv,
  describe,
  last,
  named,
  type Series,
  tableRows,
  tip,
  unitOf,
} from "./data";
import { colourOf, type Crosshair, dashOf, options } from "./plot";

/** Swatch of a series: its colour and its dash. */
export function Swatch(props: {
  all: Series[];
  at: number;
  points?: boolean;
  area?: boolean;
  /** False where one legend serves several charts. */
  own?: boolean;
}) {
  const { all, at } = props;
  const series = all[at];
  if (!series) return null;
  const stroke = colourOf(series, at);
  return (
    <svg width="22" height="10" aria-hidden="true">
      {props.points ? (
        <circle cx="11" cy="5" r="4" style={{ fill: stroke }} />
      ) : props.area ? (
        <rect x="4" width="14" height="10" rx="2" style={{ fill: stroke }} />
      ) : (
        <line
          x1="0"
          y1="5"
          x2="22"
          y2="5"
          strokeWidth="2.5"
          strokeDasharray={dashOf(all, at, props.own).join(" ")}
          style={{ stroke }}
        />
      )}
    </svg>
  );
}

/** Names, values at the crosshair; with several lines each name hides and shows its own. */
function Legend(props: {
  chart: ChartProps;
  at: number | null;
  hidden: string[];
  onHide: (hidden: string[]) => void;
  onFocus: (label: string | null) => void;
}) {
  const { chart, at, hidden } = props;
  const unit = unitOf(chart);
  const shown = chart.series.map((series, i) => ({ series, i })).filter(({ series }) => !series.faint);
  const fixed = shown.length < 2 || chart.stacked === true;
  return (
    <ul className="legend">
      {shown.map(({ series, i }) => {
        const value = at === null ? last(series.values) : (series.values[at] ?? null);
        const content = (
          <>
            <Swatch all={chart.series} at={i} points={chart.points ?? false} area={chart.stacked ?? false} />
            <span className="name" title={series.label}>
              {series.label}
            </span>
            <span className="value">{value === null ? "–" : unit(value)}</span>
          </>
        );
        const off = hidden.includes(series.label);
        return (
          <li key={`${i}${series.label}`}>
            {fixed ? (
              content
            ) : (
              <button
                type="button"
                aria-pressed={!off}
                title={off ? `Show ${series.label}` : `Hide ${series.label}`}
                onClick={() =>
                  props.onHide(off ? hidden.filter((l) => l !== series.label) : [...hidden, series.label])
                }
                onMouseEnter={() => props.onFocus(series.label)}
                onMouseLeave={() => props.onFocus(null)}
                onFocus={() => props.onFocus(series.label)}
                onBlur={() => props.onFocus(null)}
              >
                {content}
              </button>
            )}
          </li>
        );
      })}
    </ul>
  );
}

function DataTable({ chart }: { chart: ChartProps }) {
  const unit = unitOf(chart);
  return (
    <Table
      caption={chart.label}
      rows={tableRows(chart)}
      rowKey={String}
      columns={[
        {
          key: "x",
          label: chart.xKind === "time" ? "Time (local)" : (chart.xLabel ?? "x"),
          head: true,
          render: (i) => (chart.xKind === "time" ? local((chart.x[i] ?? 0) * 1000) : measure(chart.x[i], 9)),
        },
        ...(chart.names
          ? [{ key: "name", label: "Name", render: (i: number) => chart.names?.[i] ?? "" }]
          : []),
        ...named(chart.series).map((s) => ({
          key: s.label,
          label: s.label,
          numeric: true,
          render: (i: number) => {
            const v = s.values[i];
            return v === null || v === undefined ? "–" : unit(v);
          },
        })),
      ]}
    />
  );
}

/** The values at the crosshair, beside it; on the side where there is room. */
function Tip({ chart, cross }: { chart: ChartProps; cross: Crosshair }) {
  const unit = unitOf(chart);
  const right = cross.left > cross.width / 2;
  return (
    <ul className="tip" data-side={right ? "left" : "right"} aria-hidden="true">
      {tip(chart, cross.at).map(({ at, value }) => (
        <li key={at}>
          <Swatch all={chart.series} at={at} own={chart.legend !== false} />
          <span className="name">{chart.series[at]?.label}</span>
          <b>{unit(value)}</b>
        </li>
      ))}
    </ul>
  );
}

/** What the crosshair stands on, or what the axis counts. */
function foot(p: ChartProps, at: number | null): string {
  const x = at === null ? undefined : p.x[at];
  if (x === undefined)
    return p.xKind === "time"
      ? `local time (${Intl.DateTimeFormat().resolvedOptions().timeZone})`
      : (p.xLabel ?? "");
  const name = at !== null && p.names?.[at] ? `${p.names[at]} · ` : "";
  return p.xKind === "time"
    ? `${name}${local(x * 1000)} · ${utc(x * 1000)}`
    : `${name}${p.xLabel ?? "x"} ${measure(x, 9)}`;
}

/** The canvas: made anew when its shape changes, given new data otherwise. */
function usePlot(
  props: ChartProps,
  hidden: string[],
  asTable: boolean,
  hover: (at: Crosshair | null) => void,
) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const shade = useShade();
  const { x, series, log, stacked } = props;
  const data = useMemo(
    () =>
      columns({ x, series, ...(log ? { log } : {}), ...(stacked ? { stacked } : {}) }) as uPlot.AlignedData,
    [x, series, log, stacked],
  );
  const range = props.xRange?.join();
  const drawn = useRef({ data, range });
  // What forces a new plot; data and range alone only move it.
  const shape = JSON.stringify([
    series.map((s) => [s.label, s.colour, s.faint, s.edge, s.values.filter((v) => v !== null).length < 2]),
    props.xKind,
    log,
    stacked,
    props.zero,
    props.points,
    props.dots,
    props.onRange === undefined,
    props.sync,
    props.height,
    shade,
    asTable,
  ]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `shape` stands for the options
  useEffect(() => {
    const node = host.current;
    if (!node) return;
    const made = new uPlot(options(latest, node, node.clientWidth || 320, hover), data, node);
    plot.current = made;
    drawn.current = { data, range };
    const watch = new ResizeObserver(() => {
      if (node.clientWidth > 0)
        made.setSize({ width: node.clientWidth, height: latest.current.height ?? 200 });
    });
    watch.observe(node);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);

  useEffect(() => {
    const made = plot.current;
    if (!made || (drawn.current.data === data && drawn.current.range === range)) return;
    drawn.current = { data, range };
    made.setData(data);
  }, [data, range]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new plot shows everything again
  useEffect(() => {
    series.forEach((s, i) => {
      const show = !hidden.includes(s.label.replace(/, raw$/, ""));
      if (plot.current?.series[i + 1]?.show !== show) plot.current?.setSeries(i + 1, { show });
    });
  }, [hidden, series, shape]);

  const focus = (label: string | null) => {
    const at = label === null ? -1 : series.findIndex((s) => s.label === label && !s.faint);
    plot.current?.setSeries(at < 0 ? null : at + 1, { focus: true });
  };
  const outer = props.focus ?? null;
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when the page's legend points elsewhere
  useEffect(() => focus(outer), [outer]);
  return { host, focus };
}

/** Lines, points or areas on a canvas, with legend, shared crosshair and the same data as a table. */
export function Chart(props: ChartProps) {
  const [cross, setCross] = useState<Crosshair | null>(null);
  const [under, setUnder] = useState(false);
  const [asTable, setAsTable] = useState(false);
  const [own, setOwn] = useState<string[]>([]);
  const { host, focus } = usePlot(props, props.hidden ?? own, asTable, setCross);
  const at = cross?.at ?? null;
  const pick = props.onPick;
  return (
    <figure className="chart">
      {props.legend !== false && (
        <Legend chart={props} at={at} hidden={own} onHide={setOwn} onFocus={focus} />
      )}
      {asTable ? (
        <DataTable chart={props} />
      ) : (
        <div className="plot-box">
          <div
            ref={host}
            className="plot"
            role="img"
            aria-label={describe(props)}
            style={{ minHeight: props.height ?? 200 }}
            onMouseEnter={() => setUnder(true)}
            onMouseLeave={() => setUnder(false)}
            {...(pick && at !== null ? { "data-pick": true, onClick: () => pick(at) } : {})}
          />
          {props.legend === false && under && cross && <Tip chart={props} cross={cross} />}
        </div>
      )}
      <figcaption className="foot">
        <span>{foot(props, at)}</span>
        <span className="row tight">
          {asTable && <CopyButton text={csv(props)} label="Copy CSV" />}
          <button
            type="button"
            className="button plain small"
            aria-pressed={asTable}
            onClick={() => setAsTable(!asTable)}
          >
            {asTable ? "Picture" : "Table"}
          </button>
        </span>
      </figcaption>
    </figure>
  );
}
