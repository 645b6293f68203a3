import { useMemo } from "react";
import { ms, type Rollout } from "../../api/native";
import { Chart } from "../../components/chart/chart";
import type { Mark, Series } from "../../components/chart/data";
import { percent } from "../../lib/format";
import { useNow } from "../../lib/hooks";
import { isActive } from "../../lib/rollout";

interface Steps {
  /** Seconds since 1970. */
  x: number[];
  series: Series[];
  marks: Mark[];
}

/** The weights of each variant from their beginnings to `end`, in milliseconds. */
export function steps(r: Pick<Rollout, "weights" | "variants">, end: number): Steps {
  const starts = r.weights.map((w) => ms(w.since) ?? 0);
  const times = [...starts, Math.max(end, (starts.at(-1) ?? 0) + 1000)];
  const last = r.weights.at(-1);
  const all = last ? [...r.weights, last] : [];
  const marks = r.weights.flatMap((w, i) =>
    w.shadow ? [{ x: (starts[i] ?? 0) / 1000, label: "in the shadow" }] : [],
  );
  return {
    x: last ? times.map((at) => at / 1000) : [],
    series: r.variants.map((v, i) => ({ label: v.name, values: all.map((w) => w.weights[i] ?? null) })),
    marks,
  };
}

/** How the traffic was shared out over time. */
export function WeightsChart({ rollout }: { rollout: Rollout }) {
  const now = useNow();
  const since = ms(rollout.since) ?? now;
  const first = ms(rollout.weights[0]?.since) ?? since;
  // Nothing changes after the end: a little of it is enough to see where it stayed.
  const end = isActive(rollout) ? now : since + (since - first) * 0.05;
  const drawn = useMemo(() => steps(rollout, end), [rollout, end]);
  if (drawn.x.length === 0) return <p className="quiet">The weights begin with the rollout.</p>;
  return <Chart label="Weights" {...drawn} xKind="time" unit={(v) => percent(v)} zero stepped height={180} />;
}
