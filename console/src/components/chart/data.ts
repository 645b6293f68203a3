/** What a chart draws, and the same in words, in a table and as CSV. No canvas here. */
import { measure } from "../../lib/format";

export interface Series {
  label: string;
  /** One value per x; null where there is none. */
  values: (number | null)[];
  /** A line that tells of trouble has the colour of trouble, whatever its place. */
  tone?: "bad";
  /** Its colour among the palette's, when its place in the list must not decide. */
  colour?: number;
  /** Drawn thin and pale, and left out of the legend: the raw points behind a smoothed line. */
  faint?: boolean;
  /** An end of an interval: a thin line. Of two such series, the upper one first, what is between is filled. */
  edge?: boolean;
}

/** Something that happened at one place of the x axis: a deployment, a change of version. */
export interface Mark {
  x: number;
  label: string;
}

/** From and to, in the units of the x axis. */
export type Range = [number, number];

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
  /** A value stays until the next one, rather than going over into it. */
  stepped?: boolean;
  /** Marks each value of a line: one with gaps on both sides is not seen otherwise. */
  dots?: boolean;
  /** Draws single points rather than lines; `names` says what each point is. */
  points?: boolean;
  names?: string[];
  /** A point was chosen by a click. */
  onPick?: (at: number) => void;
  /** Draws the series on top of each other as areas. */
  stacked?: boolean;
  marks?: Mark[];
  /** Left out where the page has one legend for several charts; a tip at the crosshair tells the values. */
  legend?: boolean;
  /** Labels of series that are not drawn, and of the one that stands out; for such a legend. */
  hidden?: string[];
  focus?: string | undefined;
  /** Charts with the same key share their crosshair. */
  sync?: string;
  height?: number;
  /** The part of x that is shown; all of it when left out. */
  xRange?: Range | undefined;
  /** Called when a part of x was chosen by dragging; the caller keeps it and gives it as `xRange`. */
  onRange?: (range: Range) => void;
}

const plain = (value: number) => measure(value, 4);

export function unitOf(p: Pick<ChartProps, "unit">): (value: number) => string {
  return p.unit ?? plain;
}

export function last(values: (number | null)[]): number | null {
  for (let i = values.length - 1; i >= 0; i -= 1) {
    const v = values[i];
    if (v !== null && v !== undefined) return v;
  }
  return null;
}

/** Those that the legend and the table name. */
export function named(series: Series[]): Series[] {
  return series.filter((s) => !s.faint);
}

/** What a screen reader hears in place of the canvas. */
export function describe(p: Pick<ChartProps, "label" | "series" | "x" | "unit">): string {
  const unit = unitOf(p);
  const parts = named(p.series).map((s) => {
    const known = s.values.filter((v): v is number => v !== null);
    const end = last(s.values);
    if (known.length === 0 || end === null) return `${s.label}: no data`;
    return `${s.label}: last ${unit(end)}, lowest ${unit(known.reduce((a, b) => Math.min(a, b)))}, highest ${unit(known.reduce((a, b) => Math.max(a, b)))}`;
  });
  return `${p.label}. ${p.x.length} points. ${parts.join(". ")}`;
}

/** Places of x for the table beside the picture; the newest 500 when there are more. */
export function tableRows(p: ChartProps): number[] {
  const from = Math.max(0, p.x.length - 500);
  return Array.from({ length: p.x.length - from }, (_, i) => from + i);
}

export function csv(p: ChartProps): string {
  const cell = (text: string) => {
    // A spreadsheet takes these beginnings for a formula, and names are strangers' texts.
    const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
  };
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

/** Names and values at one place of x, the highest first; at most 12. */
export function tip(p: Pick<ChartProps, "series" | "hidden">, at: number): { at: number; value: number }[] {
  return p.series
    .map((s, i) => ({ at: i, value: s.faint || p.hidden?.includes(s.label) ? null : (s.values[at] ?? null) }))
    .filter((v): v is { at: number; value: number } => v.value !== null)
    .sort((a, b) => b.value - a.value)
    .slice(0, 12);
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

/**
 * A running mean that forgets: each value counts `weight` (0 to 1) as much as the one after it. The
 * start is not pulled to zero. Gaps stay gaps.
 */
export function smooth(values: (number | null)[], weight: number): (number | null)[] {
  let mean = 0;
  let known = 0;
  return values.map((value) => {
    if (value === null) return null;
    mean = mean * weight + value * (1 - weight);
    known += 1;
    return mean / (1 - weight ** known);
  });
}

/** Each smoothed series with the raw one pale behind it. */
export function smoothed(series: Series[], weight: number): Series[] {
  if (weight <= 0) return series;
  return [
    ...series.map((s, i) => ({ ...s, colour: s.colour ?? i, faint: true, label: `${s.label}, raw` })),
    ...series.map((s, i) => ({ ...s, colour: s.colour ?? i, values: smooth(s.values, weight) })),
  ];
}

/** The columns for the plot: x, then what is drawn of each series. */
export function columns(p: Pick<ChartProps, "x" | "series" | "log" | "stacked">): (number | null)[][] {
  if (p.stacked) {
    const sums = p.x.map(() => 0);
    const stack = p.series.map((s) =>
      p.x.map((_, i) => {
        const v = s.values[i];
        if (v === null || v === undefined) return null;
        sums[i] = (sums[i] ?? 0) + v;
        return sums[i] ?? null;
      }),
    );
    return [p.x, ...stack];
  }
  // A logarithm has no place for zero and below.
  const shown = p.log
    ? (values: (number | null)[]) => values.map((v) => (v !== null && v > 0 ? v : null))
    : (values: (number | null)[]) => values;
  return [p.x, ...p.series.map((s) => shown(s.values))];
}
