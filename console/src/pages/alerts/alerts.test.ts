import { describe, expect, it } from "vitest";
import { burn, phaseOf, stateOf } from "./alerts";

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
