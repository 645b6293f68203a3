import { useMutation, useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { type Alert, type AlertChannel, ms, native } from "../../api/native";
import { AlertLeads } from "../../components/alert-leads";
import { Card, Chip, Empty, PageHead, Status, Time } from "../../components/basics";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { Table } from "../../components/table";
import { phaseOf } from "../../lib/alerts";
import { plural } from "../../lib/format";
import { useTitle } from "../../lib/hooks";
import { useParam } from "../../lib/url";
import { BUDGET_NOTE, FIRST_SLO, Objectives } from "./objectives";

const EVERY = 5000;

const FIRST_CHANNEL = `apiVersion: mainspring/v1
kind: AlertChannel
name: oncall
slack:
  url: {env: MAINSPRING_SECRET_SLACK}`;

function Alerts({ alerts }: { alerts: Alert[] | undefined }) {
  const [wanted] = useParam("alert");
  const found = alerts?.some((a) => a.fingerprint === wanted);
  useEffect(() => {
    if (found) document.querySelector("[data-chosen]")?.scrollIntoView({ block: "nearest" });
  }, [found]);
  return (
    <Table
      caption="Alerts"
      rows={alerts}
      rowKey={(a) => a.fingerprint}
      current={wanted || undefined}
      empty={
        <Empty title="Nothing was wrong yet">What is wrong, and what a rollout decides, stands here.</Empty>
      }
      columns={[
        { key: "name", label: "Alert", head: true, render: (a) => a.name },
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
              <p className="break">{a.summary}</p>
              <AlertLeads alert={a} />
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
          note={BUDGET_NOTE}
          tools={<ShowCall call={{ method: "GET", path: "/api/v1/slos" }} cli={["alert", "slo"]} />}
        >
          <Loaded query={slos}>
            {(data) => (
              <Objectives
                slos={data?.slos}
                empty={
                  <Empty title="No deployment promises anything" command={FIRST_SLO}>
                    Write what it promises into its declaration; its budget is counted from then on.
                  </Empty>
                }
              />
            )}
          </Loaded>
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
