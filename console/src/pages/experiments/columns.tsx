/** The columns of the table of runs: which there are, how each is sorted and shown. */
import { ms, type Run } from "../../api/native";
import { Popover, Time } from "../../components/basics";
import { Checklist } from "../../components/checklist";
import type { Column } from "../../components/table";
import { aligned, decimals, duration } from "../../lib/format";
import { commonKeys, metricOf, RunLink, RunStatus, runSeconds } from "./run-parts";

/** `metrics.val loss` into its kind and its name. */
export function splitKey(full: string): [string, string] {
  const dot = full.indexOf(".");
  return [full.slice(0, dot), full.slice(dot + 1)];
}

/** "metrics.val loss:asc" as MLflow's `order_by`. */
export function orderBy(order: string): string {
  const at = order.lastIndexOf(":");
  const full = order.slice(0, at);
  const [kind, name] = splitKey(full);
  const way = order.slice(at + 1) === "asc" ? "ASC" : "DESC";
  return kind === "attributes" ? `${full} ${way}` : `${kind}.\`${name}\` ${way}`;
}

const ATTRIBUTES: Record<string, string> = {
  "attributes.duration": "Took",
  "attributes.user_id": "User",
};

export function labelOf(full: string): string {
  return ATTRIBUTES[full] ?? splitKey(full)[1];
}

/** A text of any length on one line; the whole of it on hover. */
function Clip({ text }: { text: string | undefined }) {
  if (text === undefined) return <span className="quiet">–</span>;
  return (
    <span className="clip" title={text}>
      {text}
    </span>
  );
}

function chosenColumn(full: string, runs: Run[], now: number): Column<Run> {
  const [kind, key] = splitKey(full);
  const base = { key: full, label: labelOf(full), sortable: true };
  switch (kind) {
    case "metrics": {
      const places = decimals(runs.map((run) => metricOf(run, key)));
      return { ...base, numeric: true, render: (run) => aligned(metricOf(run, key), places) };
    }
    case "params": {
      const numeric = runs.every((run) => !run.params[key] || Number.isFinite(Number(run.params[key])));
      return { ...base, numeric, render: (run) => <Clip text={run.params[key]} /> };
    }
    case "tags":
      return { ...base, render: (run) => <Clip text={run.tags[key]} /> };
    default:
      return key === "user_id"
        ? { ...base, render: (run) => run.user || "–" }
        : { ...base, sortable: false, numeric: true, render: (run) => duration(runSeconds(run, now)) };
  }
}

/** What every table of runs begins with, then what was chosen. */
export function columnsOf(shown: string[], runs: Run[], now: number): Column<Run>[] {
  return [
    {
      key: "attributes.run_name",
      label: "Run",
      head: true,
      sortable: true,
      render: (run) => <RunLink run={run} />,
    },
    { key: "attributes.status", label: "State", sortable: true, render: (run) => <RunStatus run={run} /> },
    {
      key: "attributes.start_time",
      label: "Started",
      sortable: true,
      render: (run) => <Time at={ms(run.startedAt)} />,
    },
    ...shown.map((key) => chosenColumn(key, runs, now)),
  ];
}

/** What is shown until somebody chooses: how long it took, the commonest metrics, the params that differ. */
export function usual(runs: Run[]): string[] {
  const params = commonKeys(runs, (r) => r.params);
  const differing = params.filter((key) => new Set(runs.map((r) => r.params[key])).size > 1);
  return [
    "attributes.duration",
    ...commonKeys(runs, (r) => r.metrics)
      .slice(0, 4)
      .map((k) => `metrics.${k}`),
    ...(differing.length > 0 ? differing : params).slice(0, 4).map((k) => `params.${k}`),
  ];
}

export function ColumnChoice(props: { runs: Run[]; shown: string[]; onChange: (keys: string[]) => void }) {
  const { runs, shown, onChange } = props;
  const groups: [string, string[]][] = [
    ["Attributes", Object.keys(ATTRIBUTES)],
    ["Metrics", commonKeys(runs, (r) => r.metrics).map((k) => `metrics.${k}`)],
    ["Params", commonKeys(runs, (r) => r.params).map((k) => `params.${k}`)],
    ["Tags", commonKeys(runs, (r) => r.tags).map((k) => `tags.${k}`)],
  ];
  return (
    <Popover label="Columns" title="Choose columns" narrow small>
      <div className="stack tight">
        <Checklist
          groups={groups.map(([title, keys]) => ({
            title,
            options: keys.map((key) => ({ key, label: labelOf(key) })),
          }))}
          chosen={shown}
          onChange={onChange}
        />
        <button type="button" className="button small" onClick={() => onChange([])}>
          The usual columns
        </button>
      </div>
    </Popover>
  );
}
