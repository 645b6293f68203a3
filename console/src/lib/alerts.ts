/** Alerts and objectives in words, and which of them are about what a monitor watches. */
import type { Alert, MonitorDetail, Slo } from "../api/native";
import { ms } from "../api/native";
import type { State } from "../components/basics";
import { duration, percent, plural } from "./format";

/** An alert's state as a mark and words. */
export function phaseOf(alert: Pick<Alert, "phase" | "severity" | "silencedBy">): [State, string] {
  if (alert.phase === "firing") {
    if (alert.silencedBy) return ["none", "firing, silenced"];
    return [alert.severity === "page" ? "bad" : "warn", "firing"];
  }
  return [alert.phase === "resolved" ? "ok" : "none", alert.phase];
}

/** Where an alert's own page is in the console. */
export function pageOf(alert: Pick<Alert, "page">): string | undefined {
  return alert.page?.replace(/^\/ui/, "");
}

/** What a page of the console is of: "deployment churn". */
export function pageWords(path: string): string {
  const [, kind = "", name = ""] = path.split("/");
  return `${kind.replace(/s$/, "")} ${decodeURIComponent(name)}`.trim();
}

const SEVERITIES = ["page", "ticket", "info"];

/** How long an alert that has ended is still news. */
const LATELY = 7 * 86_400_000;

/**
 * Alerts of a monitor and of the deployment that it watches: those that fire, the most severe first, and those that ended,
 * or happened, in the last week.
 */
export function alertsOf(
  all: Alert[],
  monitor: Pick<MonitorDetail, "name" | "deployment">,
  now: number,
): { firing: Alert[]; ended: Alert[] } {
  const its = all.filter(
    ({ labels }) => labels.deployment === monitor.deployment || labels.monitor === monitor.name,
  );
  return {
    firing: its
      .filter((a) => a.phase === "firing")
      .sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity)),
    ended: its.filter((a) => a.phase !== "firing" && now - (ms(a.since) ?? 0) < LATELY),
  };
}

/** Objectives as a mark and words. */
export function stateOf(slo: Pick<Slo, "severity" | "budgetLeft">): [State, string] {
  if (slo.severity === "page") return ["bad", "burns fast"];
  if (slo.severity === "ticket") return ["warn", "burns"];
  return slo.budgetLeft <= 0 ? ["warn", "budget used up"] : ["ok", "ok"];
}

/** What is promised: "p99: 99 % in 20 ms". */
export function objectiveWords(slo: Pick<Slo, "objective" | "target" | "withinMs">): string {
  const within = slo.withinMs ? ` in ${duration(slo.withinMs / 1000)}` : "";
  return `${slo.objective} ${percent(slo.target, 4)}${within}`;
}

/** How fast a window of so many seconds burns. */
export function burn(slo: Pick<Slo, "windows">, seconds: number): string {
  const window = slo.windows.find((w) => w.seconds === seconds);
  return window && window.requests > 0 ? window.burnRate.toFixed(2) : "–";
}

/** Whether objectives burn, and of which budget the least is left. */
export function budgetWords(slos: Pick<Slo, "objective" | "severity" | "budgetLeft">[]): string {
  const [first, ...others] = slos;
  if (!first) return "";
  const burning = slos.filter((s) => s.severity).length;
  const least = others.reduce((a, b) => (b.budgetLeft < a.budgetLeft ? b : a), first);
  const left = least.budgetLeft >= 1 ? "all" : percent(least.budgetLeft, 1);
  const burns =
    burning === 0
      ? "Nothing burns"
      : `${burning} of ${plural(slos.length, "objective")} ${burning === 1 ? "burns" : "burn"}`;
  if (others.length === 0 || left === "all") return `${burns}; ${left} of the budget is left.`;
  return `${burns}; least is left of ${least.objective}: ${left} of its budget.`;
}
