import { type ReactNode, useId } from "react";
import type { PerformanceReport, VersionDetail } from "../../api/native";
import { Card } from "../../components/basics";
import { plural } from "../../lib/format";
import { type Choices, columnsOf } from "../../lib/performance";
import { useParam } from "../../lib/url";

/** One of several, or what the address holds and nobody knows of. */
function Select(props: {
  label: string;
  note?: string | undefined;
  value: string;
  /** The text of the empty value. */
  none?: string;
  options: string[];
  groups?: [string, string[]][];
  onChange: (next: string) => void;
}) {
  const id = useId();
  const known = [...props.options, ...(props.groups ?? []).flatMap(([, names]) => names)];
  const options = (names: string[]): ReactNode[] =>
    names.map((name) => (
      <option key={name} value={name}>
        {name}
      </option>
    ));
  return (
    <div className="field">
      <label htmlFor={id}>{props.label}</label>
      <select
        id={id}
        className="input"
        value={props.value}
        onChange={(event) => props.onChange(event.target.value)}
      >
        {props.none !== undefined && <option value="">{props.none}</option>}
        {props.value !== "" && !known.includes(props.value) && options([props.value])}
        {options(props.options)}
        {props.groups?.map(
          ([title, names]) =>
            names.length > 0 && (
              <optgroup key={title} label={title}>
                {options(names)}
              </optgroup>
            ),
        )}
      </select>
      <span className="note">{props.note}</span>
    </div>
  );
}

const TASKS = ["classification", "regression", "ranking"];
const FIELDS = ["version", "variant", "model", "protocol", "caller"];

/** The task, and which class is looked for, which there are, or how many items count. */
function taskWords({ task, classes = [], positive, k }: PerformanceReport): string {
  if (positive) return `${task}, looked for: ${positive}`;
  if (classes.length > 0) return `${task}, ${plural(classes.length, "class", "classes")}`;
  return k ? `${task}, the first ${k} count` : task;
}

/** What is measured, against what, and by what predictions are told apart. */
export function Asked(props: {
  choices: Choices;
  /** Names of the feedback that there is. */
  labels: string[];
  by: string;
  signature: VersionDetail["signature"] | undefined;
  /** Says what was found out. */
  report: PerformanceReport | undefined;
}) {
  const { choices, report } = props;
  const [, setLabel] = useParam("label");
  const [, setPrediction] = useParam("prediction");
  const [, setTask] = useParam("task");
  const [, setBy] = useParam("by");
  const { inputs, outputs } = columnsOf(props.signature);
  const score = report?.score && report.score !== report.prediction ? `, probabilities ${report.score}` : "";
  return (
    <Card title="What is measured">
      <div className="fields">
        <Select
          label="Label"
          note="the name of the feedback"
          value={choices.label}
          options={props.labels}
          onChange={setLabel}
        />
        <Select
          label="Compared with"
          note={report && `${report.prediction}${score}`}
          value={choices.prediction}
          none="the output it finds"
          options={(props.signature?.outputs ?? []).map((t) => t.name)}
          onChange={setPrediction}
        />
        <Select
          label="Task"
          note={report && taskWords(report)}
          value={choices.task}
          none="as labels look"
          options={TASKS}
          onChange={setTask}
        />
        <Select
          label="Told apart by"
          note="numbers with many values by quarters"
          value={props.by}
          none="nothing"
          options={FIELDS}
          groups={[
            ["Inputs", inputs],
            ["Outputs", outputs],
          ]}
          onChange={setBy}
        />
      </div>
    </Card>
  );
}
