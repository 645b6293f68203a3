import { type FormEvent, useState } from "react";
import { call, type Reply } from "../../api/http";
import type { VersionDetail } from "../../api/native";
import { Card, Code, KeyValue } from "../../components/basics";
import { ErrorBox } from "../../components/errors";
import { curlHere } from "../../lib/here";
import { millis } from "./parts";

/** A request of zeros that fits the inputs; free dimensions are 1. */
export function template(version: VersionDetail): string {
  const inputs = version.signature.inputs.map(({ name, datatype, shape }) => {
    const dims = shape.map((d) => (d < 0 ? 1 : d));
    const size = dims.reduce((n, d) => n * d, 1);
    const zero = datatype === "BYTES" ? "" : datatype === "BOOL" ? false : 0;
    return {
      name,
      datatype,
      shape: dims,
      data: size <= 4096 ? Array.from({ length: size }, () => zero) : [],
    };
  });
  return JSON.stringify({ inputs }, null, 1).replace(
    /\[\s+([^[\]{}]*?)\s+\]/g,
    (_, list: string) => `[${list.replace(/\s+/g, " ")}]`,
  );
}

/** For models whose inputs are no columns: the request as the Open Inference Protocol writes it. */
export function TryRaw({ deployment, version }: { deployment: string; version: VersionDetail }) {
  const [text, setText] = useState(() => template(version));
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState("");
  const [failed, setFailed] = useState<unknown>();
  const [answer, setAnswer] = useState<Reply<unknown> & { body: unknown }>();
  const path = `/v2/models/${encodeURIComponent(deployment)}/infer`;
  const send = async (event: FormEvent) => {
    event.preventDefault();
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch (error) {
      setWrong(error instanceof Error ? error.message : "This is not JSON.");
      return;
    }
    setWrong("");
    setFailed(undefined);
    setBusy(true);
    try {
      setAnswer({
        ...(await call<unknown>(`ask ${deployment} for a prediction`, { method: "POST", path, body })),
        body,
      });
    } catch (error) {
      setFailed(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Card
      title="Try it"
      note="The inputs of this model are no columns, so the request is written as the Open Inference Protocol has it."
    >
      <form onSubmit={(event) => void send(event)} className="stack tight">
        <div className="field">
          <label htmlFor="body">Request</label>
          <textarea
            id="body"
            className="input"
            rows={14}
            spellCheck={false}
            value={text}
            aria-invalid={wrong !== ""}
            aria-describedby="body-note"
            onChange={(event) => setText(event.target.value)}
          />
          <span id="body-note" className={wrong ? "wrong" : "note"}>
            {wrong || `JSON for POST ${path}`}
          </span>
        </div>
        <div>
          <button type="submit" className="button primary" disabled={busy}>
            {busy ? "Waiting for the answer…" : "Send"}
          </button>
        </div>
      </form>
      <div aria-live="polite" className="stack below">
        {failed !== undefined && <ErrorBox error={failed} />}
        {answer && (
          <>
            <KeyValue
              items={[
                [
                  "Prediction id",
                  <code key="id">{answer.headers.get("mainspring-prediction-id") ?? "–"}</code>,
                ],
                ["Version", answer.headers.get("mainspring-model-version") ?? "–"],
                ["Round trip", millis(answer.seconds * 1000)],
              ]}
            />
            <Code text={JSON.stringify(answer.data, null, 1)} label="Answer" />
            <div>
              <h3>The same with curl</h3>
              <Code text={curlHere({ method: "POST", path, body: answer.body })} wrap label="curl" />
            </div>
          </>
        )}
      </div>
    </Card>
  );
}
