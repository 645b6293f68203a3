import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useEffect, useMemo, useState } from "react";
import { native, type QueryAnswer } from "../../api/native";
import { Card, CopyButton, Figures, PageHead } from "../../components/basics";
import { Chart } from "../../components/chart/chart";
import { ErrorBox } from "../../components/errors";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { Table } from "../../components/table";
import { bytes, count, duration, measure, plural } from "../../lib/format";
import { useTitle } from "../../lib/hooks";
import { useParam } from "../../lib/url";
import { pictureOf } from "./picture";

const EXAMPLES: [string, string][] = [
  [
    "Requests and latency per version",
    `select deployment, version, count(distinct event_id) as requests,
       approx_percentile_cont(total_us, 0.5) as p50_us,
       approx_percentile_cont(total_us, 0.99) as p99_us
from predictions
group by deployment, version
order by requests desc`,
  ],
  [
    "The last requests",
    "select at, deployment, version, protocol, outcome, rows, total_us, event_id\nfrom predictions\norder by at desc\nlimit 50",
  ],
  [
    "Traffic by minute",
    `select date_trunc('minute', at) as minute, deployment, count(distinct event_id) as requests
from predictions
group by 1, 2
order by 1 desc
limit 120`,
  ],
  [
    "Failures by kind",
    "select deployment, error_kind, count(*) as failures, max(at) as last\nfrom predictions\nwhere outcome <> 'ok'\ngroup by 1, 2\norder by 3 desc",
  ],
  [
    "Predictions with their feedback",
    `select p.event_id, p.at, p.deployment, f.name, f.value
from predictions p
join feedback f on f.prediction_id = p.event_id and f.row = p.row
order by p.at desc
limit 50`,
  ],
];

const LIMIT = 1000;

function Cell({ value }: { value: unknown }) {
  if (value === null || value === undefined) return <span className="quiet">null</span>;
  if (typeof value === "number") return <>{Number.isInteger(value) ? String(value) : measure(value, 7)}</>;
  if (typeof value === "object") return <code className="break">{JSON.stringify(value)}</code>;
  return <span className="break">{String(value)}</span>;
}

function csv(answer: QueryAnswer): string {
  const cell = (value: unknown) => {
    const text =
      value === null || value === undefined
        ? ""
        : typeof value === "object"
          ? JSON.stringify(value)
          : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [
    answer.columns.map((c) => cell(c.name)).join(","),
    ...answer.rows.map((row) => row.map(cell).join(",")),
  ].join("\n");
}

function Answer({ answer, sql }: { answer: QueryAnswer; sql: string }) {
  const picture = useMemo(() => pictureOf(answer), [answer]);
  return (
    <Card
      flush
      title={`${answer.truncated ? "The first " : ""}${plural(answer.rows.length, "row")}`}
      note={`${plural(answer.columns.length, "column")}, ${duration(answer.tookMs / 1000)}${answer.truncated ? `; the limit of ${count(LIMIT)} rows cut the rest off` : ""}.`}
      tools={
        <>
          <CopyButton text={csv(answer)} label="Copy CSV" />
          <ShowCall
            call={{ method: "POST", path: "/api/v1/query", body: { sql, limit: LIMIT } }}
            cli={["query", sql]}
          />
        </>
      }
    >
      {picture && (
        <div className="pad">
          <Chart label="Answer over time" {...picture} xKind="time" />
        </div>
      )}
      <Table
        caption="Answer"
        rows={answer.rows.map((row, i) => ({ row, i }))}
        rowKey={({ i }) => String(i)}
        empty={<p className="quiet pad">No row.</p>}
        columns={answer.columns.map((column, at) => ({
          key: `${at}/${column.name}`,
          label: <span title={column.type}>{column.name}</span>,
          numeric: /^(u?int|float|decimal)/i.test(column.type),
          render: ({ row }: { row: unknown[]; i: number }) => <Cell value={row[at]} />,
        }))}
      />
    </Card>
  );
}

export default function Journal() {
  useTitle("Journal");
  const [sql, setSql] = useParam("sql");
  const [run, setRun] = useParam("run");
  const [draft, setDraft] = useState(sql || (EXAMPLES[0]?.[1] ?? ""));
  useEffect(() => {
    if (sql) setDraft(sql);
  }, [sql]);
  const state = useQuery({
    queryKey: ["journal"],
    queryFn: ({ signal }) => native.journal(signal),
    refetchInterval: 5000,
  });
  const answer = useQuery({
    queryKey: ["query", sql, run],
    queryFn: ({ signal }) => native.query(sql, LIMIT, signal),
    enabled: sql !== "" && run !== "",
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
  const ask = (text: string) => {
    setSql(text);
    setRun(String(Number(run || "0") + 1));
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    ask(draft);
  };
  const j = state.data;
  return (
    <>
      <PageHead
        title="Journal"
        lead={
          state.error && !j
            ? "The journal’s state could not be read."
            : j && (
                <>
                  <b>{plural(j.appended, "prediction")}</b> and <b>{plural(j.feedback, "piece")}</b> of
                  feedback taken in since the server started,{" "}
                  {j.dropped + j.payloadsDropped === 0 ? (
                    "none dropped"
                  ) : (
                    <b>
                      {count(j.dropped)} counted but not stored and {count(j.payloadsDropped)} stored without
                      payload
                    </b>
                  )}
                  ; {bytes(j.bytes)} written.
                </>
              )
        }
        actions={
          <ShowCall
            call={{ method: "GET", path: "/api/v1/journal" }}
            cli={["query", "select count(*) from predictions"]}
          />
        }
      />
      <div className="stack loose">
        <Loaded query={state}>
          {() => (
            <>
              {j?.degraded && (
                <div className="notice bad" role="alert">
                  <h2>The journal takes no writes now</h2>
                  <p>
                    {j.lastError ?? "The log cannot be written."} Predictions are answered and counted, but
                    not stored. Free some disk space.
                  </p>
                </div>
              )}
              {(j?.recovered || !!j?.lost) && (
                <div className="notice warn">
                  <h2>The last stop was not clean</h2>
                  {j.recovered && <p>{j.recovered}</p>}
                  {!!j.lost && (
                    <p>{plural(j.lost, "prediction")} had been answered and were not written yet.</p>
                  )}
                </div>
              )}
              <Figures
                items={[
                  {
                    label: "Predictions",
                    value: j ? count(j.appended) : "…",
                    note: "since the server started",
                  },
                  { label: "Feedback", value: j ? count(j.feedback) : "…", note: "pieces taken" },
                  {
                    label: "Sealed",
                    value: j ? count(j.segments) : "…",
                    note: "segments turned into Parquet",
                  },
                  { label: "Written", value: j ? bytes(j.bytes) : "…", note: "to the log" },
                  {
                    label: "Dropped",
                    value: j ? count(j.dropped) : "…",
                    note: j && `and ${plural(j.payloadsDropped, "payload")}`,
                  },
                ]}
              />
            </>
          )}
        </Loaded>
        <Card
          title="Ask in SQL"
          note="predictions has a line for each row of a request, its inputs as “in.…” and its outputs as “out.…”; feedback, labeled, predictions_with_feedback and gaps are the other tables."
          tools={
            <select
              className="input auto"
              aria-label="Examples"
              value=""
              onChange={(event) => {
                const text = EXAMPLES[Number(event.target.value)]?.[1];
                if (text === undefined) return;
                setDraft(text);
                ask(text);
              }}
            >
              <option value="" disabled>
                Examples…
              </option>
              {EXAMPLES.map(([title], i) => (
                <option key={title} value={i}>
                  {title}
                </option>
              ))}
            </select>
          }
        >
          <form onSubmit={submit} className="stack tight">
            <textarea
              className="input"
              aria-label="SQL"
              rows={Math.min(16, Math.max(5, draft.split("\n").length + 1))}
              spellCheck={false}
              value={draft}
              onChange={(event) => setDraft(event.target.value)}
              onKeyDown={(event) => {
                if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
                  event.preventDefault();
                  ask(draft);
                }
              }}
            />
            <div className="row">
              <button
                type="submit"
                className="button primary"
                disabled={draft.trim() === "" || answer.isFetching}
              >
                {answer.isFetching ? "Running…" : "Run"}
              </button>
              <span className="quiet small">
                or <kbd>Ctrl</kbd> <kbd>Enter</kbd>
              </span>
            </div>
          </form>
        </Card>
        <div aria-busy={answer.isFetching}>
          {answer.error && <ErrorBox error={answer.error} />}
          {answer.data && <Answer answer={answer.data} sql={sql} />}
        </div>
      </div>
    </>
  );
}
