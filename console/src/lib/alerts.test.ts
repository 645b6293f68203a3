import { describe, expect, it } from "vitest";
import type { Alert } from "../api/native";
import { alertsOf, budgetWords, burn, objectiveWords, pageOf, pageWords, phaseOf, stateOf } from "./alerts";

describe("an alert", () => {
  it("is worst when it pages, and quiet when it is silenced", () => {
    expect(phaseOf({ phase: "firing", severity: "page" })).toEqual(["bad", "firing"]);
    expect(phaseOf({ phase: "firing", severity: "ticket" })).toEqual(["warn", "firing"]);
    expect(phaseOf({ phase: "firing", severity: "page", silencedBy: "x" })).toEqual([
      "none",
      "firing, silenced",
    ]);
    expect(phaseOf({ phase: "resolved", severity: "page" })).toEqual(["ok", "resolved"]);
  });
});

describe("an objective", () => {
  it("says that its budget is gone when nothing burns any more", () => {
    expect(stateOf({ budgetLeft: 0.3 })).toEqual(["ok", "ok"]);
    expect(stateOf({ budgetLeft: -0.1 })).toEqual(["warn", "budget used up"]);
    expect(stateOf({ budgetLeft: 0.9, severity: "page" })).toEqual(["bad", "burns fast"]);
  });

  it("has no burn rate without requests", () => {
    const windows = [
      { seconds: 300, requests: 0, bad: 0, burnRate: 0 },
      { seconds: 3600, requests: 10, bad: 1, burnRate: 1.5 },
    ];
    expect(burn({ windows }, 3600)).toBe("1.50");
    expect(burn({ windows }, 300)).toBe("–");
  });
});

describe("objectives together", () => {
  const slo = (objective: string, budgetLeft: number, severity?: string) => ({
    objective,
    budgetLeft,
    severity: severity ?? null,
  });

  it("say whether one burns, and of which the least is left", () => {
    expect(budgetWords([slo("p99", 0.875)])).toBe("Nothing burns; 87.5 % of the budget is left.");
    expect(budgetWords([slo("availability", 0.5), slo("p99", 0.875)])).toBe(
      "Nothing burns; least is left of availability: 50 % of its budget.",
    );
    expect(budgetWords([slo("availability", 1), slo("p99", -99, "page")])).toBe(
      "1 of 2 objectives burns; least is left of p99: −9900 % of its budget.",
    );
    expect(budgetWords([slo("availability", 1), slo("p99", 1)])).toBe(
      "Nothing burns; all of the budget is left.",
    );
    expect(budgetWords([])).toBe("");
  });

  it("say what is promised", () => {
    expect(objectiveWords({ objective: "availability", target: 0.999 })).toBe("availability 99.9 %");
    expect(objectiveWords({ objective: "p99", target: 0.99, withinMs: 0.5 })).toBe("p99 99 % in 500 µs");
  });
});

describe("the alerts of a monitor", () => {
  const now = Date.UTC(2026, 10, 28);
  const alert = (
    fingerprint: string,
    labels: Record<string, string>,
    phase: string,
    daysAgo: number,
    severity = "ticket",
  ): Alert =>
    ({
      fingerprint,
      labels,
      phase,
      severity,
      since: new Date(now - daysAgo * 86_400_000).toISOString(),
    }) as Alert;
  const all = [
    alert("burns", { deployment: "churn", objective: "p99" }, "firing", 20),
    alert("other", { deployment: "fraud" }, "firing", 0),
    alert("moved", { deployment: "churn-old", monitor: "churn-drift" }, "resolved", 1),
    alert("rolled", { deployment: "churn", rollout: "v8" }, "happened", 2),
    alert("old", { deployment: "churn" }, "resolved", 8),
    alert("budget", {}, "firing", 0),
    alert("pages", { deployment: "churn", objective: "p50" }, "firing", 1, "page"),
  ];

  it("are its own and its deployment's, those that fire however old, the most severe first", () => {
    const { firing, ended } = alertsOf(all, { name: "churn-drift", deployment: "churn" }, now);
    expect(firing.map((a) => a.fingerprint)).toEqual(["pages", "burns"]);
    expect(ended.map((a) => a.fingerprint)).toEqual(["moved", "rolled"]);
  });

  it("have their page in the console", () => {
    expect(pageOf({ page: "/ui/deployments/churn" })).toBe("/deployments/churn");
    expect(pageWords("/deployments/churn")).toBe("deployment churn");
    expect(pageWords("/cost")).toBe("cost");
    expect(pageOf({ page: null })).toBeUndefined();
  });
});
