import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { type DeploymentSummary, type Model, ms, native } from "../../api/native";
import { Card, Chip, Empty, Live, Time } from "../../components/basics";
import { rate, recentRate, TrafficChart } from "../../components/chart/traffic";
import { ListPage } from "../../components/list-page";
import { ShowCall } from "../../components/show-call";
import { count, plural } from "../../lib/format";
import { useLive } from "../../lib/live";
import { useFilled } from "../../lib/past";
import { to } from "../../lib/url";
import { DeploymentState, failures, firstDeployment, millis, rowsBehind } from "./parts";

/** How a model that is registered is deployed: by its first alias, else by its newest version. */
function deployModel({ name, aliases, latestVersion }: Model): string {
  const [alias] = Object.keys(aliases);
  return firstDeployment(alias ? `models:/${name}@${alias}` : `models:/${name}/${latestVersion ?? 1}`, name);
}

function Lead({ all }: { all: DeploymentSummary[] }) {
  const ready = all.filter((d) => d.state === "READY").length;
  const ill = all.find((d) => d.state === "FAILED" || d.reason);
  const answered = all.reduce((n, d) => n + d.traffic.answered, 0);
  const failed = all.reduce((n, d) => n + d.traffic.failed, 0);
  return (
    <>
      <b>
        {ready < all.length && `${count(ready)} of `}
        {plural(all.length, "deployment")}
      </b>{" "}
      {all.length === 1 ? "answers" : "answer"}: <b>{plural(answered, "request")}</b> since the server started
      {answered + failed > 0 && `, ${failures(answered, failed)}`}
      {ill && (
        <>
          ; look at <Link href={to("deployments", ill.name)}>{ill.name}</Link>
          {ill.reason && ` (${ill.reason})`}
        </>
      )}
      .
    </>
  );
}

export default function Deployments() {
  const query = useQuery({
    queryKey: ["deployments"],
    queryFn: ({ signal }) => native.deployments(signal),
    refetchInterval: 3000,
  });
  const live = useLive("/api/v1/live");
  const rows = query.data?.deployments;
  // The command of the empty page names a model that is there.
  const models = useQuery({
    queryKey: ["models"],
    queryFn: ({ signal }) => native.models(signal),
    enabled: rows?.length === 0,
  });
  const model = models.data?.models.find((m) => Object.keys(m.aliases).length > 0) ?? models.data?.models[0];
  const ticks = useFilled(live);
  return (
    <ListPage
      title="Deployments"
      noun="deployment"
      query={query}
      rows={rows}
      order="name:asc"
      lead={(all) => <Lead all={all} />}
      none="Nothing is deployed yet."
      first={
        <Empty title="Deploy a registered model" command={model ? deployModel(model) : firstDeployment()}>
          A few lines of YAML name the model by alias, version or run. The server loads it, warms it up and
          answers over REST, gRPC and MLflow scoring.
        </Empty>
      }
      actions={<ShowCall call={{ method: "GET", path: "/api/v1/deployments" }} cli={["get", "deployment"]} />}
      picture={
        <Card
          title="Traffic"
          tools={
            <>
              <Live updatedAt={live.updatedAt} everyMs={1000} />
              <ShowCall call={{ method: "GET", path: "/api/v1/live" }} />
            </>
          }
        >
          <TrafficChart ticks={ticks} by="deployment" sync="deployments" />
        </Card>
      }
      columns={[
        {
          key: "name",
          label: "Name",
          head: true,
          sortBy: (d) => d.name,
          render: (d) => (
            <span className="row">
              <Link href={to("deployments", d.name)}>{d.name}</Link> {d.default && <Chip>default</Chip>}
            </span>
          ),
        },
        {
          key: "state",
          label: "State",
          sortBy: (d) => d.state,
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
          sortBy: (d) => recentRate(live.ticks, 10, d.name) ?? 0,
          render: (d) => rate(recentRate(live.ticks, 10, d.name)),
        },
        {
          key: "answered",
          label: "Answered",
          numeric: true,
          sortBy: (d) => d.traffic.answered,
          render: (d) => <Link href={rowsBehind(d.name)}>{count(d.traffic.answered)}</Link>,
        },
        {
          key: "failed",
          label: "Failed",
          numeric: true,
          sortBy: (d) => d.traffic.failed,
          render: (d) => (
            <Link href={rowsBehind(d.name, " and outcome <> 'ok'")}>{count(d.traffic.failed)}</Link>
          ),
        },
        {
          key: "p50",
          label: "p50",
          numeric: true,
          sortBy: (d) => d.traffic.latency?.p50 ?? 0,
          render: (d) => millis(d.traffic.latency?.p50),
        },
        {
          key: "p99",
          label: "p99",
          numeric: true,
          sortBy: (d) => d.traffic.latency?.p99 ?? 0,
          render: (d) => millis(d.traffic.latency?.p99),
        },
        {
          key: "since",
          label: "Since",
          sortBy: (d) => ms(d.since) ?? 0,
          render: (d) => <Time at={ms(d.since)} />,
        },
      ]}
    />
  );
}
