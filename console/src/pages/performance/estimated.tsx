import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { ApiError, advice } from "../../api/errors";
import { type EstimateAsked, type EstimateReport, ms, native } from "../../api/native";
import { Card, Status, Time } from "../../components/basics";
import { Choice } from "../../components/choice";
import { ShowCall } from "../../components/show-call";
import { type Column, Table } from "../../components/table";
import { count, measure, percent, plural } from "../../lib/format";
import { prospectWords } from "../../lib/monitor";
import { type Choices, estimateAsked, estimateWords } from "../../lib/performance";
import { api, to } from "../../lib/url";

type Part = EstimateReport["parts"][number];

const REFERENCES = [
  ["rows", "Labelled rows before"],
  ["version", "The version’s file"],
] as const;

/** What was learnt from what, in a sentence. */
function Said({ report: r }: { report: EstimateReport }) {
  const how = r.method === "cbpe" ? "the probabilities (CBPE)" : "where errors were large (DLE)";
  const learnt = typeof r.explained === "number" ? `, ${percent(r.explained)} of their variance` : "";
  return (
    <p className="pad">
      By {how}
      {learnt}, learnt from {plural(r.referenceRows, "row")}: {r.reference}. {plural(r.rows, "row")}
      {r.partial && ", the newest,"} were looked at; {count(r.whole.labeled)} have their label already
      {r.unkept > 0 && `; of ${count(r.unkept)} the payload was not kept`}.
    </p>
  );
}

function Whole({ whole }: { whole: Part }) {
  return (
    <Table
      caption="Estimated beside realised"
      rows={whole.metrics}
      rowKey={(m) => m.name}
      columns={[
        { key: "name", label: "Measure", head: true, render: (m) => m.name },
        { key: "estimated", label: "Estimated", numeric: true, render: (m) => measure(m.value, 4) },
        {
          key: "between",
          label: "Between",
          numeric: true,
          render: (m) => `${measure(m.low, 4)} to ${measure(m.high, 4)}`,
        },
        { key: "realised", label: "By labels", numeric: true, render: (m) => measure(m.realized, 4) },
      ]}
    />
  );
}

/** Part after part; each measure with what labels say under it. */
function Parts({ parts }: { parts: Part[] }) {
  const names = parts[0]?.metrics.map((m) => m.name) ?? [];
  const columns: Column<Part>[] = names.map((name) => ({
    key: name,
    label: name,
    numeric: true,
    render: (part: Part) => {
      const m = part.metrics.find((metric) => metric.name === name);
      if (!m) return <span className="quiet">–</span>;
      return (
        <>
          <div>{measure(m.value, 4)}</div>
          {typeof m.realized === "number" && (
            <div className="quiet small">labels: {measure(m.realized, 4)}</div>
          )}
          {m.alert && <Status state="warn">beyond the reference</Status>}
        </>
      );
    },
  }));
  return (
    <Table
      caption="Estimated part after part"
      rows={parts}
      rowKey={(part) => part.since ?? String(part.rows)}
      columns={[
        { key: "since", label: "Since", head: true, render: (part) => <Time at={ms(part.since)} /> },
        { key: "rows", label: "Predictions", numeric: true, render: (part) => count(part.rows) },
        { key: "labeled", label: "Labelled", numeric: true, render: (part) => count(part.labeled) },
        ...columns,
      ]}
    />
  );
}

/** Who watches such an estimate of the deployment, and what it says. */
function Watched({ deployment }: { deployment: string }) {
  const query = useQuery({ queryKey: ["monitors"], queryFn: ({ signal }) => native.monitors(signal) });
  const found = query.data?.monitors.filter((m) => m.deployment === deployment) ?? [];
  return found.map((m) => {
    if (!m.estimated) return null;
    const [mark, words] = prospectWords(m.estimated);
    return (
      <p className="row pad" key={m.name}>
        <Status state={mark}>{words}</Status>
        <span>
          Monitor <Link href={to("monitors", m.name)}>{m.name}</Link> has {m.estimated.metric} estimated and
          tells when it is surely {m.estimated.limit}.
        </span>
      </p>
    );
  });
}

/** How good predictions probably were, before labels come, beside what labels say where they have. */
export function EstimatedCard(props: { deployment: string; model: string | undefined; choices: Choices }) {
  const { deployment, model, choices } = props;
  const [reference, setReference] = useState<string>("rows");
  // It reads many rows: only who asks for it has it made.
  const [wanted, setWanted] = useState(false);
  const body: EstimateAsked = estimateAsked(choices, reference === "version" ? model : undefined);
  const query = useQuery({
    queryKey: ["estimate", deployment, body],
    queryFn: ({ signal }) => native.estimate(deployment, body, signal),
    enabled: wanted,
    staleTime: 60_000,
    retry: false,
  });
  const { data, error } = query;
  return (
    <Card
      flush
      title="Before labels come"
      note="How good the predictions of this time probably are, by what was true of earlier ones, and what the labels say that have come."
      tools={
        <>
          {model && (
            <Choice label="Learnt from" options={REFERENCES} value={reference} onChange={setReference} />
          )}
          <ShowCall
            call={{ method: "POST", path: api("deployments", deployment, "estimate"), body }}
            cli={estimateWords(deployment, choices, reference === "version" ? model : undefined)}
          />
        </>
      }
    >
      <Watched deployment={deployment} />
      {!wanted && (
        <p className="pad">
          <button type="button" className="button" onClick={() => setWanted(true)}>
            Estimate
          </button>
        </p>
      )}
      {wanted && query.isPending && <p className="quiet pad">Rows are being read …</p>}
      {error && (
        <p className="quiet pad">
          The server says: {error instanceof ApiError ? `${error.message}; ${advice(error)}` : String(error)}
        </p>
      )}
      {data && (
        <>
          <Said report={data} />
          <Whole whole={data.whole} />
          <Parts parts={data.parts} />
        </>
      )}
    </Card>
  );
}
