import { useQuery } from "@tanstack/react-query";
import { type FormEvent, Fragment, useEffect, useMemo, useRef, useState } from "react";
import { native, type VersionDetail } from "../../api/native";
import { Card } from "../../components/basics";
import { ErrorBox } from "../../components/errors";
import { type FieldSpec, kindOf, parseRow, shapeOf, writeField } from "../../lib/row-form";
import { literal } from "../../lib/sql";
import { useParam } from "../../lib/url";
import { Answer, type Answered } from "./answer";

type Texts = Record<string, string>;

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
    ? `${field.type}${kindOf(field) === "json" ? " as JSON" : ""}${optional}`
    : `${field.elements} × ${field.type} as a JSON array${optional}`;
}

/** A name that may break after its separators, and nowhere else if it fits. */
function Name({ text }: { text: string }) {
  return (
    <>
      {text.split(/(?<=[_./ -])/).map((part, i) => (
        <Fragment key={i}>
          {i > 0 && <wbr />}
          {part}
        </Fragment>
      ))}
    </>
  );
}

/** The inputs of the newest answered request, as texts; undefined when there is none. */
async function lastRow(deployment: string, fields: FieldSpec[], signal?: AbortSignal): Promise<Texts | null> {
  const { columns, rows } = await native.query(
    `select * from predictions where deployment = ${literal(deployment)} and outcome = 'ok' order by at desc limit 1`,
    1,
    signal,
  );
  const row = rows[0];
  if (row === undefined) return null;
  const recorded = (name: string) => row[columns.findIndex((c) => c.name === `in.${name}`)];
  // A model with one tensor for all its columns is recorded as one list, in the order of the columns.
  const lists = columns.flatMap((c, i) =>
    c.name.startsWith("in.") && Array.isArray(row[i]) ? [row[i]] : [],
  );
  const whole = lists.find((list: unknown[]) => list.length === fields.length) as unknown[] | undefined;
  const found = fields.map((field, at): [string, string] => {
    // `X[2]` is the third place of the tensor X.
    const place = /^(.*)\[(\d+)\]$/.exec(field.name);
    const list = place?.[1] === undefined ? undefined : recorded(place[1]);
    const value =
      recorded(field.name) ?? (Array.isArray(list) ? list[Number(place?.[2])] : (whole?.[at] ?? undefined));
    // A redacted number is recorded as NaN.
    return [field.name, value === "NaN" ? "" : writeField(value)];
  });
  return Object.fromEntries(found.filter(([, text]) => text !== ""));
}

function Field(props: {
  field: FieldSpec;
  text: string;
  wrong: string | undefined;
  onChange: (text: string) => void;
}) {
  const { field, wrong } = props;
  const id = `try-${field.name}`;
  const kind = kindOf(field);
  const common = {
    id,
    className: "input",
    value: props.text,
    "aria-invalid": wrong !== undefined,
    "aria-describedby": `${id}-note`,
    onChange: (e: { target: { value: string } }) => props.onChange(e.target.value),
  };
  return (
    <div className={kind === "json" ? "field wide" : "field"}>
      <label htmlFor={id} className="break">
        <Name text={field.name} />
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
          placeholder={field.elements > 1 ? "[0.1, 0.2, …]" : shapeOf(field) === "array" ? "[…]" : "{…}"}
        />
      ) : (
        <input
          {...common}
          inputMode={kind === "integer" ? "numeric" : kind === "number" ? "decimal" : "text"}
          autoComplete="off"
        />
      )}
      <span id={`${id}-note`} className={wrong ? "wrong" : "note"}>
        {wrong ?? hint(field)}
      </span>
    </div>
  );
}

/** The row that the address holds, as texts. */
function kept(row: string): Texts {
  try {
    const values = JSON.parse(row || "{}") as Record<string, unknown>;
    return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, writeField(value)]));
  } catch {
    return {};
  }
}

/** A form made from the signature: fill it in, send it, see the answer and how to send it from elsewhere. */
export function TryIt({ deployment, version }: { deployment: string; version: VersionDetail }) {
  const fields = useMemo(() => fieldsOf(version), [version]);
  const [row, keep] = useParam("row");
  const [texts, setTexts] = useState<Texts>(() => kept(row));
  const [wrong, setWrong] = useState<Texts>({});
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<unknown>();
  const [answer, setAnswer] = useState<Answered>();
  const [note, setNote] = useState("");
  const touched = useRef(row !== "");

  const fill = (found: Texts | null) => {
    const count = Object.keys(found ?? {}).length;
    if (found && count > 0) setTexts((before) => ({ ...before, ...found }));
    setNote(
      found === null
        ? "The journal has no answered request of this deployment yet."
        : count === 0
          ? "The last request was recorded without its inputs."
          : `Filled ${count} of ${fields.length} fields from the last recorded request.`,
    );
  };
  const recorded = useQuery({
    queryKey: ["last-row", deployment, version.version],
    queryFn: ({ signal }) => lastRow(deployment, fields, signal),
    enabled: !touched.current,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  // A form of thirty empty fields helps nobody: it opens with real values until somebody types.
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when they have come
  useEffect(() => {
    if (recorded.data && !touched.current) fill(recorded.data);
  }, [recorded.data]);

  const fromJournal = async () => {
    setFailed(undefined);
    touched.current = true;
    try {
      fill(await lastRow(deployment, fields));
    } catch (error) {
      setFailed(error);
    }
  };
  const send = async (event: FormEvent) => {
    event.preventDefault();
    touched.current = true;
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

  return (
    <div className="try">
      <Card
        title="One row"
        note={`For version ${version.version}; the request is answered, measured and recorded like any other.`}
        tools={
          <>
            <button type="button" className="button small" onClick={() => void fromJournal()}>
              Fill from the last request
            </button>
            <button
              type="button"
              className="button small"
              onClick={() => {
                touched.current = true;
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
          <div className="fields">
            {fields.map((field) => (
              <Field
                key={field.name}
                field={field}
                text={texts[field.name] ?? ""}
                wrong={wrong[field.name]}
                onChange={(text) => {
                  touched.current = true;
                  setTexts((before) => ({ ...before, [field.name]: text }));
                }}
              />
            ))}
          </div>
        </form>
      </Card>
      <Card title="Answer">
        <div aria-live="polite" className="stack">
          {failed !== undefined && <ErrorBox error={failed} />}
          {answer ? (
            <Answer answer={answer} deployment={deployment} />
          ) : (
            failed === undefined && (
              <p className="quiet">Send the row: the answer, its id and its time appear here.</p>
            )
          )}
        </div>
      </Card>
    </div>
  );
}
