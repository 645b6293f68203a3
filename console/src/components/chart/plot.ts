/** The canvas behind a chart: uPlot's options from ours. */
import uPlot from "uplot";
import { measure } from "../../lib/format";
import { type ChartProps, type Range, type Series, unitOf } from "./data";

const DASHES = [[], [7, 4], [2, 3], [10, 4, 2, 4], [5, 2], [12, 5], [1, 4], [8, 3, 2, 3, 2, 3]];
const COLOURS = 8;
/** Up to so many lines each has a dash of its own; more would be a tangle of dashes. */
const DASHED = 4;

/** The ends of an interval are dotted, whatever their place. */
const EDGE = [2, 3];

/** The place of a series among the colours and dashes. */
export function place(series: Series, at: number): number {
  return (series.colour ?? at) % COLOURS;
}

/** The dash of a series. Many lines, and those that have a legend elsewhere on the page, are told apart by the tip and by pointing at a name instead. */
export function dashOf(all: Series[], at: number, legend = true): number[] {
  const series = all[at];
  if (!series || series.faint) return [];
  if (series.edge) return EDGE;
  const count = all.filter((s) => !s.faint).length;
  const index = series.colour ?? at;
  return (
    DASHES[count > DASHED || !legend ? Math.floor(index / COLOURS) % DASHES.length : index % DASHES.length] ??
    []
  );
}

/** The colour of a series as CSS has it. */
export function colourOf(series: Series, at: number): string {
  return series.tone === "bad" ? "var(--bad)" : `var(--s${place(series, at) + 1})`;
}

interface Palette {
  series: string[];
  text: string;
  line: string;
  quiet: string;
  bad: string;
  /** What it is drawn on. */
  paper: string;
}

/** Reads the colours of the present theme: a canvas knows no custom properties. */
function palette(host: HTMLElement): Palette {
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
    paper: read("--surface"),
  };
  probe.remove();
  return colours;
}

const fade = (colour: string, by = 0.14) => colour.replace("rgb(", "rgba(").replace(")", `, ${by})`);
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

/** The whole of x with a little air around single points; never an empty range. */
function wholeX(p: ChartProps, low: number, high: number): Range {
  if (low === high) {
    const air = p.xKind === "time" ? 60 : 1;
    return [low - air, high + air];
  }
  const air = p.points ? (high - low) * 0.02 : 0;
  return [low - air, high + air];
}

function rangeY(p: ChartProps, low: number | null, high: number | null): Range {
  if (low === null || high === null) return [0, 1];
  const from = p.zero ? Math.min(0, low) : low;
  // Nothing but zeros: an axis of one, not of hundredths.
  if (p.zero && high === from) return [from, from + 1];
  const size = high - from || Math.abs(high) || 1;
  return [p.zero ? from : from - size * 0.06, high + size * 0.08];
}

function axes(p: ChartProps, colours: Palette, font: string): uPlot.Axis[] {
  const unit = unitOf(p);
  const axis = {
    stroke: colours.quiet,
    font,
    grid: { stroke: colours.line, width: 1 },
    ticks: { stroke: colours.line, width: 1, size: 4 },
  };
  return [
    {
      ...axis,
      grid: { show: false },
      space: 72,
      // A label of two lines, the date below the hour, needs the room of both.
      size: (_plot, values) => ((values ?? []).some((v) => String(v).includes("\n")) ? 48 : 34),
      values: (_plot, splits, _axis, _space, step) =>
        p.xKind === "time" ? timeLabels(splits, step) : splits.map((s) => measure(s, 6)),
    },
    {
      ...axis,
      space: 36,
      size: (plot, values, _axis, cycle) => {
        if (cycle > 1) return (plot.axes[1] as { _size?: number })._size ?? 60;
        const longest = Math.max(0, ...(values ?? []).map((v) => String(v ?? "").length));
        return Math.max(44, longest * 7 + 16);
      },
      values: (_plot, splits) => splits.map((s) => (s === null ? "" : unit(s))),
    },
  ];
}

function line(p: ChartProps, colours: Palette, series: Series, at: number): uPlot.Series {
  const colour = series.tone === "bad" ? colours.bad : (colours.series[place(series, at)] ?? colours.text);
  const few = series.values.filter((v) => v !== null).length < 2;
  const alone = p.series.length === 1 && !p.points && p.zero === true;
  const filled = alone || (p.stacked && at === 0);
  return {
    label: series.label,
    stroke: series.faint ? fade(colour, 0.35) : colour,
    width: p.points ? 0 : series.faint || series.edge ? 1 : 1.75,
    dash: p.stacked ? [] : dashOf(p.series, at, p.legend),
    ...(p.stepped && uPlot.paths.stepped ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}),
    spanGaps: p.xKind === "step",
    points: {
      show: p.points || p.dots || few,
      size: p.points ? 8 : series.edge ? 4 : 7,
      fill: colour,
      stroke: colour,
    },
    ...(filled ? { fill: fade(colour, p.stacked ? 0.45 : 0.14) } : {}),
  };
}

/** Areas between each series of a stack and the one under it, or between the ends of an interval. */
function areas(p: ChartProps, colours: Palette): uPlot.Band[] {
  if (!p.stacked) {
    const [upper, lower] = p.series.flatMap((series, i) => (series.edge ? [{ series, i }] : []));
    if (!upper || !lower) return [];
    const colour = colours.series[place(upper.series, upper.i)] ?? colours.text;
    return [{ series: [upper.i + 1, lower.i + 1], fill: fade(colour) }];
  }
  return p.series.slice(1).map((series, i) => ({
    series: [i + 2, i + 1] as [number, number],
    fill: fade(colours.series[place(series, i + 1)] ?? colours.text, 0.45),
  }));
}

function drawMarks(plot: uPlot, p: ChartProps, colours: Palette, family: string): void {
  for (const mark of p.marks ?? []) {
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
    ctx.font = `${12 * devicePixelRatio}px ${family}`;
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    const wide = ctx.measureText(mark.label).width;
    const right = x + wide + 8 > plot.bbox.left + plot.bbox.width;
    // A line may pass there.
    const [left, base] = [right ? x - wide - 5 : x + 5, plot.bbox.top + 12 * devicePixelRatio];
    ctx.fillStyle = colours.paper;
    ctx.fillRect(left - 2, base - 12 * devicePixelRatio, wide + 4, 16 * devicePixelRatio);
    ctx.fillStyle = colours.text;
    ctx.fillText(mark.label, left, base);
    ctx.restore();
  }
}

/** Which place of x the mouse is at, and where that is in the plot, in pixels. */
export interface Crosshair {
  at: number;
  left: number;
  width: number;
}

/**
 * What is fixed while a plot lives is read once; the window of x and the marks, which move with live
 * data, are read from `latest` at each drawing.
 */
export function options(
  latest: { current: ChartProps },
  host: HTMLElement,
  width: number,
  hover: (at: Crosshair | null) => void,
): uPlot.Options {
  const p = latest.current;
  const colours = palette(host);
  const family = getComputedStyle(host).fontFamily;
  return {
    width,
    height: p.height ?? 200,
    legend: { show: false },
    focus: { alpha: 0.25 },
    cursor: {
      drag: { x: p.onRange !== undefined, y: false, setScale: false },
      ...(p.series.length > 3 && !p.stacked ? { focus: { prox: 24 } } : {}),
      ...(p.sync ? { sync: { key: p.sync, setSeries: false } } : {}),
      points: { size: 7 },
    },
    scales: {
      x: {
        time: p.xKind === "time",
        range: (_plot, low, high) => latest.current.xRange ?? wholeX(latest.current, low ?? 0, high ?? 1),
      },
      y: p.log ? { distr: 3 } : { range: (_plot, low, high) => rangeY(p, low, high) },
    },
    axes: axes(p, colours, `12px ${family}`),
    series: [{}, ...p.series.map((series, i) => line(p, colours, series, i))],
    bands: areas(p, colours),
    hooks: {
      setCursor: [
        (plot) => {
          const { idx, left = 0 } = plot.cursor;
          hover(idx === null || idx === undefined ? null : { at: idx, left, width: plot.over.clientWidth });
        },
      ],
      setSelect: [
        (plot) => {
          const { left, width: wide } = plot.select;
          if (wide < 4) return;
          latest.current.onRange?.([plot.posToVal(left, "x"), plot.posToVal(left + wide, "x")]);
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
      draw: [(plot) => drawMarks(plot, latest.current, colours, family)],
    },
  };
}
