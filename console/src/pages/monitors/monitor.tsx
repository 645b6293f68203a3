import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "wouter";
import { type MonitorDetail, type MonitorEvent, ms, native } from "../../api/native";
import { Card, Figures, PageHead, Skeleton, Time } from "../../components/basics";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { count, percent, plural } from "../../lib/format";
import { useTitle } from "../../lib/hooks";
import { columnName, driftedWords, sorted } from "../../lib/monitor";
import { performancePage } from "../../lib/performance";
import { api, journalOf, to, useParam } from "../../lib/url";
import { Alerts } from "./alerts";
import { ErrorBudget } from "./budget";
import { Columns } from "./columns";
import { Cost } from "./cost";
import { Detectors } from "./detectors";
import { Distribution } from "./distribution";
import { Errors } from "./errors";
import { Estimate } from "./estimate";
import { Drifted, State } from "./parts";
import { Quality } from "./quality";
import { Timeline } from "./timeline";
import { Why } from "./why";

const EVERY = 5000;

function Lead({ monitor: m }: { monitor: MonitorDetail }) {
  const where = (
    <>
      {m.variant} of <Link href={to("deployments", m.deployment)}>{m.deployment}</Link>
      {m.model && m.version && (
        <>
          ,{" "}
          <Link href={`${to("models", m.model)}?v=${m.version}`}>
            {m.model} version {m.version}
          </Link>
        </>
      )}
      {m.segment && <>, where {m.segment}</>}
    </>
  );
  const beside = m.comparedWith && <>, beside {m.comparedWith}</>;
  if (m.drifted.length === 0)
    return (
      <>
        It watches {where}
        {beside}.
      </>
    );
  return (
    <>
      <b>
        <Drifted names={m.drifted} />
      </b>{" "}
      {driftedWords(m)} in {where}
      {beside}
      {m.since && (
        <>
          , seen <Time at={ms(m.since)} />
        </>
      )}
      .
    </>
  );
}

function Facts({ monitor: m }: { monitor: MonitorDetail }) {
  return (
    <Figures
      items={[
        { label: "Rows", value: count(m.rows), note: `${count(m.sampled)} sampled` },
        { label: "Columns", value: count(m.watched), note: `${count(m.drifted.length)} drifted` },
        {
          label: "False alarm",
          value: percent(m.level),
          note: "for a version, over all columns and looks",
        },
        { label: "Called drift from", value: percent(m.minEffect), note: `of the rows of ${m.window}` },
        ...(m.label
          ? [
              {
                label: `Labels (${m.label.name})`,
                value: count(m.label.rows),
                note: `each ${m.label.wait} after its prediction`,
              },
            ]
          : []),
        {
          label: "Looked at until",
          value: <Time at={ms(m.seenUntil)} />,
          note: m.late > 0 ? `${plural(m.late, "row")} came too late` : "none came too late",
        },
      ]}
    />
  );
}

function Event({ event: e }: { event: MonitorEvent }) {
  const sql = typeof e.numbers.query === "string" ? e.numbers.query : undefined;
  return (
    <li>
      <p className="said">{e.sentence}</p>
      <div className="row small quiet">
        <Time at={ms(e.at)} exact />
        {sql && <Link href={journalOf(sql)}>the rows behind it</Link>}
      </div>
    </li>
  );
}

function Events({ name }: { name: string }) {
  const query = useQuery({
    queryKey: ["monitor-events", name],
    queryFn: ({ signal }) => native.monitorEvents(name, signal),
    refetchInterval: EVERY,
  });
  return (
    <Card
      title="What it told"
      note="Newest first."
      tools={
        <ShowCall
          call={{ method: "GET", path: api("monitors", name, "events") }}
          cli={["monitor", "events", name]}
        />
      }
    >
      <Loaded query={query}>
        {(data) =>
          data === undefined ? (
            <Skeleton width="100%" />
          ) : data.events.length === 0 ? (
            <p className="quiet">Nothing yet: nothing has drifted, and the same version answers.</p>
          ) : (
            <ol className="decisions">
              {data.events.map((e) => (
                <Event key={e.seq} event={e} />
              ))}
            </ol>
          )
        }
      </Loaded>
    </Card>
  );
}

function Watched({ monitor: m }: { monitor: MonitorDetail }) {
  const [wanted, setWanted] = useParam("column");
  const all = sorted(m.columns);
  const chosen = all.find((c) => columnName(c) === wanted) ?? all[0];
  return (
    <>
      {chosen && <Timeline monitor={m} column={chosen} />}
      {chosen && <Distribution monitor={m.name} column={chosen} />}
      <Card
        flush
        title="Columns"
        note={`The bar is the share of rows that would have to move for the column to look like its reference. The first mark is what chance brings with so many rows, the second ${percent(m.minEffect)} beyond it: from there on a sure change is drift.`}
      >
        <Columns
          columns={m.columns}
          least={m.minEffect}
          chosen={chosen}
          onChoose={(c) => setWanted(columnName(c))}
        />
      </Card>
    </>
  );
}

/** How good the predictions were that it watches: by its label, and by variant where it watches one of several. */
function performanceOf(m: MonitorDetail): string {
  return performancePage(m.deployment, {
    ...(m.label ? { label: m.label.name } : {}),
    ...(m.variant === "stable" ? {} : { by: "variant" }),
  });
}

/** What a deployment is asked and answers, beside what it should look like. */
export default function MonitorPage() {
  const { name = "" } = useParams<{ name: string }>();
  useTitle(name);
  const query = useQuery({
    queryKey: ["monitor", name],
    queryFn: ({ signal }) => native.monitor(name, signal),
    refetchInterval: EVERY,
  });
  const monitor = query.data;
  return (
    <>
      <PageHead
        crumbs={[{ label: "Monitors", href: "/monitors" }]}
        title={
          <>
            {name} {monitor && <State monitor={monitor} />}
          </>
        }
        lead={
          monitor ? <Lead monitor={monitor} /> : query.error ? "This monitor could not be loaded." : undefined
        }
        actions={
          <>
            {monitor && (
              <Link className="button small" href={performanceOf(monitor)}>
                Performance
              </Link>
            )}
            <ShowCall call={{ method: "GET", path: api("monitors", name) }} cli={["monitor", "show", name]} />
          </>
        }
      />
      <Loaded query={query}>
        {(data) =>
          data === undefined ? (
            <Skeleton width="100%" />
          ) : (
            <div className="stack">
              {data.problem && (
                <div className="notice bad" role="alert">
                  {data.problem}
                </div>
              )}
              <Facts monitor={data} />
              <Alerts monitor={data} />
              <ErrorBudget deployment={data.deployment} />
              {data.drifted.length > 0 && <Why name={name} />}
              <Errors monitor={data} />
              <Estimate monitor={data} />
              <Detectors monitor={data} />
              <Watched monitor={data} />
              <Quality deployment={data.deployment} />
              <Cost deployment={data.deployment} />
              <Events name={name} />
            </div>
          )
        }
      </Loaded>
    </>
  );
}
