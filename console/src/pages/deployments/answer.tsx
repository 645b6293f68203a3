import { figure, type PredictAnswer } from "../../api/native";
import { Code, CopyButton, KeyValue } from "../../components/basics";
import { Table } from "../../components/table";
import { measure } from "../../lib/format";
import { curlHere, mainspring } from "../../lib/here";
import { api } from "../../lib/url";
import { millis } from "./parts";

/** One output: a value, or the shares of a few classes as bars. */
function Value({ value }: { value: unknown }) {
  if (Array.isArray(value) && value.length <= 12 && value.every((v) => typeof v === "number")) {
    const shares = value.every((v) => v >= 0 && v <= 1);
    return (
      <ol className="bars">
        {value.map((v: number, i) => (
          <li key={i}>
            <span className="quiet">{i}</span>
            <span className="bar" aria-hidden="true" data-series="1">
              {shares && <i style={{ width: `${v * 100}%` }} />}
            </span>
            <b className="num">{measure(v)}</b>
          </li>
        ))}
      </ol>
    );
  }
  return typeof value === "object" ? (
    <code className="break">{JSON.stringify(value)}</code>
  ) : (
    <b>{String(value)}</b>
  );
}

/** An answer, with the row that was sent and how long it took, seconds. */
export interface Answered {
  body: PredictAnswer;
  seconds: number;
  row: Record<string, unknown>;
}

/** What came back, and how to send the same from elsewhere. */
export function Answer({ answer, deployment }: { answer: Answered; deployment: string }) {
  const { body } = answer;
  return (
    <>
      <Table
        caption="Answer"
        rows={Object.entries(body.predictions[0] ?? {})}
        rowKey={([name]) => name}
        empty={<p className="quiet">The model gave no output.</p>}
        columns={[
          { key: "name", label: "Output", head: true, render: ([name]) => name },
          { key: "value", label: "Value", render: ([, value]) => <Value value={value} /> },
        ]}
      />
      <KeyValue
        items={[
          [
            "Prediction id",
            <span key="id" className="row">
              <code>{body.id}</code> <CopyButton text={body.id} label="Copy id" />
            </span>,
          ],
          ["Answered by", `${body.model} version ${body.version}, variant ${body.variant}`],
          ["In the server", millis(figure(body.latencyMs))],
          ["Round trip", millis(answer.seconds * 1000)],
        ]}
      />
      <div>
        <h3>The same with curl</h3>
        <Code
          text={curlHere({
            method: "POST",
            path: api("deployments", deployment, "predict"),
            body: { rows: [answer.row] },
          })}
          wrap
          label="curl"
        />
      </div>
      <div>
        <h3>The recorded row, from the command line</h3>
        <Code
          text={mainspring("query", `select * from predictions where event_id = '${body.id}'`)}
          wrap
          label="Command"
        />
      </div>
      <div>
        <h3>Tell what was right</h3>
        <Code
          text={curlHere({
            method: "POST",
            path: "/api/v1/feedback",
            body: { predictionId: body.id, name: "label", value: 1 },
          })}
          wrap
          label="Feedback"
        />
      </div>
    </>
  );
}
