import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link, useParams } from "wouter";
import { ApiError } from "../../api/errors";
import { native, type PerformanceReport } from "../../api/native";
import { Figures, PageHead } from "../../components/basics";
import { Choice } from "../../components/choice";
import { ErrorBox } from "../../components/errors";
import { ShowCall } from "../../components/show-call";
import { count, duration, measure, percent, plural } from "../../lib/format";
import { useTitle } from "../../lib/hooks";
import {
  asked,
  behind,
  betweenWords,
  type Choices,
  daysOf,
  labeledShare,
  labelOf,
  labelsSql,
  metricNames,
  metricOf,
  SPANS,
  spanWords,
  stepOf,
  windows,
  words,
} from "../../lib/performance";
import { api, journalOf, to, useParam } from "../../lib/url";
import { current } from "../deployments/parts";
import { Asked } from "./asked";
import { Confusion, Fairness } from "./classes";
import { EstimatedCard } from "./estimated";
import { Groups } from "./groups";
import { Measures } from "./measures";
import { Nothing } from "./nothing";
import { useReport } from "./report";
import { Drawn, Windows } from "./windows";

function Lead({ report: r, days, name }: { report: PerformanceReport; days: string; name: string }) {
  const { overall } = r;
  const found = metricOf(overall, name);
  const between = betweenWords(found);
  const rows = (
    <Link href={journalOf(behind(r, { labeled: true }))}>
      <b>{count(overall.labeled)}</b> of {plural(overall.rows, "prediction")}
    </Link>
  );
  const have = overall.labeled === 1 ? "has" : "have";
  if (!found)
    return (
      <>
        {rows} of {spanWords(days)} {have} feedback called “{r.label}”, and none could be compared with it.
      </>
    );
  return (
    <>
      <b>
        {name} {measure(found.value, 4)}
      </b>
      {between && `, between ${between} in ${percent(r.confidence)} of cases`}, by the {rows} of{" "}
      {spanWords(days)} that {have} feedback called “{r.label}”.
    </>
  );
}

function Facts({ report: r }: { report: PerformanceReport }) {
  const { overall, delay } = r;
  return (
    <Figures
      items={[
        {
          label: "With a label",
          value: labeledShare(overall),
          note: `${count(overall.labeled)} of ${plural(overall.rows, "prediction")}`,
        },
        {
          label: "Half of the labels come within",
          value: duration(delay?.medianSeconds),
          note: delay ? `95 % within ${duration(delay.p95Seconds)}` : undefined,
        },
        {
          label: "May come yet",
          value: delay ? count(delay.mayCome) : "–",
          note: "predictions that are too young to have one",
        },
        {
          label: "Could not be compared",
          value: count(overall.unfit),
          note: "labelled, and of another kind or without a value",
        },
      ]}
    />
  );
}

function Notes({ notes }: { notes: string[] }) {
  return (
    <div className="notice warn">
      <h2>To be known</h2>
      {notes.map((note) => (
        <p key={note}>{note}</p>
      ))}
    </div>
  );
}

/** What the address chooses; the label is known once it is known which there are. */
function useChoices(deployment: string): { choices: Choices; labels: string[]; ready: boolean } {
  const [label] = useParam("label");
  const [prediction] = useParam("prediction");
  const [task] = useParam("task");
  const [text] = useParam("days", "7");
  const days = daysOf(text);
  const known = useQuery({
    queryKey: ["performance-labels", deployment, days],
    queryFn: async ({ signal }) => {
      const { rows } = await native.query(labelsSql(deployment, days), 50, signal);
      return rows.map(([name]) => String(name));
    },
    staleTime: 60_000,
  });
  return {
    choices: { label: labelOf(label, known.data), prediction, task, days },
    labels: known.data ?? [],
    // Without the names the one that the API takes by itself is asked for.
    ready: label !== "" || !known.isPending,
  };
}

/** How good the predictions of a deployment were, by the labels that came for them. */
export default function PerformancePage() {
  const { name = "" } = useParams<{ name: string }>();
  useTitle(`Performance of ${name}`);
  const [by] = useParam("by");
  const [wanted] = useParam("measure");
  const [, setDays] = useParam("days", "7");
  const { choices, labels, ready } = useChoices(name);
  const detail = useQuery({
    queryKey: ["deployment", name],
    queryFn: ({ signal }) => native.deployment(name, signal),
  });
  const step = stepOf(choices.days);
  const whole = useReport(name, asked(choices, [step]), ready);
  const apart = useReport(name, asked(choices, [by]), ready && by !== "");
  const report = whole.data;
  const all = useMemo(() => report && windows(report, step), [report, step]);
  const measures = report ? metricNames([report.overall]) : [];
  const chosen = measures.includes(wanted) ? wanted : (measures[0] ?? "");
  const missing = whole.error instanceof ApiError && whole.error.status === 404;
  const serving = detail.data && current(detail.data);
  const model = serving && `models:/${serving.model}/${serving.version}`;
  const signature = detail.data && current(detail.data)?.signature;
  const told = by === "" ? [] : [by];
  const path = api("deployments", name, "performance");
  const call = (columns: string[]) => (
    <ShowCall
      call={{ method: "POST", path, body: asked(choices, columns) }}
      cli={words(name, choices, columns)}
    />
  );
  return (
    <>
      <PageHead
        crumbs={[
          { label: "Deployments", href: "/deployments" },
          { label: name, href: to("deployments", name) },
        ]}
        title={`Performance of ${name}`}
        lead={
          report ? (
            <Lead report={report} days={choices.days} name={chosen} />
          ) : missing ? (
            `Nothing of ${spanWords(choices.days)} can be measured with “${choices.label}” yet.`
          ) : whole.error ? (
            "The performance could not be measured."
          ) : undefined
        }
        actions={
          <>
            <Choice label="Time" options={SPANS} value={choices.days} onChange={setDays} />
            {call(told)}
          </>
        }
      />
      <div className="stack">
        {detail.error && <ErrorBox error={detail.error} retry={() => void detail.refetch()} />}
        <Asked choices={choices} labels={labels} by={by} signature={signature} report={report} />
        {ready && <EstimatedCard key={choices.days} deployment={name} model={model} choices={choices} />}
        {missing ? (
          <Nothing deployment={name} label={choices.label} error={whole.error} />
        ) : whole.error && !report ? (
          <ErrorBox error={whole.error} retry={() => void whole.refetch()} />
        ) : (
          <>
            {whole.error && <ErrorBox error={whole.error} retry={() => void whole.refetch()} />}
            {report && <Facts report={report} />}
            {report && report.notes.length > 0 && <Notes notes={report.notes} />}
            <Drawn report={report} windows={all} step={step} chosen={chosen} tools={call([step])} />
            <Measures report={report} chosen={chosen} tools={call([])} />
            {by !== "" && <Groups query={apart} by={by} chosen={chosen} tools={call(told)} />}
            {apart.data?.fairness && apart.data.fairness.length > 0 && (
              <Fairness report={apart.data} by={by} />
            )}
            <Windows report={report} windows={all} step={step} chosen={chosen} />
            {report?.overall.confusion && <Confusion report={report} confusion={report.overall.confusion} />}
          </>
        )}
      </div>
    </>
  );
}
