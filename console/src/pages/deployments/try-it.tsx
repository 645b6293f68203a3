import { type FormEvent, useMemo, useState } from "react";
import { native, figure, type PredictAnswer, type VersionDetail } from "../../api/native";
import { Card, Code, CopyButton, KeyValue } from "../../components/basics";
import { ErrorBox } from "../../components/errors";
import { Table } from "../../components/table";
import { type FieldSpec, kindOf, parseRow, writeField } from "../../lib/row-form";
import { curlHere, mainspring } from "../../lib/here";
import { api, useParam } from "../../lib/url";
import { literal, millis } from "./parts";

/** The fields of a row: the signature's columns, with the number of elements where a column is a tensor. */
export function fieldsOf(version: VersionDetail): FieldSpec[] {
  const { columns, inputs } = version.signature;
  return columns.map((column) => {
    const tensor = inputs.find((input) => input.name === column.name);
    const elements = tensor ? tensor.shape.slice(1).reduce((n, d) => n * d, 1) : 1;
    return { name: column.name, type: column.type, required: column.required, elements: Math.abs(elements) };
  });
}

function hint(field: FieldSpec): string {
  const optional = field.required ? "" : ", optional";
  return field.elements === 1
    ? `${field.type}${optional}`
    : `${field.elements} × ${field.type} as a JSON array${optional}`;
}

function Value({ value }: { value: unknown }) {
  return typeof value === "object" ? (
    <code className="break">{JSON.stringify(value)}</code>
  ) : (
    <b>{String(value)}</b>
  );
}

/** A form made from the signature: fill it in, send it, see the answer and how to send it from elsewhere. */
export function TryIt({ deployment, version }: { deployment: string; version: VersionDetail }) {
  const fields = useMemo(() => fieldsOf(version), [version]);
  const [kept, keep] = useParam("row");
  const [texts, setTexts] = useState<Record<string, string>>(() => {
    try {
      const row = JSON.parse(kept || "{}") as Record<string, unknown>;
      return Object.fromEntries(Object.entries(row).map(([key, value]) => [key, writeField(value)]));
    } catch {
      return {};
    }
  });
  const [wrong, setWrong] = useState<Record<string, string>>({});
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<unknown>();
  const [answer, setAnswer] = useState<{
    body: PredictAnswer;
    seconds: number;
    row: Record<string, unknown>;
  }>();
  const [note, setNote] = useState("");

  const send = async (event: FormEvent) => {
    event.preventDefault();
    const parsed = parseRow(fields, texts);
    if ("wrong" in parsed) {
      setWrong(parsed.wrong);
      document.getElementById(`try-${Object.keys(parsed.wrong)[0]}`)?.focus();
      return;
    }
    setWrong({});
    setBusy(true);
    setFailed(undefined);
    const started = performance.now();
    try {
      const body = await native.predict(deployment, [parsed.row]);
      setAnswer({ body, seconds: (performance.now() - started) / 1000, row: parsed.row });
      keep(JSON.stringify(parsed.row));
    } catch (error) {
      setFailed(error);
    } finally {
      setBusy(false);
    }
  };

  const fromJournal = async () => {
    setFailed(undefined);
    try {
      const { columns, rows } = await native.query(
        `select * from predictions where deployment = ${literal(deployment)} and outcome = 'ok' order by at desc limit 1`,
        1,
      );
      const row = rows[0];
      const recorded = (name: string) => row?.[columns.findIndex((c) => c.name === `in.${name}`)];
      const found = fields
        .map((field): [string, string] => {
          // `X[2]` is the third place of the tensor X, which the journal keeps as one list.
          const place = /^(.*)\[(\d+)\]$/.exec(field.name);
          const list = place?.[1] === undefined ? undefined : recorded(place[1]);
          return [
            field.name,
            writeField(recorded(field.name) ?? (Array.isArray(list) ? list[Number(place?.[2])] : undefined)),
          ];
        })
        .filter(([, text]) => text !== "");
      setTexts({ ...texts, ...Object.fromEntries(found) });
      setNote(
        row === undefined
          ? "The journal has no answered request of this deployment yet."
          : found.length === 0
            ? "The last request was recorded without its inputs."
            : `Filled ${found.length} of ${fields.length} fields from the last recorded request.`,
      );
    } catch (error) {
      setFailed(error);
    }
  };

  const sent = answer && {
    method: "POST" as const,
    path: api("deployments", deployment, "predict"),
    body: { rows: [answer.row] },
  };
  const outputs = answer?.body.predictions[0] ?? {};
  return (
    <Card
      title="Try it"
      note={`One row for version ${version.version}; the request is answered, measured and recorded like any other.`}
      tools={
        <>
          <button type="button" className="button small" onClick={() => void fromJournal()}>
            Fill from the last request
          </button>
          <button
            type="button"
            className="button small"
            onClick={() => {
              setTexts({});
              setWrong({});
              setNote("");
            }}
          >
            Clear
          </button>
        </>
      }
    >
      <form onSubmit={(event) => void send(event)} noValidate className="stack">
        <div className="fields">
          {fields.map((field) => {
            const id = `try-${field.name}`;
            const kind = kindOf(field);
            const common = {
              id,
              className: "input",
              value: texts[field.name] ?? "",
              "aria-invalid": wrong[field.name] !== undefined,
              "aria-describedby": `${id}-note`,
              onChange: (e: { target: { value: string } }) =>
                setTexts({ ...texts, [field.name]: e.target.value }),
            };
            return (
              <div key={field.name} className={kind === "json" ? "field wide" : "field"}>
                <label htmlFor={id} className="break">
                  {field.name}
                </label>
                {kind === "boolean" ? (
                  <select {...common}>
                    <option value="">–</option>
                    <option>true</option>
                    <option>false</option>
                  </select>
                ) : kind === "json" ? (
                  <textarea
                    {...common}
                    rows={3}
                    spellCheck={false}
                    placeholder={field.elements > 1 ? "[0.1, 0.2, …]" : "{}"}
                  />
                ) : (
                  <input
                    {...common}
                    inputMode={kind === "integer" ? "numeric" : kind === "number" ? "decimal" : "text"}
                    autoComplete="off"
                  />
                )}
                <span id={`${id}-note`} className={wrong[field.name] ? "wrong" : "note"}>
                  {wrong[field.name] ?? hint(field)}
                </span>
              </div>
            );
          })}
        </div>
        <div className="row">
          <button type="submit" className="button primary" disabled={busy}>
            {busy ? "Waiting for the answer…" : "Send"}
          </button>
          <span className="quiet small" role="status">
            {Object.keys(wrong).length > 0
              ? `${Object.keys(wrong).length} of ${fields.length} fields need a look.`
              : note}
          </span>
        </div>
      </form>
      <div aria-live="polite" className="stack below">
        {failed !== undefined && <ErrorBox error={failed} />}
        {answer && sent && (
          <>
            <Table
              caption="Answer"
              rows={Object.entries(outputs)}
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
                    <code>{answer.body.id}</code> <CopyButton text={answer.body.id} label="Copy id" />
                  </span>,
                ],
                [
                  "Answered by",
                  `${answer.body.model} version ${answer.body.version}, variant ${answer.body.variant}`,
                ],
                ["In the server", millis(figure(answer.body.latencyMs))],
                ["Round trip", millis(answer.seconds * 1000)],
              ]}
            />
            <div>
              <h3>The same with curl</h3>
              <Code text={curlHere(sent)} wrap label="curl" />
            </div>
            <div>
              <h3>The recorded row, from the command line</h3>
              <Code
                text={mainspring("query", `select * from predictions where event_id = '${answer.body.id}'`)}
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
                  body: { predictionId: answer.body.id, name: "label", value: 1 },
                })}
                wrap
                label="Feedback"
              />
            </div>
          </>
        )}
      </div>
    </Card>
  );
}
