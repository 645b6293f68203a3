import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { ms, native } from "../api/native";
import { Card, Chip, Empty, Live, PageHead, Time } from "../components/basics";
import { Loaded } from "../components/loaded";
import { ShowCall } from "../components/show-call";
import { Table } from "../components/table";
import { rate, recentRate, TrafficChart } from "../components/traffic";
import { count, plural } from "../lib/format";
import { useTitle } from "../lib/hooks";
import { useLive } from "../lib/live";
import { to } from "../lib/url";
import { DeploymentState, failures, firstDeployment, millis, rowsBehind } from "./deployment-parts";

export default function Deployments() {
  useTitle("Deployments");
  const query = useQuery({
    queryKey: ["deployments"],
    queryFn: ({ signal }) => native.deployments(signal),
    refetchInterval: 3000,
  });
  const live = useLive("/api/v1/live");
  const all = query.data?.deployments;
  const ready = all?.filter((d) => d.state === "READY").length ?? 0;
  const ill = all?.filter((d) => d.state === "FAILED" || d.reason) ?? [];
  const answered = all?.reduce((n, d) => n + d.traffic.answered, 0) ?? 0;
  const failed = all?.reduce((n, d) => n + d.traffic.failed, 0) ?? 0;
  return (
    <>
      <PageHead
        title="Deployments"
        lead={
          query.error && !all ? (
            "The deployments could not be listed."
          ) : all === undefined ? undefined : all.length === 0 ? (
            "Nothing is deployed yet."
          ) : (
            <>
              <b>
                {ready === all.length ? "All" : `${count(ready)} of`} {plural(all.length, "deployment")}
              </b>{" "}
              {all.length === 1 ? "answers" : "answer"}: <b>{count(answered)}</b> requests since the server
              started, {failures(answered, failed)}
              {ill[0] && (
                <>
                  ; look at <Link href={to("deployments", ill[0].name)}>{ill[0].name}</Link>
                  {ill[0].reason && ` (${ill[0].reason})`}
                </>
              )}
              .
            </>
          )
        }
        actions={
          <ShowCall call={{ method: "GET", path: "/api/v1/deployments" }} cli="mainspring get deployment" />
        }
      />
      <div className="stack">
        {all && all.length > 0 && (
          <Card
            title="Traffic"
            tools={
              <>
                <Live updatedAt={live.updatedAt} everyMs={1000} />
                <ShowCall call={{ method: "GET", path: "/api/v1/live" }} />
              </>
            }
          >
            <TrafficChart ticks={live.ticks} by="deployment" sync="deployments" />
          </Card>
        )}
        <Loaded query={query}>
          {() => (
            <Table
              caption="Deployments"
              rows={all}
              rowKey={(d) => d.name}
              empty={
                <Empty title="Deploy a registered model" command={firstDeployment()}>
                  A few lines of YAML name the model by alias, version or run. The server loads it, warms it
                  up and answers over REST, gRPC and MLflow scoring.
                </Empty>
              }
              columns={[
                {
                  key: "name",
                  label: "Name",
                  head: true,
                  render: (d) => (
                    <span className="row">
                      <Link href={to("deployments", d.name)}>{d.name}</Link>{" "}
                      {d.default && <Chip>default</Chip>}
                    </span>
                  ),
                },
                {
                  key: "state",
                  label: "State",
                  render: (d) => (
                    <>
                      <DeploymentState state={d.state} />
                      {d.reason && <div className="small break">{d.reason}</div>}
                    </>
                  ),
                },
                { key: "model", label: "Model", render: (d) => <code className="break">{d.model}</code> },
                { key: "version", label: "Version", numeric: true, render: (d) => d.version ?? "–" },
                {
                  key: "now",
                  label: "Now",
                  numeric: true,
                  render: (d) => rate(recentRate(live.ticks, 10, d.name)),
                },
                {
                  key: "answered",
                  label: "Answered",
                  numeric: true,
                  render: (d) => <Link href={rowsBehind(d.name)}>{count(d.traffic.answered)}</Link>,
                },
                {
                  key: "failed",
                  label: "Failed",
                  numeric: true,
                  render: (d) => (
                    <Link href={rowsBehind(d.name, " and outcome <> 'ok'")}>{count(d.traffic.failed)}</Link>
                  ),
                },
                { key: "p50", label: "p50", numeric: true, render: (d) => millis(d.traffic.latency?.p50) },
                { key: "p99", label: "p99", numeric: true, render: (d) => millis(d.traffic.latency?.p99) },
                { key: "since", label: "Since", render: (d) => <Time at={ms(d.since)} /> },
              ]}
            />
          )}
        </Loaded>
      </div>
    </>
  );
}
