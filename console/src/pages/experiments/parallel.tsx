import { useRef, useState } from "react";
import type { Run } from "../../api/native";
import { ScrollBox } from "../../components/scroll-box";
import { measure } from "../../lib/format";
import { useWidth } from "../../lib/hooks";
import { splitKey } from "./columns";
import { RunLink } from "./run-parts";
import { numberOf } from "./scatter";

/** One upright axis: where each run crosses it, from 0 (bottom) to 1 (top). */
export interface Upright {
  key: string;
  label: string;
  /** Words at the axis, each at its height. */
  ticks: { at: number; label: string }[];
  /** The height of each run; undefined where it has no value. */
  heights: (number | undefined)[];
}

function upright(runs: Run[], key: string): Upright | undefined {
  const [kind, name] = splitKey(key);
  const numbers = runs.map((run) => numberOf(run, key));
  const texts = runs.map((run) => (kind === "params" ? run.params[name] : undefined));
  const numeric = kind === "metrics" || texts.every((t, i) => t === undefined || numbers[i] !== undefined);
  if (numeric) {
    const known = numbers.filter((v): v is number => v !== undefined);
    const [low, high] = [Math.min(...known), Math.max(...known)];
    if (known.length < 2 || low === high) return undefined;
    const at = (v: number) => (v - low) / (high - low);
    return {
      key,
      label: name,
      ticks: [low, (low + high) / 2, high].map((v) => ({ at: at(v), label: measure(v, 3) })),
      heights: numbers.map((v) => (v === undefined ? undefined : at(v))),
    };
  }
  const words = [...new Set(texts.filter((t): t is string => t !== undefined))].sort();
  if (words.length < 2) return undefined;
  const at = (t: string) => words.indexOf(t) / (words.length - 1);
  return {
    key,
    label: name,
    ticks: words.slice(0, 12).map((t) => ({ at: at(t), label: t })),
    heights: texts.map((t) => (t === undefined ? undefined : at(t))),
  };
}

/** The axes on which the runs differ: params first, then metrics. */
export function uprights(runs: Run[], keys: string[]): Upright[] {
  return keys.map((key) => upright(runs, key)).filter((axis) => axis !== undefined);
}

/** Pixels. */
const HEIGHT = 240;
const TOP = 34;
const LEFT = 48;
/** For the words at the last axis. */
const RIGHT = 88;
const LEAST_STEP = 112;

const y = (height: number) => TOP + (1 - height) * HEIGHT;
const cut = (text: string, most = 16) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** The line of a run; it breaks where the run has no value. */
function path(axes: Upright[], run: number, step: number): string {
  let pen = "M";
  return axes
    .map((axis, i) => {
      const height = axis.heights[run];
      if (height === undefined) {
        pen = "M";
        return "";
      }
      const part = `${pen}${LEFT + i * step},${y(height).toFixed(1)}`;
      pen = "L";
      return part;
    })
    .join("");
}

/** One line a run over params and metrics: which choice leads to which result. */
export function Parallel({ runs, axes }: { runs: Run[]; axes: Upright[] }) {
  const [focus, setFocus] = useState<string>();
  const box = useRef<HTMLDivElement>(null);
  const room = useWidth(box);
  const step = Math.max(LEAST_STEP, (room - LEFT - RIGHT) / (axes.length - 1));
  const width = LEFT + (axes.length - 1) * step + RIGHT;
  const x = (at: number) => LEFT + at * step;
  return (
    <figure className="parallel">
      <ul className="legend">
        {runs.map((run, i) => (
          <li
            key={run.id}
            onMouseEnter={() => setFocus(run.id)}
            onMouseLeave={() => setFocus(undefined)}
            onFocus={() => setFocus(run.id)}
            onBlur={() => setFocus(undefined)}
          >
            <span aria-hidden="true" className="swatch" data-series={(i % 8) + 1} />
            <RunLink run={run} />
          </li>
        ))}
      </ul>
      <div ref={box}>
        <ScrollBox className="scroll" label="Parallel coordinates">
          <svg
            role="img"
            aria-label={`${runs.length} runs over ${axes.map((a) => a.label).join(", ")}; the tables below hold the values`}
            width={width}
            height={TOP + HEIGHT + 12}
          >
            {runs.map((run, i) => (
              <path
                key={run.id}
                d={path(axes, i, step)}
                className="line"
                data-series={(i % 8) + 1}
                data-dim={focus !== undefined && focus !== run.id ? true : undefined}
              />
            ))}
            {axes.map((axis, i) => (
              <g key={axis.key}>
                <line className="axis" x1={x(i)} x2={x(i)} y1={y(1)} y2={y(0)} />
                <text className="head" x={x(i)} y={16} textAnchor="middle">
                  <title>{axis.key}</title>
                  {cut(axis.label)}
                </text>
                {axis.ticks.map((tick) => (
                  <text key={tick.label} className="tick" x={x(i) + 6} y={y(tick.at) + 4}>
                    {cut(tick.label, 14)}
                  </text>
                ))}
              </g>
            ))}
          </svg>
        </ScrollBox>
      </div>
    </figure>
  );
}
