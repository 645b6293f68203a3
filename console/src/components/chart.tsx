import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { local, measure, utc } from "../lib/format";
import { useShade } from "../lib/theme";
import { CopyButton } from "./basics";
import { Table } from "./table";

export interface Series {
  label: string;
  /** One value per x; null where there is none. */
  values: (number | null)[];
  /** A line that tells of trouble has the colour of trouble, whatever its place. */
  tone?: "bad";
}

/** Something that happened at one place of the x axis: a deployment, a change of version. */
export interface Mark {
  x: number;
  label: string;
}

export interface ChartProps {
  /** What is drawn, in words. */
  label: string;
  /** Seconds since 1970 for `time`, else plain numbers. Ascending. */
  x: number[];
  xKind: "time" | "step";
  xLabel?: string;
  series: Series[];
  /** Writes a value with its unit. */
  unit?: (value: number) => string;
  /** Starts the y axis at zero; for counts, rates and durations. */
  zero?: boolean;
  log?: boolean;
  /** Draws single points rather than lines. */
  points?: boolean;
  /** Draws the area between the first two series. */
  band?: boolean;
  marks?: Mark[];
  /** Charts with the same key share their crosshair. */
  sync?: string;
  height?: number;
  /** Fixed range of x, for live windows. */
  xRange?: [number, number];
}

const DASHES = [[], [7, 4], [2, 3], [10, 4, 2, 4], [5, 2], [12, 5], [1, 4], [8, 3, 2, 3, 2, 3]];
const COLOURS = 8;

/** Reads the colours of the present theme: a canvas knows no custom properties. */
function palette(host: HTMLElement): {
  series: string[];
  text: string;
  line: string;
  quiet: string;
  bad: string;
} {
  const probe = document.createElement("span");
  host.append(probe);
  const read = (name: string) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const colours = {
    series: Array.from({ length: COLOURS }, (_, i) => read(`--s${i + 1}`)),
    text: read("--text"),
    line: read("--line"),
    quiet: read("--quiet"),
    bad: read("--bad"),
  };
  probe.remove();
  return colours;
}

const two = (n: number) => String(n).padStart(2, "0");

/** Labels of the time axis: the clock, and the day where it changes. */
function timeLabels(splits: number[], step: number): string[] {
  let day = "";
  return splits.map((s) => {
    const d = new Date(s * 1000);
    const date = `${d.getDate()} ${d.toLocaleString("en-GB", { month: "short" })}`;
    const clock =
      step < 60
        ? `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`
        : `${two(d.getHours())}:${two(d.getMinutes())}`;
    if (step >= 86_400) return date;
    const changed = day !== date && day !== "";
    day = date;
    return changed ? `${clock}\n${date}` : clock;
  });
}

/**
 * What is fixed while a plot lives is read once; the window of time and the marks, which move with
 * live data, are read from `latest` at each drawing.
 */
function options(
  latest: { current: ChartProps },
  host: HTMLElement,
  width: number,
  hover: (at: number | null) => void,
): uPlot.Options {
  const p = latest.current;
  const colours = palette(host);
  const font = `12px ${getComputedStyle(host).fontFamily}`;
  const unit = p.unit ?? ((v: number) => measure(v, 4));
  const axis = {
    stroke: colours.quiet,
    font,
    grid: { stroke: colours.line, width: 1 },
    ticks: { stroke: colours.line, width: 1, size: 4 },
  };
  const fade = (colour: string) => colour.replace("rgb(", "rgba(").replace(")", ", 0.14)");
  return {
    width,
    height: p.height ?? 200,
    legend: { show: false },
    cursor: {
      drag: { x: false, y: false },
      ...(p.sync ? { sync: { key: p.sync } } : {}),
      points: { size: 7 },
    },
    scales: {
      x: { time: p.xKind === "time", ...(p.xRange ? { range: () => latest.current.xRange ?? [0, 1] } : {}) },
      y: p.log
        ? { distr: 3 }
        : {
            range: (_plot, low, high) => {
              if (low === null || high === null) return [0, 1];
              const from = p.zero ? Math.min(0, low) : low;
              const size = high - from || Math.abs(high) || 1;
              return [p.zero ? from : from - size * 0.06, high + size * 0.08];
            },
          },
    },
    axes: [
      {
        ...axis,
        space: 72,
        size: 34,
        values: (_plot, splits, _axis, _space, step) =>
          p.xKind === "time" ? timeLabels(splits, step) : splits.map((s) => measure(s, 6)),
      },
      {
        ...axis,
        space: 36,
        size: (plot, values, _axis, cycle) => {
          if (cycle > 1) return (plot.axes[1] as { _size?: number })._size ?? 60;
          const longest = Math.max(0, ...(values ?? []).map((v) => String(v).length));
          return Math.max(44, longest * 7 + 16);
        },
        values: (_plot, splits) => splits.map((s) => (s === null ? "" : unit(s))),
      },
    ],
    series: [
      {},
      ...p.series.map((series, i) => {
        const colour = series.tone === "bad" ? colours.bad : (colours.series[i % COLOURS] ?? colours.text);
        const few = series.values.filter((v) => v !== null).length < 2;
        return {
          label: series.label,
          stroke: colour,
          width: p.points ? 0 : 1.75,
          dash: DASHES[i % DASHES.length] ?? [],
          spanGaps: p.xKind === "step",
          points: { show: p.points || few, size: 7, fill: colour, stroke: colour },
          ...(p.series.length === 1 && !p.points && p.zero ? { fill: fade(colour) } : {}),
        } satisfies uPlot.Series;
      }),
    ],
    ...(p.band && p.series.length > 1
      ? { bands: [{ series: [2, 1] as [number, number], fill: fade(colours.series[1] ?? colours.text) }] }
      : {}),
    hooks: {
      setCursor: [(plot) => hover(plot.cursor.idx ?? null)],
      draw: [
        (plot) => {
          for (const mark of latest.current.marks ?? []) {
            const x = plot.valToPos(mark.x, "x", true);
            if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) continue;
            const { ctx } = plot;
            ctx.save();
            ctx.strokeStyle = colours.quiet;
            ctx.fillStyle = colours.text;
            ctx.setLineDash([4, 4]);
            ctx.beginPath();
            ctx.moveTo(x, plot.bbox.top);
            ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
            ctx.stroke();
            ctx.font = `${12 * devicePixelRatio}px ${getComputedStyle(host).fontFamily}`;
            const wide = ctx.measureText(mark.label).width;
            const right = x + wide + 8 > plot.bbox.left + plot.bbox.width;
            ctx.fillText(mark.label, right ? x - wide - 5 : x + 5, plot.bbox.top + 12 * devicePixelRatio);
            ctx.restore();
          }
        },
      ],
    },
  };
}

/** Swatch of a series: its colour and its dash. */
function Swatch({ at, points, tone }: { at: number; points: boolean; tone: Series["tone"] }) {
  const stroke = tone === "bad" ? "var(--bad)" : `var(--s${(at % COLOURS) + 1})`;
  return (
    <svg width="22" height="10" aria-hidden="true">
      {points ? (
        <circle cx="11" cy="5" r="4" style={{ fill: stroke }} />
      ) : (
        <line
          x1="0"
          y1="5"
          x2="22"
          y2="5"
          strokeWidth="2.5"
          strokeDasharray={(DASHES[at % DASHES.length] ?? []).join(" ")}
          style={{ stroke }}
        />
      )}
    </svg>
  );
}

function last(values: (number | null)[]): number | null {
  for (let i = values.length - 1; i >= 0; i -= 1) {
    const v = values[i];
    if (v !== null && v !== undefined) return v;
  }
  return null;
}

/** What a screen reader hears in place of the canvas. */
export function describe(p: Pick<ChartProps, "label" | "series" | "x" | "unit">): string {
  const unit = p.unit ?? ((v: number) => measure(v, 4));
  const parts = p.series.map((s) => {
    const known = s.values.filter((v): v is number => v !== null);
    const end = last(s.values);
    if (known.length === 0 || end === null) return `${s.label}: no data`;
    return `${s.label}: last ${unit(end)}, lowest ${unit(known.reduce((a, b) => Math.min(a, b)))}, highest ${unit(known.reduce((a, b) => Math.max(a, b)))}`;
  });
  return `${p.label}. ${p.x.length} points. ${parts.join(". ")}`;
}

/** Rows of the table beside the picture; the newest 500 when there are more. */
function tableRows(p: ChartProps): number[] {
  const from = Math.max(0, p.x.length - 500);
  return Array.from({ length: p.x.length - from }, (_, i) => from + i);
}

function csv(p: ChartProps): string {
  const cell = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const head = [p.xKind === "time" ? "time_utc" : (p.xLabel ?? "x"), ...p.series.map((s) => s.label)]
    .map(cell)
    .join(",");
  const rows = p.x.map((x, i) =>
    [
      p.xKind === "time" ? new Date(x * 1000).toISOString() : x,
      ...p.series.map((s) => s.values[i] ?? ""),
    ].join(","),
  );
  return [head, ...rows].join("\n");
}

/** Lines or points on a canvas, with legend, shared crosshair and the same data as a table. */
export function Chart(props: ChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const [at, setAt] = useState<number | null>(null);
  const [asTable, setAsTable] = useState(false);
  const shade = useShade();
  const unit = props.unit ?? ((v: number) => measure(v, 4));
  const data = useMemo(
    () => [props.x, ...props.series.map((s) => s.values)] as uPlot.AlignedData,
    [props.x, props.series],
  );
  // What forces a new plot; data alone only replaces data.
  const shape = JSON.stringify([
    props.series.map((s) => s.label),
    props.series.map((s) => s.values.filter((v) => v !== null).length < 2),
    props.xKind,
    props.log,
    props.zero,
    props.points,
    props.band,
    props.sync,
    props.height,
    shade,
    asTable,
  ]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `shape` stands for the options
  useEffect(() => {
    const node = host.current;
    if (!node) return;
    const made = new uPlot(options(latest, node, node.clientWidth || 320, setAt), data, node);
    plot.current = made;
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
    if (!made || made.data === data) return;
    made.setData(data);
  }, [data]);

  const x = at === null ? undefined : props.x[at];
  return (
    <figure className="chart">
      <ul className="legend">
        {props.series.map((series, i) => {
          const value = at === null ? last(series.values) : (series.values[at] ?? null);
          return (
            <li key={series.label}>
              <Swatch at={i} points={props.points ?? false} tone={series.tone} />
              <span className="name" title={series.label}>
                {series.label}
              </span>
              <span className="value">{value === null ? "–" : unit(value)}</span>
            </li>
          );
        })}
      </ul>
      {asTable ? (
        <Table
          caption={props.label}
          rows={tableRows(props)}
          rowKey={String}
          columns={[
            {
              key: "x",
              label: props.xKind === "time" ? "Time (local)" : (props.xLabel ?? "x"),
              head: true,
              render: (i) =>
                props.xKind === "time" ? local((props.x[i] ?? 0) * 1000) : measure(props.x[i], 9),
            },
            ...props.series.map((s) => ({
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
      ) : (
        <div
          ref={host}
          className="plot"
          role="img"
          aria-label={describe(props)}
          style={{ minHeight: props.height ?? 200 }}
        />
      )}
      <figcaption className="foot">
        <span>
          {x === undefined
            ? props.xKind === "time"
              ? `local time (${Intl.DateTimeFormat().resolvedOptions().timeZone})`
              : (props.xLabel ?? "")
            : props.xKind === "time"
              ? `${local(x * 1000)} · ${utc(x * 1000)}`
              : `${props.xLabel ?? "x"} ${measure(x, 9)}`}
        </span>
        <span className="row" style={{ gap: 4 }}>
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

/** Puts several lines with their own x on one shared axis. */
export function align(lines: { label: string; points: { x: number; y: number }[] }[]): {
  x: number[];
  series: Series[];
} {
  const all = [...new Set(lines.flatMap((line) => line.points.map((p) => p.x)))].sort((a, b) => a - b);
  return {
    x: all,
    series: lines.map((line) => {
      const by = new Map(line.points.map((p) => [p.x, p.y]));
      return {
        label: line.label,
        values: all.map((x) => {
          const y = by.get(x);
          return y === undefined || !Number.isFinite(y) ? null : y;
        }),
      };
    }),
  };
}
