import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { type Monitor, ms, native } from "../../api/native";
import { Empty, Time } from "../../components/basics";
import { ListPage } from "../../components/list-page";
import { ShowCall } from "../../components/show-call";
import { count, plural } from "../../lib/format";
import { mainspring } from "../../lib/here";
import { stateWords } from "../../lib/monitor";
import { to } from "../../lib/url";
import { Drifted, State } from "./parts";

/** How to declare a first monitor. */
function firstMonitor(deployment = "churn"): string {
  return `cat > ${deployment}-drift.yaml <<'EOF'
apiVersion: mainspring/v1
kind: Monitor
name: ${deployment}-drift
deployment: ${deployment}
EOF
${mainspring("apply", "-f", `${deployment}-drift.yaml`)}`;
}

function First() {
  const deployments = useQuery({
    queryKey: ["deployments"],
    queryFn: ({ signal }) => native.deployments(signal),
  });
  return (
    <Empty title="Watch a deployment’s rows" command={firstMonitor(deployments.data?.deployments[0]?.name)}>
      A monitor compares what a deployment is asked and answers with what its model was trained on, and tells
      which columns no longer look like that, since when and by how much.
    </Empty>
  );
}

function Lead({ all }: { all: Monitor[] }) {
  const drifting = all.filter((m) => m.state === "drifting");
  const worse = all.find((m) => m.state === "degraded");
  const stopped = all.find((m) => m.state === "stopped");
  return (
    <>
      <b>
        {count(drifting.length)} of {plural(all.length, "monitor")}
      </b>{" "}
      {drifting.length === 1 ? "sees" : "see"} drift
      {worse && (
        <>
          ; by the estimate of <Link href={to("monitors", worse.name)}>{worse.name}</Link> answers are worse
        </>
      )}
      {stopped && (
        <>
          ; <Link href={to("monitors", stopped.name)}>{stopped.name}</Link> does not go on
        </>
      )}
      .
    </>
  );
}

export default function Monitors() {
  const query = useQuery({
    queryKey: ["monitors"],
    queryFn: ({ signal }) => native.monitors(signal),
    refetchInterval: 5000,
  });
  return (
    <ListPage
      title="Monitors"
      noun="monitor"
      query={query}
      rows={query.data?.monitors}
      order="name:asc"
      lead={(all) => <Lead all={all} />}
      none="Nobody watches what the deployments are asked."
      first={<First />}
      actions={<ShowCall call={{ method: "GET", path: "/api/v1/monitors" }} cli={["monitor", "list"]} />}
      columns={[
        {
          key: "name",
          label: "Name",
          head: true,
          sortBy: (m) => m.name,
          render: (m) => <Link href={to("monitors", m.name)}>{m.name}</Link>,
        },
        {
          key: "deployment",
          label: "Deployment",
          sortBy: (m) => m.deployment,
          render: (m) => (
            <>
              <Link href={to("deployments", m.deployment)}>{m.deployment}</Link>
              {m.segment && <span className="quiet"> where {m.segment}</span>}
            </>
          ),
        },
        {
          key: "state",
          label: "State",
          sortBy: (m) => stateWords(m)[1],
          render: (m) => <State monitor={m} />,
        },
        { key: "drifted", label: "Drifted", render: (m) => <Drifted names={m.drifted} /> },
        {
          key: "rows",
          label: "Rows",
          numeric: true,
          sortBy: (m) => m.rows,
          render: (m) => count(m.rows),
        },
        {
          key: "seen",
          label: "Looked at until",
          sortBy: (m) => ms(m.seenUntil) ?? 0,
          render: (m) => <Time at={ms(m.seenUntil)} />,
        },
      ]}
    />
  );
}
