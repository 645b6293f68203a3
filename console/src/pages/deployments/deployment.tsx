import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Link, useLocation, useParams } from "wouter";
import { type DeploymentDetail, native, type VersionDetail } from "../../api/native";
import { Chip, Empty, PageHead, Skeleton } from "../../components/basics";
import { rate, recentRate } from "../../components/chart/traffic";
import { Confirm } from "../../components/confirm";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { Tabs, useTab } from "../../components/tabs";
import { plural } from "../../lib/format";
import { useTitle } from "../../lib/hooks";
import { type LiveState, useLive } from "../../lib/live";
import { performancePage } from "../../lib/performance";
import { api, to } from "../../lib/url";
import { MonitorsOf } from "../monitors/parts";
import { RolloutOf } from "../rollouts/parts";
import { CallIt } from "./call-it";
import { Generations } from "./generations";
import { LiveTab } from "./live";
import { current, DeploymentState, failures, millis } from "./parts";
import { SignatureTab } from "./signature";
import { TryIt } from "./try-it";
import { TryRaw } from "./try-raw";

const TABS = [
  ["live", "Live"],
  ["try", "Try it"],
  ["call", "Call it"],
  ["signature", "Signature"],
  ["spec", "Spec and history"],
] as const;

function Lead({ detail, live }: { detail: DeploymentDetail; live: LiveState }) {
  const { summary } = detail;
  const { traffic } = summary;
  const now = recentRate(live.ticks);
  if (summary.state !== "READY")
    return (
      <>
        This deployment is <b>{summary.state.toLowerCase()}</b>
        {summary.reason && `: ${summary.reason}`}.
      </>
    );
  return (
    <>
      <b>{summary.model}</b> version <b>{summary.version ?? "–"}</b> answered{" "}
      <b>{plural(traffic.answered, "request")}</b> since the server started
      {traffic.answered + traffic.failed > 0 && `, ${failures(traffic.answered, traffic.failed)}`}
      {traffic.latency && (
        <>
          ; p50 <b>{millis(traffic.latency.p50)}</b>, p99 <b>{millis(traffic.latency.p99)}</b>
        </>
      )}
      {now !== undefined && (
        <>
          ; now <b>{rate(now)}</b>
        </>
      )}
      .{summary.reason && ` ${summary.reason}.`}
      {summary.choice && ` ${summary.choice}.`}
    </>
  );
}

/** A part that needs a loaded version, or why there is none. */
function WithVersion(props: { detail: DeploymentDetail; children: (version: VersionDetail) => ReactNode }) {
  const version = current(props.detail);
  return version ? (
    props.children(version)
  ) : (
    <Empty title="No version is loaded">
      {props.detail.summary.reason ?? "It is known once a version is loaded."}
    </Empty>
  );
}

function Content(props: { tab: string; detail: DeploymentDetail; live: LiveState; name: string }) {
  const { tab, detail, live, name } = props;
  switch (tab) {
    case "spec":
      return <Generations kind="Deployment" name={name} spec={detail.spec} />;
    case "call":
      return (
        <WithVersion detail={detail}>
          {(version) => <CallIt deployment={name} version={version} isDefault={detail.summary.default} />}
        </WithVersion>
      );
    case "signature":
      return <WithVersion detail={detail}>{(version) => <SignatureTab version={version} />}</WithVersion>;
    case "try":
      return (
        <WithVersion detail={detail}>
          {(version) =>
            version.signature.columns.length > 0 ? (
              <TryIt key={version.version} deployment={name} version={version} />
            ) : (
              <TryRaw key={version.version} deployment={name} version={version} />
            )
          }
        </WithVersion>
      );
    default:
      return <LiveTab detail={detail} live={live} name={name} />;
  }
}

function DeleteDialog({ name, onClose }: { name: string; onClose: () => void }) {
  const client = useQueryClient();
  const [, navigate] = useLocation();
  return (
    <Confirm
      title={`Delete deployment ${name}?`}
      action="Delete"
      danger
      onClose={onClose}
      onConfirm={async () => {
        await native.remove("Deployment", name);
        await client.invalidateQueries();
        navigate("/deployments");
      }}
    >
      <p>
        Requests in flight are answered, later ones get “not found”. The model, the journal’s rows and the
        history stay: applying the spec again brings it back.
      </p>
    </Confirm>
  );
}

export default function DeploymentPage() {
  const { name = "" } = useParams<{ name: string }>();
  useTitle(name);
  const tab = useTab(TABS);
  const [asking, setAsking] = useState(false);
  const query = useQuery({
    queryKey: ["deployment", name],
    queryFn: ({ signal }) => native.deployment(name, signal),
    refetchInterval: 3000,
  });
  const live = useLive(api("deployments", name, "live"));
  const detail = query.data;
  return (
    <>
      <PageHead
        crumbs={[{ label: "Deployments", href: "/deployments" }]}
        title={
          <>
            {name} {detail && <DeploymentState state={detail.summary.state} />}{" "}
            {detail?.summary.default && (
              <span title="It answers MLflow scoring requests that name no deployment">
                <Chip>default</Chip>
              </span>
            )}
          </>
        }
        lead={
          detail ? (
            <Lead detail={detail} live={live} />
          ) : query.error ? (
            "This deployment could not be loaded."
          ) : undefined
        }
        actions={
          <>
            <Link className="button small" href={performancePage(name)}>
              Performance
            </Link>
            <ShowCall
              call={{ method: "GET", path: api("deployments", name) }}
              cli={["get", "deployment", name]}
            />
            {detail && (
              <button type="button" className="button small" onClick={() => setAsking(true)}>
                Delete
              </button>
            )}
          </>
        }
      />
      <Loaded query={query}>
        {(data) => (
          <div className="stack">
            <RolloutOf deployment={name} />
            <MonitorsOf deployment={name} />
            <Tabs label="Parts of the deployment" href={to("deployments", name)} tabs={TABS} at={tab} />
            {data === undefined ? (
              <Skeleton width="100%" />
            ) : (
              <Content tab={tab} detail={data} live={live} name={name} />
            )}
          </div>
        )}
      </Loaded>
      {asking && <DeleteDialog name={name} onClose={() => setAsking(false)} />}
    </>
  );
}
