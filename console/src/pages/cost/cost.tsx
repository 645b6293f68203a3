import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link } from "wouter";
import { type CostLine, type CostReport, ms, native } from "../../api/native";
import { Card, Empty, Figures, PageHead } from "../../components/basics";
import { Chart } from "../../components/chart/chart";
import { align } from "../../components/chart/data";
import { Choice } from "../../components/choice";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { Table } from "../../components/table";
import { about, amount, large, stepwise } from "../../lib/cost";
import { bytes, count, duration, percent, plural } from "../../lib/format";
import { useTitle } from "../../lib/hooks";
import { to, useParam } from "../../lib/url";
import { Budgets } from "./budgets";
import { Hints } from "./hints";
import { Roi } from "./roi";

const EVERY = 60_000;
const DAY = 86_400;

const SPANS = [
  ["1", "Day"],
  ["7", "Week"],
  ["30", "30 days"],
  ["90", "90 days"],
] as const;

const BY = [
  ["deployment", "Deployment"],
  ["version", "Version"],
  ["variant", "Variant"],
  ["key", "Key"],
  ["outcome", "Outcome"],
] as const;

const FIRST_PRICES = `apiVersion: mainspring/v1
kind: PriceTable
name: default
currency: EUR
entries:
  - from: 2026-01-01
    host: {hour: "0.0960", cpus: 2}
    storageGbMonth: "0.0245"
    source: our contract`;

function Lead({ report }: { report: CostReport }) {
  const { total, host, currency } = report;
  return (
    <>
      <b>{plural(total.answers, "answer")}</b> took {duration(total.computeSeconds)} of compute
      {total.cost && currency && `, ${amount(total.cost.total)} ${currency}`}
      {host && currency
        ? `; of ${amount(host.paid)} ${currency} paid for machines, ${amount(host.unallocated)} went to none of them.`
        : "."}
      {total.saved &&
        ` ${plural(total.saved.answers, "answer")} had been kept, which saved ${saved(total.saved, currency)}.`}
    </>
  );
}

/** What kept answers did not take. */
function saved(of: NonNullable<CostLine["saved"]>, currency: string | null | undefined): string {
  const tokens = of.tokensIn + of.tokensOut;
  const parts = [duration(of.computeSeconds), ...(tokens > 0 ? [plural(tokens, "token")] : [])];
  const cost = of.cost && currency ? `, ${amount(of.cost)} ${currency}` : "";
  return `${parts.join(" and ")}${cost}`;
}

function Name({ by, line }: { by: string; line: CostLine }) {
  // All of them together are of no value.
  const value = line.by[by];
  if (value === undefined) return "all";
  if (value === "") return "none";
  if (by === "deployment" && value !== "batch") return <Link href={to("deployments", value)}>{value}</Link>;
  return <span className="break">{value}</span>;
}

function Lines({ report, by }: { report: CostReport | undefined; by: string }) {
  const all = report?.total.computeNanos || 1;
  const rows = report && report.lines.length > 1 ? [...report.lines, report.total] : report?.lines;
  const currency = report?.currency;
  const { tokensIn = 0, tokensOut = 0 } = report?.total ?? {};
  return (
    <Table
      caption="Costs"
      rows={rows}
      rowKey={(l) => (l.by[by] === undefined ? "" : `=${l.by[by]}`)}
      empty={
        <Empty title="Nothing was answered in this time">Choose a longer one, or call a deployment.</Empty>
      }
      columns={[
        {
          key: "by",
          label: BY.find(([key]) => key === by)?.[1] ?? by,
          head: true,
          render: (l) => <Name by={by} line={l} />,
        },
        ...(currency
          ? [{ key: "cost", label: currency, numeric: true, render: (l: CostLine) => amount(l.cost?.total) }]
          : []),
        { key: "answers", label: "Answers", numeric: true, render: (l) => count(l.answers) },
        { key: "rows", label: "Rows", numeric: true, render: (l) => count(l.rows) },
        { key: "compute", label: "Compute", numeric: true, render: (l) => duration(l.computeSeconds) },
        { key: "share", label: "Share", numeric: true, render: (l) => percent(l.computeNanos / all) },
        ...(tokensIn + tokensOut > 0
          ? [
              { key: "read", label: "Tokens read", numeric: true, render: (l: CostLine) => count(l.tokensIn) },
              { key: "written", label: "written", numeric: true, render: (l: CostLine) => count(l.tokensOut) },
            ]
          : []),
        { key: "queue", label: "Waited", numeric: true, render: (l) => duration(l.queueSeconds) },
      ]}
    />
  );
}

function Machines({ report }: { report: CostReport }) {
  const { host } = report;
  const currency = report.currency ?? "";
  if (!host) {
    return report.currency ? (
      <p className="quiet">The price table has no machines, so it is not known what stands idle.</p>
    ) : (
      <Empty title="Say what you pay" command={FIRST_PRICES}>
        No price comes with the server. With a table there is money beside the seconds, and what of the
        machines no answer took.
      </Empty>
    );
  }
  const figure = (label: string, exact: string, note: string) => {
    const { value, unit } = large(exact, currency);
    return { label: `${label}, ${unit}`, value, note };
  };
  const idle = percent(1 - host.usedSeconds / (host.cpuSeconds || 1));
  return (
    <Figures
      items={[
        figure("Paid", host.paid, `${duration(host.cpuSeconds)} of CPU time`),
        figure("For answers", host.used, `${duration(host.usedSeconds)} of compute`),
        figure("For none", host.unallocated, `${idle} of CPU time`),
      ]}
    />
  );
}

function Storage({ report }: { report: CostReport | undefined }) {
  return (
    <Table
      caption="What is kept"
      rows={report?.storage}
      rowKey={(k) => `${k.what}/${k.of}`}
      empty={<p className="quiet pad">Nothing is kept yet.</p>}
      columns={[
        { key: "of", label: "Of", head: true, render: (k) => k.of || "no deployment" },
        {
          key: "what",
          label: "What",
          render: (k) => (k.what === "model" ? "files of a version" : "journal"),
        },
        { key: "bytes", label: "Bytes", numeric: true, render: (k) => bytes(k.bytes) },
        { key: "cost", label: report?.currency ?? "Cost", numeric: true, render: (k) => amount(k.cost) },
      ]}
    />
  );
}

function Days({ days }: { days: string }) {
  const seconds = Number(days) * DAY;
  const step = days === "1" ? "hour" : "day";
  const by = `${step},deployment`;
  const query = useQuery({
    queryKey: ["cost", by, days],
    queryFn: ({ signal }) => native.cost(by, seconds, undefined, signal),
    refetchInterval: EVERY,
  });
  const picture = useMemo(
    () => query.data && align(stepwise(query.data, step, "deployment")),
    [query.data, step],
  );
  const currency = query.data?.currency;
  return (
    <Card
      title={step === "hour" ? "Hours" : "Days"}
      note={`${currency ? `${currency}, for compute and requests` : "Compute"}; each ${step} is one of UTC.`}
      tools={
        <ShowCall
          call={{ method: "GET", path: `/api/v1/cost?by=${by}&lastSeconds=${seconds}` }}
          cli={["cost", "--by", by, "--since", `${days}d`]}
        />
      }
    >
      <Loaded query={query}>
        {(report) =>
          report && picture && report.lines.length > 0 ? (
            <Chart
              label={`Cost by ${step}`}
              {...picture}
              xKind="time"
              zero
              stepped
              unit={(v) => (currency ? about(v) : duration(v))}
            />
          ) : (
            <p className="quiet">Nothing was answered in this time.</p>
          )
        }
      </Loaded>
    </Card>
  );
}

/** What answers cost, what they brought, and what stands idle. */
export default function CostPage() {
  useTitle("Cost");
  const [by, setBy] = useParam("by", "deployment");
  const [days, setDays] = useParam("days", "7");
  const seconds = Number(days) * DAY;
  const query = useQuery({
    queryKey: ["cost", by, days],
    queryFn: ({ signal }) => native.cost(by, seconds, undefined, signal),
    refetchInterval: EVERY,
  });
  const report = query.data;
  const from = report && ms(report.from);
  return (
    <>
      <PageHead
        title="Cost"
        lead={
          report ? <Lead report={report} /> : query.error ? "The costs could not be reckoned." : undefined
        }
        actions={
          <>
            <Choice label="Time" options={SPANS} value={days} onChange={setDays} />
            <ShowCall
              call={{ method: "GET", path: `/api/v1/cost?by=${by}&lastSeconds=${seconds}` }}
              cli={["cost", "--by", by, "--since", `${days}d`]}
            />
          </>
        }
      />
      <div className="stack">
        <Card
          flush
          title="Answers"
          note={report?.notes.join(" ") || "What answers took of the engine: each its share of its call."}
          tools={<Choice label="By" options={BY} value={by} onChange={setBy} />}
        >
          <Loaded query={query}>{(data) => <Lines report={data} by={by} />}</Loaded>
        </Card>
        <Days days={days} />
        {report && (
          <Card title="Machines" note={from ? `Since ${new Date(from).toLocaleString()}.` : undefined}>
            <Machines report={report} />
          </Card>
        )}
        <Budgets />
        <Roi days={days} />
        <Hints days={days} />
        <Card flush title="Kept" note="Bytes now, and what keeping them for so long costs.">
          <Storage report={report} />
        </Card>
      </div>
    </>
  );
}
