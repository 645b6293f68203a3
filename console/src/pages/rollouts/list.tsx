import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { ms, native, type Rollout } from "../../api/native";
import { Empty, Time } from "../../components/basics";
import { ListPage } from "../../components/list-page";
import { ShowCall } from "../../components/show-call";
import { count, plural } from "../../lib/format";
import { candidate, isActive, phaseWords, stepNow } from "../../lib/rollout";
import { to } from "../../lib/url";
import { firstRollout, Phase, Weight } from "./parts";

function Lead({ all }: { all: Rollout[] }) {
  const active = all.filter(isActive);
  const stuck = active.find((r) => phaseWords(r)[0] === "warn");
  return (
    <>
      <b>
        {count(active.length)} of {plural(all.length, "rollout")}
      </b>{" "}
      {active.length === 1 ? "is" : "are"} under way
      {stuck && (
        <>
          ; look at <Link href={to("rollouts", stuck.name)}>{stuck.name}</Link>, which{" "}
          {is(phaseWords(stuck)[1])}
          {stuck.hold && ` (${stuck.hold.reason})`}
        </>
      )}
      .
    </>
  );
}

/** "waits for approval" as it stands; "is held". */
function is(words: string): string {
  return words.startsWith("waits") ? words : `is ${words}`;
}

/** The empty page names a deployment and a model that are there. */
function First() {
  const deployments = useQuery({
    queryKey: ["deployments"],
    queryFn: ({ signal }) => native.deployments(signal),
  });
  const models = useQuery({ queryKey: ["models"], queryFn: ({ signal }) => native.models(signal) });
  const deployment = deployments.data?.deployments[0];
  const base = /^models:\/([^/@]+)/.exec(deployment?.model ?? "")?.[1];
  const model = models.data?.models.find((m) => m.name === base);
  const uri = model && `models:/${model.name}/${model.latestVersion ?? 1}`;
  return (
    <Empty title="Let a new version prove itself" command={firstRollout(deployment?.name, uri)}>
      A rollout gives a candidate a deployment’s traffic in steps: in the shadow, as a canary, as an A/B test.
      It measures both, goes on while nothing is harmed, promotes what has shown to be good and rolls the rest
      back by itself.
    </Empty>
  );
}

export default function Rollouts() {
  const query = useQuery({
    queryKey: ["rollouts"],
    queryFn: ({ signal }) => native.rollouts(signal),
    refetchInterval: 3000,
  });
  return (
    <ListPage
      title="Rollouts"
      noun="rollout"
      query={query}
      rows={query.data?.rollouts}
      order="since:desc"
      lead={(all) => <Lead all={all} />}
      none="Nothing is being rolled out."
      first={<First />}
      actions={<ShowCall call={{ method: "GET", path: "/api/v1/rollouts" }} cli={["rollout", "status"]} />}
      columns={[
        {
          key: "name",
          label: "Name",
          head: true,
          sortBy: (r) => r.name,
          render: (r) => <Link href={to("rollouts", r.name)}>{r.name}</Link>,
        },
        {
          key: "deployment",
          label: "Deployment",
          sortBy: (r) => r.deployment,
          render: (r) => <Link href={to("deployments", r.deployment)}>{r.deployment}</Link>,
        },
        {
          key: "phase",
          label: "Phase",
          sortBy: (r) => phaseWords(r)[1],
          render: (r) => <Phase rollout={r} />,
        },
        {
          key: "step",
          label: "Step",
          render: (r) => {
            const step = stepNow(r);
            return step ? (
              <span className="nowrap">
                {step.title} <span className="quiet small">{step.place}</span>
              </span>
            ) : (
              <span className="quiet">–</span>
            );
          },
        },
        {
          key: "weight",
          label: "Candidate",
          sortBy: (r) => candidate(r)?.weight ?? 0,
          render: (r) => <Weight value={candidate(r)?.weight} />,
        },
        {
          key: "hold",
          label: "Held because",
          render: (r) =>
            r.hold ? <span className="break">{r.hold.reason}</span> : <span className="quiet">–</span>,
        },
        {
          key: "since",
          label: "Since",
          sortBy: (r) => ms(r.since) ?? 0,
          render: (r) => <Time at={ms(r.since)} />,
        },
      ]}
    />
  );
}
