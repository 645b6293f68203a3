import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { ms, native, type Rollout } from "../../api/native";
import { Card, Status, Time } from "../../components/basics";
import { Share } from "../../components/share";
import { Table } from "../../components/table";
import { count, percent } from "../../lib/format";
import { mainspring } from "../../lib/here";
import {
  candidate,
  course,
  isActive,
  leftOutWords,
  phaseWords,
  ratioWords,
  stepWords,
} from "../../lib/rollout";
import { to } from "../../lib/url";
import { Finding } from "./metrics";

export function Phase({ rollout }: { rollout: Pick<Rollout, "phase" | "hold"> }) {
  const [mark, words] = phaseWords(rollout);
  return <Status state={mark}>{words}</Status>;
}

/** A weight as a bar and a figure. */
export function Weight({ value }: { value: number | undefined }) {
  if (value === undefined) return <span className="quiet">–</span>;
  return <Share share={value} digits={2} />;
}

const STATES: Record<string, [string, string]> = {
  done: ["✓", "done"],
  now: ["●", "now"],
  next: ["○", "to come"],
  ended: ["×", "ended here"],
  missed: ["○", "not reached"],
};

/** The steps in their order, and the promotion behind them. */
export function Stepper({ rollout }: { rollout: Pick<Rollout, "steps" | "phase" | "startedAt"> }) {
  return (
    <ol className="stepper">
      {course(rollout).map((step, i) => {
        const [mark, words] = STATES[step.state] ?? ["○", step.state];
        return (
          <li
            key={`${i}${step.title}`}
            data-state={step.state}
            aria-current={step.state === "now" ? "step" : undefined}
          >
            <span aria-hidden="true">{mark}</span>
            <span>
              {step.title} <span className="quiet small">{words}</span>
            </span>
          </li>
        );
      })}
    </ol>
  );
}

/** A model as `models:/name/version`, with the page of its version. */
function ModelLink({ uri }: { uri: string }) {
  const [, name, version] = /^models:\/([^/@]+)\/(\d+)$/.exec(uri) ?? [];
  const code = <code className="break">{uri}</code>;
  return name ? <Link href={`${to("models", name)}?v=${version}`}>{code}</Link> : code;
}

/** Who gets how much, and whether the units are what the weights promise. */
export function Variants({ rollout }: { rollout: Rollout }) {
  const ratio = rollout.metrics.find((m) => m.name === "srm");
  const { unitless, others } = leftOutWords(rollout);
  return (
    <Card flush title="Variants">
      <Table
        caption="Variants"
        rows={rollout.variants}
        rowKey={(v) => v.name}
        empty={<p className="quiet pad">The models are pinned to versions when the rollout begins.</p>}
        columns={[
          { key: "name", label: "Variant", head: true, render: (v) => (v.dropped ? `${v.name}, taken out` : v.name) },
          { key: "model", label: "Model", render: (v) => <ModelLink uri={v.model} /> },
          { key: "weight", label: "Weight", render: (v) => <Weight value={v.weight} /> },
          { key: "units", label: "Units", numeric: true, render: (v) => count(v.units) },
          { key: "step", label: "In this step", numeric: true, render: (v) => count(v.stepUnits) },
          { key: "answers", label: "Answers", numeric: true, render: (v) => count(v.answers) },
          { key: "last", label: "Last answer", render: (v) => <Time at={ms(v.lastAt)} /> },
        ]}
      />
      {ratio && (
        <p className="foot-line">
          <Finding metric={ratio} /> Sample ratio: {ratioWords(ratio)}
        </p>
      )}
      {rollout.variants
        .filter((v) => v.frozen)
        .map((v) => (
          <p className="foot-line" key={v.name}>
            <Status state="warn">frozen</Status> {v.name}: {v.frozen}
          </p>
        ))}
      {unitless && (
        <p className="foot-line">
          <Status state="warn">not counted</Status> {unitless}
        </p>
      )}
      {others && <p className="foot-line quiet">{others}</p>}
    </Card>
  );
}

/** How to declare a first rollout, of a model pinned to a version. */
export function firstRollout(deployment = "churn", model = "models:/churn/8"): string {
  const version = `v${model.split("/").at(-1)}`;
  const name = `${deployment}-${version}`;
  return `cat > ${name}.yaml <<'EOF'
apiVersion: mainspring/v1
kind: Rollout
name: ${name}
deployment: ${deployment}
candidates: [{name: ${version}, model: ${model}}]
steps:
  - canary: {weight: 5}
  - abTest: {maxDuration: 7d}
metrics:
  guardrails: [{name: errors, kind: errors}]
EOF
${mainspring("apply", "-f", `${name}.yaml`)}`;
}

/** On the page of a deployment: the rollout that shares its traffic out now. */
export function RolloutOf({ deployment }: { deployment: string }) {
  const query = useQuery({
    queryKey: ["rollouts"],
    queryFn: ({ signal }) => native.rollouts(signal),
    refetchInterval: 5000,
  });
  const found = query.data?.rollouts.find((r) => r.deployment === deployment && isActive(r));
  if (!found) return null;
  const next = candidate(found);
  return (
    <p className="row">
      <Phase rollout={found} />
      <span>
        Rollout <Link href={to("rollouts", found.name)}>{found.name}</Link>
        {stepWords(found) && `, ${stepWords(found)}`}
        {next && `: ${next.name} gets ${percent(next.weight)}`}
      </span>
    </p>
  );
}
