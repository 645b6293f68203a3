import { curlHere, mainspring, mlflow, python } from "../lib/here";
import type { Call } from "../lib/shell";
import { Code, Popover } from "./basics";

/** The button of each picture and table: the API call and the commands that give the same. */
export function ShowCall(props: {
  call: Call;
  /** Words for `mainspring`. */
  cli?: string[];
  /** Words for `mlflow`. */
  mlflow?: string[];
  /** Python after `import mlflow` and the tracking address. */
  python?: string;
}) {
  const ways: [string, string, boolean][] = [["API", curlHere(props.call), true]];
  if (props.cli) ways.push(["Command line", mainspring(...props.cli), true]);
  if (props.mlflow) ways.push(["MLflow’s command line", mlflow(...props.mlflow), true]);
  if (props.python) ways.push(["Python", python(props.python), false]);
  return (
    <Popover label={<span>API · CLI</span>} title="The same from a terminal" small>
      <div className="stack tight">
        {ways.map(([title, text, wrap]) => (
          <div key={title}>
            <h2 className="minor">{title}</h2>
            <Code text={text} wrap={wrap} label={title} />
          </div>
        ))}
      </div>
    </Popover>
  );
}
