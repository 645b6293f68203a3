import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { ms, native, type Overview as OverviewData } from "../api/native";
import { Card, Empty, Figures, Live, PageHead, Time } from "../components/basics";
import { rate, recentRate, TrafficChart } from "../components/chart/traffic";
import { Loaded } from "../components/loaded";
import { ShowCall } from "../components/show-call";
import { Table } from "../components/table";
import { bytes, count, duration, plural } from "../lib/format";
import { useNow, useTitle } from "../lib/hooks";
import { useLive } from "../lib/live";
import { useFilled } from "../lib/past";
import { to } from "../lib/url";
import { DeploymentState, failures, firstDeployment, millis, rowsBehind } from "./deployments/parts";
import { firstRun } from "./experiments/first";
import { RunLink, RunStatus, runSeconds, useExperimentName } from "./experiments/run-parts";

/** What stands, what it did, and the first thing that is not well. */
function Lead({ data }: { data: OverviewData }) {
  const { counts, deployments } = data;
  if (counts.runs === 0 && counts.deployments === 0)
    return <>Nothing is here yet: log a run, register its model, deploy it.</>;
  const ill = deployments.find((d) => d.state !== "READY" || d.reason);
  const answered = deployments.reduce((n, d) => n + d.traffic.answered, 0);
  const failed = deployments.reduce((n, d) => n + d.traffic.failed, 0);
  return (
    <>
      <b>{plural(counts.deployments, "deployment")}</b>
      {deployments.length > 0 && (ill ? "" : deployments.length === 1 ? ", ready" : ", all ready")}
      {ill && (
        <>
          ; look at <Link href={to("deployments", ill.name)}>{ill.name}</Link>, which is{" "}
          {ill.state.toLowerCase()}
          {ill.reason && ` (${ill.reason})`}
        </>
      )}
      {answered + failed > 0 && (
        <>
          ; <b>{plural(answered, "request")}</b> answered since the server started,{" "}
          {failures(answered, failed)}
        </>
      )}
      ; {plural(counts.runs, "run")}, {plural(counts.modelVersions, "model version")}.
    </>
  );
}

export default function Overview() {
  useTitle("Overview");
  const now = useNow(5000);
  const query = useQuery({
    queryKey: ["overview"],
    queryFn: ({ signal }) => native.overview(signal),
    refetchInterval: 5000,
  });
  const live = useLive("/api/v1/live");
  const ticks = useFilled(live);
  const experimentName = useExperimentName();
  const data = query.data;
  const deployments = data?.deployments;
  return (
    <>
      <PageHead
        title="Overview"
        lead={query.error && !data ? "The overview could not be loaded." : data && <Lead data={data} />}
        actions={<ShowCall call={{ method: "GET", path: "/api/v1/overview" }} cli={["get", "deployment"]} />}
      />
      <Loaded query={query}>
        {() => (
          <div className="stack loose">
            <Figures
              items={[
                {
                  label: "Deployments",
                  value: data ? <Link href="/deployments">{count(data.counts.deployments)}</Link> : "…",
                },
                { label: "Requests now", value: rate(recentRate(live.ticks)), note: "answered, last 10 s" },
                {
                  label: "Models",
                  value: data ? <Link href="/models">{count(data.counts.models)}</Link> : "…",
                  note: data && plural(data.counts.modelVersions, "version"),
                },
                {
                  label: "Runs",
                  value: data ? <Link href="/experiments">{count(data.counts.runs)}</Link> : "…",
                  note: data && `in ${plural(data.counts.experiments, "experiment")}`,
                },
                {
                  label: "Journal",
                  value: data?.journal ? (
                    <Link href="/journal">{count(data.journal.appended)}</Link>
                  ) : data ? (
                    "–"
                  ) : (
                    "…"
                  ),
                  note: data?.journal && `predictions recorded; ${bytes(data.journal.bytes)}`,
                },
              ]}
            />
            {data && data.counts.runs === 0 && data.counts.models === 0 && (
              <Empty title="Log a first run" command={firstRun()}>
                Use the MLflow client you already have. The run, its metrics and its model appear here at
                once.
              </Empty>
            )}
            {data?.counts.deployments !== 0 && (
              <Card
                title="Traffic"
                tools={
                  <>
                    <Live updatedAt={live.updatedAt} everyMs={1000} />
                    <ShowCall
                      call={{ method: "GET", path: "/api/v1/live" }}
                      cli={["query", "select deployment, outcome, count(*) from predictions group by 1, 2"]}
                    />
                  </>
                }
              >
                <TrafficChart ticks={ticks} by="deployment" sync="overview" />
              </Card>
            )}
            <Card flush title="Deployments">
              <Table
                caption="Deployments"
                rows={deployments}
                skeletonRows={3}
                rowKey={(d) => d.name}
                empty={
                  <div className="pad">
                    <Empty title="Nothing is deployed yet" command={firstDeployment()}>
                      A deployment answers requests with a registered model. Name the model by alias, and
                      moving the alias changes the version without one failed request.
                    </Empty>
                  </div>
                }
                columns={[
                  {
                    key: "name",
                    label: "Deployment",
                    head: true,
                    render: (d) => <Link href={to("deployments", d.name)}>{d.name}</Link>,
                  },
                  { key: "state", label: "State", render: (d) => <DeploymentState state={d.state} /> },
                  { key: "version", label: "Version", render: (d) => d.version ?? "–" },
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
                ]}
              />
            </Card>
            {data?.counts.runs !== 0 && (
              <Card flush title="Newest runs">
                <Table
                  caption="Newest runs"
                  rows={data?.recentRuns}
                  skeletonRows={3}
                  rowKey={(run) => run.id}
                  empty={<p className="quiet pad">No run yet.</p>}
                  columns={[
                    { key: "name", label: "Run", head: true, render: (run) => <RunLink run={run} /> },
                    { key: "state", label: "State", render: (run) => <RunStatus run={run} /> },
                    {
                      key: "experiment",
                      label: "Experiment",
                      render: (run) => (
                        <Link href={to("experiments", run.experimentId)}>
                          {experimentName(run.experimentId)}
                        </Link>
                      ),
                    },
                    { key: "started", label: "Started", render: (run) => <Time at={ms(run.startedAt)} /> },
                    {
                      key: "took",
                      label: "Took",
                      numeric: true,
                      render: (run) => duration(runSeconds(run, now)),
                    },
                  ]}
                />
              </Card>
            )}
          </div>
        )}
      </Loaded>
    </>
  );
}
