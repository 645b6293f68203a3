import type { DeploymentDetail, DeploymentSummary } from "../../api/native";
import { type State, Status } from "../../components/basics";
import { count, duration, percent } from "../../lib/format";
import { mainspring } from "../../lib/here";
import { literal } from "../../lib/sql";
import { journalOf } from "../../lib/url";

const STATES: Record<DeploymentSummary["state"], [State, string]> = {
  READY: ["ok", "ready"],
  LOADING: ["live", "loading"],
  FAILED: ["bad", "failed"],
  DRAINING: ["warn", "draining"],
};

export function DeploymentState({ state }: { state: DeploymentSummary["state"] }) {
  const [mark, word] = STATES[state] ?? ["none", state];
  return <Status state={mark}>{word}</Status>;
}

/** A time of the API, which counts in milliseconds. */
export function millis(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : duration(value / 1000);
}

/** Share of requests that failed, in words: "0 failed", "12 failed (0.4 %)". */
export function failures(answered: number, failed: number): string {
  if (failed === 0) return "none failed";
  return `${count(failed)} failed (${percent(failed / (answered + failed))})`;
}

/** How to deploy a first model. */
export function firstDeployment(model = "models:/churn@champion", name = "churn"): string {
  return `cat > ${name}.yaml <<'EOF'
apiVersion: mainspring/v1
kind: Deployment
name: ${name}
model: ${model}
EOF
${mainspring("apply", "-f", `${name}.yaml`)}`;
}

export function current(detail: DeploymentDetail) {
  return detail.versions.find((v) => v.current) ?? detail.versions[0];
}

/** The journal page with the rows behind a figure of a deployment. */
export function rowsBehind(deployment: string, where = ""): string {
  const sql = `select at, version, protocol, outcome, error_kind, rows, total_us, event_id
from predictions
where deployment = ${literal(deployment)}${where}
order by at desc
limit 100`;
  return journalOf(sql);
}
