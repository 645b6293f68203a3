import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "wouter";
import { ms, native, type Rollout, type RolloutDecision } from "../../api/native";
import { Card, Chip, Live, PageHead, Skeleton, Time } from "../../components/basics";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { useTitle } from "../../lib/hooks";
import { BY_ROLE, evidence, isActive, stepWords, waitsFor } from "../../lib/rollout";
import { api, to } from "../../lib/url";
import { Arms } from "./arms";
import { Contexts } from "./contexts";
import { CourseCard } from "./course";
import { Decisions, useDecisions } from "./decisions";
import { Metrics } from "./metrics";
import { Orders } from "./orders";
import { Phase, Stepper, Variants } from "./parts";
import { WeightsChart } from "./weights";

const EVERY = 2000;
/** After its end only another run brings news. */
const SELDOM = 15_000;

function Lead({ rollout, newest }: { rollout: Rollout; newest: RolloutDecision[] | undefined }) {
  const step = stepWords(rollout);
  return (
    <>
      On <Link href={to("deployments", rollout.deployment)}>{rollout.deployment}</Link>
      {step && (
        <>
          , <b>{step}</b>
        </>
      )}
      , since <Time at={ms(rollout.since)} />. {waitsFor(rollout, newest)}
    </>
  );
}

function Evidence({ rollout, newest }: { rollout: Rollout; newest: RolloutDecision[] | undefined }) {
  const { metrics, ...of } = evidence(rollout, newest);
  const until = ms(of.until);
  const sorted = [...metrics].sort((a, b) => BY_ROLE.indexOf(a.role) - BY_ROLE.indexOf(b.role));
  return (
    <Card
      flush
      title="Metrics"
      note={
        <>
          The ranges hold however often they are looked at: an effect whose range leaves out 0 (a difference)
          or 1 (a ratio) is hardly chance; that of a quantile is beyond its margin then, or within. Evidence is an e-value: chance alone gets to 20 once in 20 at most.{" "}
          {until && (
            <>
              Answers up to <Time at={until} exact /> are in.
            </>
          )}
          {of.decided && (
            <>
              These are the numbers of the decision of <Time at={ms(of.decided.at)} exact />.
            </>
          )}
        </>
      }
    >
      <Metrics caption="Metrics" metrics={sorted} />
    </Card>
  );
}

export default function RolloutPage() {
  const { name = "" } = useParams<{ name: string }>();
  useTitle(name);
  const query = useQuery({
    queryKey: ["rollout", name],
    queryFn: ({ signal }) => native.rollout(name, signal),
    refetchInterval: (q) => (q.state.data && !isActive(q.state.data) ? SELDOM : EVERY),
  });
  const rollout = query.data;
  const decisions = useDecisions(name, rollout?.run, rollout?.decisions);
  const newest = decisions.data?.pages[0]?.decisions;
  return (
    <>
      <PageHead
        crumbs={[{ label: "Rollouts", href: "/rollouts" }]}
        title={
          <>
            {name} {rollout && <Phase rollout={rollout} />}{" "}
            {rollout && rollout.run > 1 && <Chip>run {rollout.run}</Chip>}
          </>
        }
        lead={
          rollout ? (
            <Lead rollout={rollout} newest={newest} />
          ) : query.error ? (
            "This rollout could not be loaded."
          ) : undefined
        }
        actions={
          <>
            {rollout && isActive(rollout) && <Live updatedAt={query.dataUpdatedAt} everyMs={EVERY} />}
            <ShowCall
              call={{ method: "GET", path: api("rollouts", name) }}
              cli={["rollout", "status", name]}
            />
            {rollout && <Orders rollout={rollout} />}
          </>
        }
      />
      <Loaded query={query}>
        {(data) =>
          data === undefined ? (
            <Skeleton width="100%" />
          ) : (
            <div className="stack">
              <Stepper rollout={data} />
              <Evidence rollout={data} newest={newest} />
              <CourseCard rollout={data} newest={newest} />
              <Variants rollout={data} />
              <Arms rollout={data} newest={newest} />
              <Contexts rollout={data} />
              <Card title="Weights over time">
                <WeightsChart rollout={data} />
              </Card>
              <Decisions name={name} query={decisions} total={data.decisions} />
            </div>
          )
        }
      </Loaded>
    </>
  );
}
