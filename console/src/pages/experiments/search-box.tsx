import { type FormEvent, useEffect, useState } from "react";
import type { Run } from "../../api/native";
import { Popover } from "../../components/basics";
import { commonKeys, metricOf } from "./run-parts";

/** A name as the grammar takes it: in backticks unless it is a plain word. */
export function nameOf(key: string): string {
  return /^[A-Za-z_][\w]*$/.test(key) ? key : `\`${key}\``;
}

/** Filters that fit these runs: their own names and values. */
export function examplesFor(runs: Run[]): string[] {
  const found: string[] = [];
  const metric = commonKeys(runs, (r) => r.metrics)[0];
  const values = metric
    ? runs
        .map((run) => metricOf(run, metric))
        .filter((v): v is number => v !== undefined && Number.isFinite(v))
        .sort((a, b) => a - b)
    : [];
  const middle = values[Math.floor(values.length / 2)];
  if (metric && middle !== undefined)
    found.push(`metrics.${nameOf(metric)} >= ${Number(middle.toPrecision(3))}`);
  for (const [kind, of] of [
    ["params", (r: Run) => r.params],
    ["tags", (r: Run) => r.tags],
  ] as const) {
    const keys = commonKeys(runs, of);
    // What differs is worth a filter.
    const key = keys.find((k) => new Set(runs.map((r) => of(r)[k])).size > 1) ?? keys[0];
    const value = key && runs.map((r) => of(r)[key]).find((v) => v !== undefined && !/['"]/.test(v));
    if (key && value !== undefined) found.push(`${kind}.${nameOf(key)} = '${value}'`);
  }
  return [
    ...found,
    "attributes.status = 'FAILED'",
    "attributes.run_name ILIKE '%forest%'",
    ...(found.length > 1 ? [`${found[0]} AND ${found[1]}`] : []),
  ];
}

const GRAMMAR: [string, string][] = [
  ["metrics.auc", "the last value of a metric: = != > >= < <= and a number"],
  ["params.depth", "a parameter, always a text in quotes: = != LIKE ILIKE, or IS NULL, IS NOT NULL"],
  ["tags.team", "a tag, like a parameter"],
  ["attributes.status", "also run_name, user_id, start_time, end_time, run_id"],
  ["dataset.name", "also digest and context"],
  ["AND", "joins conditions; there is no OR"],
  ["IN ('a', 'b')", "one of several; for attributes.run_id and dataset only"],
  ["`val loss`", "backticks around a name with spaces, dots or dashes"],
  ["LIKE '%x_'", "% is any text, _ one character; ILIKE ignores case"],
];

function Help({ examples, onUse }: { examples: string[]; onUse: (filter: string) => void }) {
  return (
    <Popover label="Syntax" title="How to write a filter">
      <div className="stack tight">
        <p>MLflow’s own grammar: the same text works in mlflow.search_runs.</p>
        <div>
          <h2 className="minor">For these runs</h2>
          <ul className="row below">
            {examples.map((example) => (
              <li key={example}>
                <button type="button" className="button small mono wrap" onClick={() => onUse(example)}>
                  {example}
                </button>
              </li>
            ))}
          </ul>
        </div>
        <dl className="kv">
          {GRAMMAR.map(([word, meaning]) => (
            <div key={word}>
              <dt>
                <code>{word}</code>
              </dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
      </div>
    </Popover>
  );
}

/** The filter of runs, with help made from the runs themselves. */
export function SearchBox(props: {
  runs: Run[];
  filter: string;
  onFilter: (filter: string) => void;
  view: string;
  onView: (view: string) => void;
}) {
  const { filter, onFilter } = props;
  const [draft, setDraft] = useState(filter);
  useEffect(() => setDraft(filter), [filter]);
  const examples = examplesFor(props.runs);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onFilter(draft.trim());
  };
  return (
    <form className="row" role="search" onSubmit={submit}>
      <input
        className="input grow mono auto"
        type="search"
        aria-label="Filter of runs"
        placeholder={`e.g. ${examples[0] ?? ""}`}
        list="filter-examples"
        spellCheck={false}
        autoCapitalize="off"
        value={draft}
        onChange={(event) => {
          setDraft(event.target.value);
          if (event.target.value === "") onFilter("");
        }}
      />
      <datalist id="filter-examples">
        {examples.map((example) => (
          <option key={example} value={example} />
        ))}
      </datalist>
      <button type="submit" className="button">
        Search
      </button>
      <Help examples={examples} onUse={onFilter} />
      <select
        className="input auto"
        aria-label="Which runs"
        value={props.view}
        onChange={(e) => props.onView(e.target.value)}
      >
        <option value="active">Active</option>
        <option value="deleted">Deleted</option>
        <option value="all">All</option>
      </select>
    </form>
  );
}
