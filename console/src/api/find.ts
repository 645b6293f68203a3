import { stateWords } from "../lib/monitor";
import { phaseWords } from "../lib/rollout";
import { to } from "../lib/url";
import { native } from "./native";

export interface Found {
  kind: string;
  name: string;
  href: string;
  note?: string;
}

/** Finds things by a part of their name, or a run by its id. Parts that fail are named, not hidden. */
export async function find(
  text: string,
  signal: AbortSignal,
): Promise<{ found: Found[]; missing: string[] }> {
  const wanted = text.toLowerCase();
  const has = (name: string) => name.toLowerCase().includes(wanted);
  const parts: [string, Promise<Found[]>][] = [
    [
      "deployments",
      native.deployments(signal).then((r) =>
        r.deployments
          .filter((d) => has(d.name))
          .map((d) => ({
            kind: "Deployment",
            name: d.name,
            href: to("deployments", d.name),
            note: d.state,
          })),
      ),
    ],
    [
      "rollouts",
      native.rollouts(signal).then((r) =>
        r.rollouts
          .filter((o) => has(o.name))
          .map((o) => ({
            kind: "Rollout",
            name: o.name,
            href: to("rollouts", o.name),
            note: phaseWords(o)[1],
          })),
      ),
    ],
    [
      "monitors",
      native.monitors(signal).then((r) =>
        r.monitors
          .filter((m) => has(m.name))
          .map((m) => ({
            kind: "Monitor",
            name: m.name,
            href: to("monitors", m.name),
            note: stateWords(m)[1],
          })),
      ),
    ],
    [
      "models",
      native
        .models(signal)
        .then((r) =>
          r.models
            .filter((m) => has(m.name))
            .map((m) => ({ kind: "Model", name: m.name, href: to("models", m.name) })),
        ),
    ],
    [
      "experiments",
      native
        .experiments(signal)
        .then((r) =>
          r.experiments
            .filter((e) => has(e.name))
            .map((e) => ({ kind: "Experiment", name: e.name, href: to("experiments", e.id) })),
        ),
    ],
    ["runs", text === "" ? Promise.resolve([]) : findRuns(text, signal)],
  ];
  const settled = await Promise.allSettled(parts.map(([, part]) => part));
  signal.throwIfAborted();
  return {
    found: settled.flatMap((s) => (s.status === "fulfilled" ? s.value.slice(0, 12) : [])),
    missing: parts.filter((_, i) => settled[i]?.status === "rejected").map(([name]) => name),
  };
}

async function findRuns(text: string, signal: AbortSignal): Promise<Found[]> {
  if (/^[0-9a-f]{32}$/.test(text)) {
    const { run } = await native.run(text, signal);
    return [{ kind: "Run", name: run.name, href: to("runs", text), note: text.slice(0, 8) }];
  }
  // The grammar has no escape for a quote inside a text of the same quote.
  const quote = text.includes("'") ? '"' : "'";
  const filter = `attributes.run_name ILIKE ${quote}%${text.replaceAll(quote, "_")}%${quote}`;
  const { runs } = await native.runs({ filter, limit: 12 }, signal);
  return runs.map((run) => ({
    kind: "Run",
    name: run.name,
    href: to("runs", run.id),
    note: run.id.slice(0, 8),
  }));
}
