import { useEffect, useMemo, useState } from "react";
import type { Run } from "../../api/native";
import { Popover } from "../../components/basics";
import { Swatch } from "../../components/chart/chart";
import type { Range } from "../../components/chart/data";
import { Checklist } from "../../components/checklist";
import { Choice, Toggle } from "../../components/choice";
import { useListParam, useParam } from "../../lib/url";
import { type Axis, Curve, type CurveView, type RunLine, runLines } from "./curve";
import { commonKeys } from "./run-parts";

const AXES = [
  ["step", "Step"],
  ["time", "Time taken"],
  ["clock", "Clock"],
] as const satisfies readonly (readonly [Axis, string])[];

/** How the curves of a page are drawn, kept in its address. */
function useCurveView() {
  const [axis, setAxis] = useParam("axis", "step");
  const [log, setLog] = useParam("log", "no");
  const [smooth, setSmooth] = useParam("smooth", "0");
  const [text, setText] = useParam("x");
  const [from, to] = text.split("..").map(Number);
  const range: Range | undefined =
    from !== undefined && to !== undefined && from < to ? [from, to] : undefined;
  const setRange = (next: Range | undefined) => {
    const round = (v: number) => String(Number(v.toPrecision(9)));
    setText(next ? next.map(round).join("..") : "");
  };
  const known = AXES.find(([key]) => key === axis)?.[0] ?? "step";
  const weight = Math.min(0.99, Math.max(0, Number(smooth) || 0));
  const view: CurveView = { axis: known, log: log === "yes", smooth: weight, range, onRange: setRange };
  return { view, setAxis, setLog, setSmooth, setRange };
}

/** From and to by keyboard; a drag over a chart writes them too. */
function RangeFields({
  range,
  onRange,
}: {
  range: Range | undefined;
  onRange: (r: Range | undefined) => void;
}) {
  const [texts, setTexts] = useState({ from: "", to: "" });
  const key = range?.join();
  // biome-ignore lint/correctness/useExhaustiveDependencies: `key` stands for the range
  useEffect(() => {
    setTexts({ from: range ? String(range[0]) : "", to: range ? String(range[1]) : "" });
  }, [key]);
  const apply = () => {
    const [from, to] = [Number(texts.from), Number(texts.to)];
    if (texts.from !== "" && texts.to !== "" && from < to) onRange([from, to]);
  };
  const field = (which: "from" | "to", label: string) => (
    <input
      className="input figure"
      inputMode="decimal"
      aria-label={label}
      placeholder={which === "from" ? "from" : "to"}
      value={texts[which]}
      onChange={(e) => setTexts({ ...texts, [which]: e.target.value })}
      onBlur={apply}
    />
  );
  return (
    <form
      className="row tight"
      onSubmit={(event) => {
        event.preventDefault();
        apply();
      }}
    >
      {field("from", "Shown from")}
      <span className="quiet">–</span>
      {field("to", "Shown to")}
      <button type="submit" className="sr">
        Show this part
      </button>
      {range && (
        <button type="button" className="button small" onClick={() => onRange(undefined)}>
          All of it
        </button>
      )}
    </form>
  );
}

function MetricChoice(props: { metrics: string[]; drawn: string[]; onChange: (drawn: string[]) => void }) {
  const { metrics, drawn, onChange } = props;
  return (
    <Popover label={`Metrics ${drawn.length}/${metrics.length}`} title="Choose metrics to draw" narrow small>
      <Checklist
        groups={[{ options: metrics.map((name) => ({ key: name, label: name })) }]}
        chosen={drawn}
        onChange={onChange}
      />
    </Popover>
  );
}

/** One legend for all curves of a page: a name hides its line everywhere, pointing at it lifts it out. */
function Legend(props: {
  lines: RunLine[];
  hidden: string[];
  onHide: (hidden: string[]) => void;
  onFocus: (label: string | undefined) => void;
}) {
  const { lines, hidden } = props;
  const all = lines.map(({ label, colour }) => ({ label, colour, values: [] }));
  return (
    <ul className="legend">
      {lines.map(({ label, run }, at) => {
        const off = hidden.includes(label);
        return (
          <li key={run.id}>
            <button
              type="button"
              aria-pressed={!off}
              title={off ? `Show ${label}` : `Hide ${label}`}
              onClick={() => props.onHide(off ? hidden.filter((l) => l !== label) : [...hidden, label])}
              onMouseEnter={() => props.onFocus(label)}
              onMouseLeave={() => props.onFocus(undefined)}
              onFocus={() => props.onFocus(label)}
              onBlur={() => props.onFocus(undefined)}
            >
              <Swatch all={all} at={at} own={false} />
              <span className="name">{label}</span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}

/** The curves of all metrics of some runs, drawn the same way. `first` of them until others are chosen. */
export function Curves({ runs, first, sync }: { runs: Run[]; first: number; sync: string }) {
  const { view, setAxis, setLog, setSmooth, setRange } = useCurveView();
  const [chosen, setChosen] = useListParam("metrics");
  const [hidden, setHidden] = useState<string[]>([]);
  const [focus, setFocus] = useState<string>();
  const lines = useMemo(() => runLines(runs), [runs]);
  const metrics = commonKeys(runs, (run) => run.metrics);
  const known = chosen.filter((m) => metrics.includes(m));
  const drawn = known.length > 0 ? known : metrics.slice(0, first);
  return (
    <section className="stack" aria-label="Curves">
      <div className="row bar-of-tools">
        <Choice
          label="Drawn against"
          options={AXES}
          value={view.axis}
          onChange={(next) => {
            setAxis(next);
            setRange(undefined);
          }}
        />
        <Toggle on={view.log} onPress={() => setLog(view.log ? "no" : "yes")}>
          Log scale
        </Toggle>
        <label className="row slider">
          Smoothing
          <input
            type="range"
            min="0"
            max="0.99"
            step="0.01"
            value={view.smooth}
            onChange={(e) => setSmooth(e.target.value)}
          />
          <span className="num">{view.smooth.toFixed(2)}</span>
        </label>
        {view.axis !== "clock" && <RangeFields range={view.range} onRange={setRange} />}
        {view.axis === "clock" && view.range && (
          <button type="button" className="button small" onClick={() => setRange(undefined)}>
            All of it
          </button>
        )}
        <span className="push">
          <MetricChoice metrics={metrics} drawn={drawn} onChange={setChosen} />
        </span>
      </div>
      {lines.length > 1 && <Legend lines={lines} hidden={hidden} onHide={setHidden} onFocus={setFocus} />}
      <div className="grid">
        {drawn.map((metric) => (
          <Curve
            key={metric}
            lines={lines}
            metric={metric}
            view={view}
            sync={`${sync}-${view.axis}`}
            hidden={hidden}
            focus={focus}
          />
        ))}
      </div>
      <p className="quiet small">
        Drag over a chart to look closer{lines.length > 1 && "; press a name above to hide its line"}.
      </p>
    </section>
  );
}
