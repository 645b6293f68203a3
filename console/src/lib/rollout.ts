/** Rollouts in words: where one is, what it waits for, what a metric says, what an order does. */
import type {
  Rollout,
  RolloutDecision,
  RolloutGain,
  RolloutMetric,
  RolloutOrder,
} from "../api/native";
import { count, measure, percent, plural } from "./format";

/** The roles of metrics, what decides first. */
export const BY_ROLE = ["success", "guardrail", "signal", "quality", "reported"];

/** As `Status` has it. */
type Mark = "ok" | "warn" | "bad" | "live" | "none";

const PHASES: Record<string, [Mark, string]> = {
  pending: ["none", "waits for the deployment"],
  preflight: ["live", "is being checked"],
  step: ["live", "under way"],
  approval: ["warn", "waits for approval"],
  paused: ["warn", "paused"],
  alarmed: ["warn", "stopped by a signal"],
  review: ["warn", "waits for a verdict"],
  promoting: ["live", "is being promoted"],
  watching: ["live", "promoted, still watched"],
  succeeded: ["ok", "promoted"],
  rolledBack: ["bad", "rolled back"],
};

/** The phase as a mark and in words; a step that does not go on is held. */
export function phaseWords(r: Pick<Rollout, "phase" | "hold">): [Mark, string] {
  if ((r.phase === "step" || r.phase === "preflight") && r.hold) return ["warn", "held"];
  return PHASES[r.phase] ?? ["none", r.phase];
}

/** Whether something still follows. */
export function isActive(r: Pick<Rollout, "phase">): boolean {
  return r.phase !== "succeeded" && r.phase !== "rolledBack";
}

/** The candidate, once the models are known; of several the one that has all the traffic, else all of them together. */
export function candidate(r: Pick<Rollout, "variants">) {
  const all = r.variants.slice(1);
  const [first] = all;
  if (!first || all.length === 1) return first;
  const together = {
    ...first,
    name: all.map((v) => v.name).join(" + "),
    model: all.map((v) => v.model).join(" + "),
    weight: all.reduce((sum, v) => sum + v.weight, 0),
  };
  return all.find((v) => v.weight === 1) ?? together;
}

/** Where it is among its steps: "canary 5%" and "2 of 3"; nothing outside the steps. */
export function stepNow(r: Pick<Rollout, "steps">): { title: string; place: string } | undefined {
  const at = r.steps.findIndex((step) => step.state === "now");
  const step = r.steps[at];
  return step && { title: step.title, place: `${at + 1} of ${r.steps.length}` };
}

/** "step 2 of 3, canary 5%" */
export function stepWords(r: Pick<Rollout, "steps">): string | undefined {
  const step = stepNow(r);
  return step && `step ${step.place}, ${step.title}`;
}

/** Metrics that a promotion needs and that are not decided, in words. */
function undecided(metrics: RolloutMetric[]): string {
  const open = metrics.filter(
    (m) => m.required && m.role !== "quality" && ["unclear", "no-data"].includes(m.finding),
  );
  return open.map((m) => metricName(m.name)).join(", ");
}

const sentence = (text: string) => text.replace(/\.?$/, ".");

/** The decision that explains a phase. */
const EXPLAINED: Record<string, string> = {
  approval: "approvalAsked",
  alarmed: "paused",
  rolledBack: "rolledBack",
};

/** What happens now and what it waits for, after the words of the phase. `decisions`: the newest ones. */
export function waitsFor(r: Rollout, decisions: RolloutDecision[] = []): string {
  const who = candidate(r)?.name ?? "The candidate";
  const newest = decisions.find((d) => d.kind === EXPLAINED[r.phase]);
  const because = newest ? `: ${sentence(newest.sentence)}` : ".";
  switch (r.phase) {
    case "pending":
      return r.hold
        ? `It has not begun: ${sentence(r.hold.reason)}`
        : `It begins as soon as ${r.deployment} is free.`;
    case "preflight":
      return r.hold
        ? `Nobody gets answers of ${who} yet: ${sentence(r.hold.reason)}`
        : `${who} is loaded and checked beside stable; nobody gets its answers yet.`;
    case "step":
      return inStep(r, who);
    case "approval":
      return `${missing(r) ?? `A person must agree before it goes on${because}`}`;
    case "paused":
      return "A person stopped it: the weights stay as they are, guardrails are watched on. It waits for Resume.";
    case "alarmed":
      return `The weights stay as they are, and it goes on by itself once the signal is calm, or past it with Resume${because}`;
    case "review":
      return promotable(r).length > 1
        ? `Time is up without a verdict${r.chosen ? `, and ${r.chosen} leads` : ""}: promote a candidate or abort.`
        : "Time is up without a verdict: promote the candidate or abort.";
    case "promoting":
      return `${who} has all the traffic; it waits until ${r.deployment} declares the same model.`;
    case "watching":
      return `${who} has all the traffic; labels that come late can still take it back.`;
    case "succeeded":
      return `${who} is what ${r.deployment} serves.`;
    case "rolledBack":
      return `Stable has all the traffic${because}`;
    default:
      return r.hold ? sentence(r.hold.reason) : "";
  }
}

/** Who must still agree; nothing where anybody may and one is enough. */
function missing(r: Rollout): string | undefined {
  const { needs = [], webhooks = [], notBy } = r.approval ?? {};
  const open = needs.filter((n) => n.by.length < n.wanted);
  const asked = webhooks.map((name) => `webhook ${name}`).join(" and ");
  if (open.length === 0 && asked) {
    return `It waits for ${asked}${r.hold ? `: ${sentence(r.hold.reason)}` : "."}`;
  }
  if (!asked && !open.some((n) => n.group || n.wanted > 1)) return undefined;
  const words = open.map((n) => {
    const of = n.group ? ` of group ${n.group}` : "";
    const agreed = n.by.length > 0 ? ` (${n.by.join(", ")} agreed)` : "";
    return `${plural(n.wanted - n.by.length, n.by.length > 0 ? "more approval" : "approval")}${of}${agreed}`;
  });
  const not = notBy ? `, and not of ${notBy}, who began it` : "";
  return `It waits for ${words.join(" and ")}${asked && `, then ${asked}`}${not}.`;
}

function inStep(r: Rollout, who: string): string {
  const { weight = 0, stepUnits = 0 } = candidate(r) ?? {};
  const shadow = r.weights.at(-1)?.shadow === true;
  const share = shadow
    ? `${who} answers in the shadow: nobody gets its answers.`
    : `${who} answers ${percent(weight)} of the units; ${plural(stepUnits, "unit")} got it in this step.`;
  if (r.hold) return `${share} It does not go on: ${sentence(r.hold.reason)}`;
  const passed = r.passedSignals?.length ? ` Let pass until calm: ${r.passedSignals.join(", ")}.` : "";
  return `${share}${passed} ${comesNext(r)}`;
}

function comesNext(r: Rollout): string {
  const last = r.steps.at(-1)?.state === "now";
  const open = undecided(r.metrics);
  if (last && open) return `A promotion waits for ${open}.`;
  const then = "once the step has lasted long enough and reached its units";
  return last ? `It is decided ${then}.` : `It goes on ${then}.`;
}

const NAMES = new Map([
  ["srm", "sample ratio"],
  ["multipleExposure", "units that got both variants"],
  ["shadowErrors", "errors in the shadow"],
  ["shadowDiff", "difference in the shadow"],
]);

/** The name of a metric; those that are always measured have words of their own. */
export function metricName(name: string): string {
  return NAMES.get(name) ?? name;
}

const FINDINGS: Record<string, [Mark, string]> = {
  better: ["ok", "better"],
  "non-inferior": ["ok", "within its margin"],
  unclear: ["none", "not decided"],
  worse: ["bad", "worse"],
  "no-data": ["none", "no data"],
};

/** What the test of a metric says; of a signal and of a check, whether it is calm. */
export function findingWords(m: Pick<RolloutMetric, "finding" | "role">): [Mark, string] {
  if (m.finding === "no-data") return ["none", "no data"];
  if (m.role === "signal") return m.finding === "worse" ? ["warn", "moved"] : ["ok", "calm"];
  if (m.role === "quality")
    return m.finding === "worse" ? ["bad", "not to be trusted"] : ["ok", "no fault found"];
  const [mark, words] = FINDINGS[m.finding] ?? ["none", m.finding];
  // What is only reported is neither good nor bad for the rollout.
  return [m.role === "reported" ? "none" : mark, words];
}

const TESTS: Record<string, string> = {
  asymptotic: "confidence sequence",
  msprt: "mSPRT",
  groupSequential: "group-sequential",
  rateRatio: "ratio of rates",
  betting: "betting",
  exceedance: "exceedance",
};

/** How a metric is tested, where the file says it: "group-sequential at 1 %, look 3 of 5". */
export function testWords({ tested }: Pick<RolloutMetric, "tested">): string | undefined {
  if (!tested) return undefined;
  const { test, alpha, looks } = tested;
  const at = alpha == null ? "" : ` at ${percent(alpha)}`;
  const look = looks ? `, look ${looks.due} of ${looks.of}` : "";
  return `${TESTS[test] ?? test}${at}${look}`;
}

/** How strong evidence is: an e-value of 20 is once in 20 by chance. */
export function eValue(log: number | null | undefined): string {
  if (log === null || log === undefined) return "–";
  const tens = Math.min(Math.floor(log / Math.LN10), 21);
  return tens < 6
    ? measure(Math.exp(log), 3)
    : `over 10${[...`${tens}`].map((d) => RAISED[Number(d)]).join("")}`;
}

const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** The steps and the promotion behind them, each with its state: `done`, `now`, `next`; and where a rollout that was
 * rolled back `ended`, and what it `missed`. */
export function course(r: Pick<Rollout, "steps" | "phase" | "startedAt">): Rollout["steps"] {
  const { phase } = r;
  const last =
    phase === "succeeded" || phase === "watching" ? "done" : phase === "promoting" ? "now" : "next";
  const all = [...r.steps, { title: "all traffic", state: last }];
  if (phase !== "rolledBack") return all;
  const at = r.startedAt ? all.findIndex((step) => step.state === "next") : -1;
  return all.map((step, i) =>
    step.state === "next" ? { ...step, state: i === at ? "ended" : "missed" } : step,
  );
}

/** The numbers to show: those of now, or of the last decision that had some once nothing is measured any more. */
export function evidence(r: Rollout, newest: RolloutDecision[] | undefined) {
  const of = newest?.find((decision) => decision.seq === r.evidenceOf);
  if (of && r.metrics.length > 0) return { metrics: r.metrics, decided: of };
  if (r.metrics.length > 0 || isActive(r)) return { metrics: r.metrics, until: r.evidenceUntil };
  const last = newest?.find((decision) => decision.metrics.length > 0);
  return { metrics: last?.metrics ?? [], decided: last };
}

/** The effect with its ends: "1.02 (0.9 to 1.3)". */
export function effectWords(m: Pick<RolloutMetric, "effect" | "scale">): string {
  const { effect } = m;
  if (!effect) return "–";
  const end = (value: number | null | undefined, open: string) =>
    value === null || value === undefined ? open : measure(value, 3);
  return `${measure(effect.estimate, 3)} (${end(effect.low, m.scale === "difference" ? "−∞" : "0")} to ${end(effect.high, "∞")})`;
}

/** What the sample-ratio check says of the units of both variants. */
export function ratioWords(m: RolloutMetric): string {
  const [stable = 0, other = 0] = m.units;
  const seen = `${count(stable)} units of stable and ${count(other)} of the candidate`;
  if (stable + other === 0) return "Nobody was compared yet.";
  return m.finding === "worse"
    ? `${seen} are not what the weights promise: the comparison cannot be trusted.`
    : `${seen} fit the weights.`;
}

/** An order as a button and its dialog. */
export interface OrderWords {
  order: RolloutOrder;
  label: string;
  title: string;
  /** What will happen. */
  text: string;
  danger: boolean;
}

/** The candidates that can be promoted: those that were not taken out. */
export function promotable(r: Pick<Rollout, "variants">) {
  return r.variants.slice(1).filter((v) => !v.dropped);
}

/** An order to promote what is promoted already keeps it, where nobody can look into its window. */
function keepText(r: Rollout): string {
  const who = candidate(r)?.name ?? "The candidate";
  return `${who} stays what ${r.deployment} serves and the rollout ends, although nobody knows what came within its window${r.hold ? `: ${sentence(r.hold.reason)}` : "."}`;
}

/** What an order to promote does, of one of several candidates or of the one that it takes by itself. */
export function promoteText(r: Rollout, named?: string): string {
  if (r.phase === "watching") return keepText(r);
  const left = promotable(r);
  const which = named ?? r.chosen ?? (left.length === 1 ? left[0]?.name : undefined);
  const next = r.variants.find((v) => v.name === which);
  const who = next ? `${next.name} (${next.model})` : "The candidate";
  return `${who} gets all the traffic of ${r.deployment} at once, whatever the evidence says, and the deployment is made to declare it. Abort takes it back until the rollout has ended.`;
}

/** What is not in the numbers: first the answers to requests without a unit, which somebody can mend. */
export function leftOutWords(r: Pick<Rollout, "leftOut">): { unitless?: string; others?: string } {
  const left = r.leftOut;
  if (!left) return {};
  const all: [number, string][] = [
    [left.warmUp, "answers of the warm-up"],
    [left.strangers, "answers of other generations or variants"],
    [left.unmatchedLabels, "labels about answers that are not counted"],
    [left.crowdedOut, "answers of units that found no place"],
    [left.forgotten, "answers forgotten, for which labels may still come"],
    [left.late, "events that came after their look, and count since"],
  ];
  const some = all.filter(([n]) => n > 0).map(([n, words]) => `${count(n)} ${words}`);
  const unit = left.carrier ?? "unit";
  return {
    ...(left.unitless > 0 && {
      unitless: `${count(left.unitless)} answers are not counted: their requests had no ${unit}, which is the unit.`,
    }),
    ...(some.length > 0 && { others: `Left out: ${some.join("; ")}.` }),
  };
}

function orderText(order: RolloutOrder, r: Rollout): string {
  const [stable] = r.variants;
  const back = stable ? `Stable (${stable.model})` : "Stable";
  switch (order) {
    case "pause":
      return "The weights stay as they are until somebody resumes it. Guardrails are watched on: one that breaks still rolls back.";
    case "resume":
      return r.phase === "alarmed"
        ? "It goes on from the step where it is although the signal lasts. Once that has been calm it stops the step again when it comes back, and so does another signal."
        : "It goes on from the step where it is.";
    case "promote":
      return promoteText(r);
    case "abort":
      return r.phase === "pending"
        ? `It ends before it began; ${r.deployment} stays as it is.`
        : `${back} gets all the traffic of ${r.deployment} again, at once, and the rollout ends as rolled back.`;
    case "skip": {
      const at = r.steps.findIndex((step) => step.state === "now");
      const to = r.steps[at + 1]?.title;
      return to
        ? `It goes on to ${to}, whatever the evidence says.`
        : "This is the last step: the server will refuse, promote or abort instead.";
    }
    case "approve":
      return "What waits for an agreement happens. Your name is in the log of decisions.";
  }
}

const LABELS: Record<RolloutOrder, string> = {
  pause: "Pause",
  resume: "Resume",
  promote: "Promote",
  abort: "Abort",
  skip: "Skip the step",
  approve: "Approve",
};

/** The orders that can be given now, each with what it does. */
export function orders(r: Rollout): OrderWords[] {
  const known = r.orders.filter((order): order is RolloutOrder => Object.hasOwn(LABELS, order));
  return known.map((order) => ({
    order,
    label: LABELS[order],
    title: order === "skip" ? `Skip the step of ${r.name}?` : `${LABELS[order]} ${r.name}?`,
    text: orderText(order, r),
    danger: order === "abort" || order === "promote" || order === "skip",
  }));
}

/** One row a variant of a bandit, with its weight: as of now, or of the last decision that had them once nothing is learned
 * any more. */
export function arms(r: Rollout, newest: RolloutDecision[] | undefined) {
  const now = r.arms ?? [];
  const decided = now.length > 0 ? undefined : newest?.find((decision) => decision.arms?.length);
  const all = decided?.arms ?? now;
  const most = Math.max(...all.map((a) => a.best));
  const rows = all.map((arm) => ({
    ...arm,
    weight: r.variants.find((v) => v.name === arm.variant)?.weight,
    leads: arm.best === most,
  }));
  return { rows, decided };
}

/** One row a variant in each context that has traffic, the largest context first. */
export function segments(r: Pick<Rollout, "contexts">) {
  const seen = (r.contexts ?? []).filter((c) => c.share > 0);
  return seen
    .toSorted((a, b) => b.share - a.share)
    .flatMap(({ context, title, share, arms }) => {
      const most = Math.max(...arms.map((a) => a.weight));
      return arms.map((arm, at) => ({
        ...arm,
        context,
        title,
        share,
        first: at === 0,
        leads: arm.weight === most,
      }));
    });
}

/** What choosing by context has brought beyond one variant for all. */
export function gainWords({ over, units, gain }: RolloutGain): string {
  const end = (x: number | null | undefined) => (x == null ? "unbounded" : measure(x, 3));
  const shown = (gain.low ?? 0) > 0 ? "" : (gain.high ?? 0) < 0 ? ": it would be better alone" : ": not shown yet";
  return `Choosing by context brought ${end(gain.estimate)} more than ${over} alone, ${end(gain.low)} to ${end(gain.high)}, in ${count(units)} units${shown}.`;
}
