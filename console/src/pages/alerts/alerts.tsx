import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { type Alert, type AlertChannel, ms, native, type Slo } from "../../api/native";
import { Card, Chip, Empty, PageHead, type State, Status, Time } from "../../components/basics";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { Table } from "../../components/table";
import { percent, plural } from "../../lib/format";
import { useTitle } from "../../lib/hooks";
import { to } from "../../lib/url";

const EVERY = 5000;

const FIRST_SLO = `slo:
  availability: 99.9%
  p99: 20ms`;

const FIRST_CHANNEL = `apiVersion: mainspring/v1
kind: AlertChannel
name: oncall
slack:
  url: {env: MAINSPRING_SECRET_SLACK}`;

/** An alert's state as a mark and words. */
export function phaseOf(alert: Pick<Alert, "phase" | "severity" | "silencedBy">): [State, string] {
  if (alert.phase === "firing") {
    if (alert.silencedBy) return ["none", "firing, silenced"];
    return [alert.severity === "page" ? "bad" : "warn", "firing"];
  }
  return [alert.phase === "resolved" ? "ok" : "none", alert.phase];
}

/** Objectives as a mark and words. */
export function stateOf(slo: Pick<Slo, "severity" | "budgetLeft">): [State, string] {
  if (slo.severity === "page") return ["bad", "burns fast"];
  if (slo.severity === "ticket") return ["warn", "burns"];
  return slo.budgetLeft <= 0 ? ["warn", "budget used up"] : ["ok", "ok"];
}

/** How fast a window of so many seconds burns. */
export function burn(slo: Pick<Slo, "windows">, seconds: number): string {
  const window = slo.windows.find((w) => w.seconds === seconds);
  return window && window.requests > 0 ? window.burnRate.toFixed(2) : "–";
}

function Page({ alert }: { alert: Alert }) {
  const path = alert.page?.replace(/^\/ui/, "");
  return path ? <Link href={path}>{alert.name}</Link> : alert.name;
}

function Alerts({ alerts }: { alerts: Alert[] | undefined }) {
  return (
    <Table
      caption="Alerts"
      rows={alerts}
      rowKey={(a) => a.fingerprint}
      empty={
        <Empty title="Nothing was wrong yet">What is wrong, and what a rollout decides, stands here.</Empty>
      }
      columns={[
        { key: "name", label: "Alert", head: true, render: (a) => <Page alert={a} /> },
        {
          key: "phase",
          label: "State",
          render: (a) => {
            const [state, words] = phaseOf(a);
            return <Status state={state}>{words}</Status>;
          },
        },
        { key: "severity", label: "Severity", render: (a) => a.severity },
        {
          key: "says",
          label: "What it says",
          render: (a) => (
            <>
              <span className="break">{a.summary}</span>{" "}
              {a.runbook && (
                <a href={a.runbook} rel="noreferrer">
                  runbook
                </a>
              )}
              {a.query && (
                <details>
                  <summary>Numbers and query</summary>
                  <pre className="break small">{a.query}</pre>
                  <pre className="break small">{JSON.stringify(a.numbers, null, 1)}</pre>
                </details>
              )}
            </>
          ),
        },
        {
          key: "labels",
          label: "About",
          render: (a) => (
            <span className="row">
              {Object.entries(a.labels).map(([key, value]) => (
                <Chip key={key}>
                  {key}={value}
                </Chip>
              ))}
            </span>
          ),
        },
        { key: "since", label: "Since", render: (a) => <Time at={ms(a.since)} /> },
      ]}
    />
  );
}

function Objectives({ slos }: { slos: Slo[] | undefined }) {
  return (
    <Table
      caption="Objectives"
      rows={slos}
      rowKey={(s) => `${s.deployment}/${s.objective}`}
      empty={
        <Empty title="No deployment promises anything" command={FIRST_SLO}>
          Write what it promises into its declaration; its budget is counted from then on.
        </Empty>
      }
      columns={[
        {
          key: "deployment",
          label: "Deployment",
          head: true,
          render: (s) => <Link href={to("deployments", s.deployment)}>{s.deployment}</Link>,
        },
        {
          key: "objective",
          label: "Objective",
          render: (s) => `${s.objective} ${percent(s.target, 4)}${s.withinMs ? ` in ${s.withinMs} ms` : ""}`,
        },
        {
          key: "state",
          label: "State",
          render: (s) => {
            const [state, words] = stateOf(s);
            return <Status state={state}>{words}</Status>;
          },
        },
        { key: "left", label: "Budget left", numeric: true, render: (s) => percent(s.budgetLeft) },
        { key: "hour", label: "Burn 1 h", numeric: true, render: (s) => burn(s, 3600) },
        { key: "six", label: "6 h", numeric: true, render: (s) => burn(s, 21_600) },
        { key: "days", label: "3 d", numeric: true, render: (s) => burn(s, 259_200) },
      ]}
    />
  );
}

function Test({ channel }: { channel: string }) {
  const test = useMutation({ mutationFn: () => native.testChannel(channel) });
  return (
    <span className="row">
      <button
        type="button"
        className="button"
        aria-label={`Test ${channel}`}
        disabled={test.isPending}
        onClick={() => test.mutate()}
      >
        {test.isPending ? "Sending…" : "Test"}
      </button>
      <span role="status" className="small">
        {test.isSuccess && <Status state="ok">taken</Status>}
        {test.isError && <Status state="bad">{test.error.message}</Status>}
      </span>
    </span>
  );
}

function Channels({ channels }: { channels: AlertChannel[] | undefined }) {
  return (
    <Table
      caption="Channels"
      rows={channels}
      rowKey={(c) => c.name}
      empty={
        <Empty title="Nobody is told" command={FIRST_CHANNEL}>
          A channel says who is told, of what: a webhook, Slack, PagerDuty, a mail, Amazon SNS.
        </Empty>
      }
      columns={[
        { key: "name", label: "Channel", head: true, render: (c) => c.name },
        { key: "way", label: "Way", render: (c) => c.way },
        {
          key: "on",
          label: "Told of",
          render: (c) => `${c.on.length > 0 ? c.on.join(", ") : "everything"}, from ${c.severity} on`,
        },
        {
          key: "last",
          label: "Last notice",
          render: (c) => {
            const last = c.deliveries[0];
            if (!last) return <span className="quiet">none yet</span>;
            const state = last.state === "sent" ? "ok" : last.state === "waiting" ? "warn" : "bad";
            return (
              <>
                <Status state={state}>{last.state}</Status> <Time at={ms(last.at)} />{" "}
                {last.error && <span className="break small">{last.error}</span>}
              </>
            );
          },
        },
        { key: "test", label: <span className="sr">Test</span>, render: (c) => <Test channel={c.name} /> },
      ]}
    />
  );
}

/** What is wrong, what is promised, and who is told. */
export default function AlertsPage() {
  useTitle("Alerts");
  const alerts = useQuery({
    queryKey: ["alerts"],
    queryFn: ({ signal }) => native.alerts(signal),
    refetchInterval: EVERY,
  });
  const slos = useQuery({
    queryKey: ["slos"],
    queryFn: ({ signal }) => native.slos(signal),
    refetchInterval: EVERY,
  });
  const channels = useQuery({
    queryKey: ["alert-channels"],
    queryFn: ({ signal }) => native.alertChannels(signal),
    refetchInterval: EVERY,
  });
  const firing = alerts.data?.alerts.filter((a) => a.phase === "firing");
  return (
    <>
      <PageHead
        title="Alerts"
        lead={
          firing === undefined ? (
            alerts.error ? (
              "The alerts could not be listed."
            ) : undefined
          ) : firing.length === 0 ? (
            "Nothing is wrong that somebody watches."
          ) : (
            <>
              <b>{plural(firing.length, "alert")}</b> {firing.length === 1 ? "is" : "are"} firing.
            </>
          )
        }
        actions={<ShowCall call={{ method: "GET", path: "/api/v1/alerts" }} cli={["alert", "list"]} />}
      />
      <div className="stack">
        <Loaded query={alerts}>{() => <Alerts alerts={alerts.data?.alerts} />}</Loaded>
        <Card
          title="Objectives"
          note="A budget lasts 30 days; a burn rate of 1 uses it up in exactly that time."
          tools={<ShowCall call={{ method: "GET", path: "/api/v1/slos" }} cli={["alert", "slo"]} />}
        >
          <Loaded query={slos}>{() => <Objectives slos={slos.data?.slos} />}</Loaded>
        </Card>
        <Card
          title="Channels"
          tools={
            <ShowCall call={{ method: "GET", path: "/api/v1/alerts/channels" }} cli={["alert", "channels"]} />
          }
        >
          <Loaded query={channels}>{() => <Channels channels={channels.data?.channels} />}</Loaded>
        </Card>
      </div>
    </>
  );
}
