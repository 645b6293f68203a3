import { describe, expect, it } from "vitest";
import type { Rollout, RolloutDecision, RolloutMetric } from "../api/native";
import {
  arms,
  candidate,
  course,
  effectWords,
  evidence,
  eValue,
  findingWords,
  gainWords,
  leftOutWords,
  orders,
  phaseWords,
  promotable,
  promoteText,
  ratioWords,
  segments,
  stepWords,
  testWords,
  waitsFor,
} from "./rollout";

const at = "2026-11-25T12:00:00Z";

const metric = (change: Partial<RolloutMetric>): RolloutMetric => ({
  name: "errors",
  role: "guardrail",
  finding: "unclear",
  required: true,
  scale: "ratio",
  units: [900, 100],
  ...change,
});

const rollout = (change: Partial<Rollout>): Rollout => ({
  name: "churn-next",
  deployment: "churn",
  run: 1,
  phase: "step",
  since: at,
  createdAt: at,
  variants: [
    { name: "stable", model: "models:/churn/7", weight: 0.95, units: 900, stepUnits: 900, answers: 1800 },
    { name: "v8", model: "models:/churn/8", weight: 0.05, units: 100, stepUnits: 60, answers: 200 },
  ],
  steps: [
    { title: "canary 5%", state: "now" },
    { title: "A/B test 50%", state: "next" },
  ],
  metrics: [],
  weights: [{ since: at, weights: [0.95, 0.05], shadow: false }],
  orders: ["pause", "skip", "promote", "abort"],
  decisions: 2,
  ...change,
});

describe("what became of its steps", () => {
  const states = (change: Partial<Rollout>) => course(rollout(change)).map((step) => step.state);
  const both = (first: string, second: string) => [
    { title: "canary 5%", state: first },
    { title: "A/B test 50%", state: second },
  ];

  it("ends with the promotion, or says where it was rolled back and what it never reached", () => {
    expect(states({})).toEqual(["now", "next", "next"]);
    expect(states({ phase: "succeeded", steps: both("done", "done") })).toEqual(["done", "done", "done"]);
    const back = { phase: "rolledBack", startedAt: at };
    expect(states({ ...back, steps: both("next", "next") })).toEqual(["ended", "missed", "missed"]);
    expect(states({ ...back, steps: both("done", "next") })).toEqual(["done", "ended", "missed"]);
    expect(states({ ...back, steps: both("done", "done") })).toEqual(["done", "done", "ended"]);
    expect(states({ phase: "rolledBack", steps: both("next", "next") })).toEqual([
      "missed",
      "missed",
      "missed",
    ]);
  });

  it("shows the numbers of the last decision once nothing is measured any more", () => {
    const numbers = { ...decided("promoted", "it is better"), metrics: [metric({})] };
    const after = { ...decided("succeeded", "nothing spoke against it"), metrics: [] };
    expect(evidence(rollout({ phase: "succeeded" }), [after, numbers]).metrics).toEqual(numbers.metrics);
    expect(evidence(rollout({}), [numbers]).metrics).toEqual([]);
    expect(evidence(rollout({ phase: "succeeded" }), undefined).metrics).toEqual([]);
    // The server gives them with the rollout, and says of which decision they are.
    const of = { ...decided("rolledBack", "errors is worse"), seq: 7, metrics: [] };
    const over = rollout({ phase: "rolledBack", metrics: [metric({})], evidenceOf: 7, evidenceUntil: at });
    expect(evidence(over, [after, of])).toEqual({ metrics: over.metrics, decided: of });
    expect(evidence(over, undefined)).toEqual({ metrics: over.metrics, until: at });
  });
});

const decided = (kind: string, sentence: string) => ({ kind, sentence }) as RolloutDecision;

describe("where a rollout is", () => {
  it("has a word and a mark for each phase, and calls a step that does not go on held", () => {
    expect(phaseWords(rollout({}))).toEqual(["live", "under way"]);
    const hold = { cause: "noNews", reason: "the journal has said nothing for 2 min", since: at };
    expect(phaseWords(rollout({ hold }))).toEqual(["warn", "held"]);
    expect(phaseWords(rollout({ phase: "pending", hold }))[1]).toBe("waits for the deployment");
    expect(phaseWords(rollout({ phase: "succeeded" }))[0]).toBe("ok");
    expect(phaseWords(rollout({ phase: "rolledBack" }))).toEqual(["bad", "rolled back"]);
    expect(phaseWords(rollout({ phase: "landing" }))).toEqual(["none", "landing"]);
  });

  it("names the step that is under way, and none outside the steps", () => {
    expect(stepWords(rollout({}))).toBe("step 1 of 2, canary 5%");
    expect(stepWords(rollout({ steps: [{ title: "canary 5%", state: "done" }] }))).toBeUndefined();
  });

  it("says who gets what in a step and what it waits for", () => {
    expect(waitsFor(rollout({}))).toBe(
      "v8 answers 5 % of the units; 60 units got it in this step. It goes on once the step has lasted long enough and reached its units.",
    );
    const last = [
      { title: "canary 5%", state: "done" },
      { title: "A/B test 50%", state: "now" },
    ];
    const metrics = [
      metric({}),
      metric({ name: "p99", finding: "non-inferior" }),
      metric({ name: "accepted", role: "success", finding: "no-data" }),
      metric({ name: "late", required: false }),
      metric({ name: "srm", role: "quality" }),
    ];
    expect(waitsFor(rollout({ steps: last, metrics }))).toMatch(/A promotion waits for errors, accepted\.$/);
  });

  it("speaks of several candidates together, until one has all the traffic", () => {
    const three = (weights: number[]) =>
      ["stable", "v8", "v9"].map((name, i) => ({
        ...rollout({}).variants[0],
        name,
        model: `models:/churn/${name}`,
        weight: weights[i] ?? 0,
        units: 0,
        stepUnits: 0,
        answers: 0,
      }));
    expect(candidate({ variants: three([0.5, 0.3, 0.2]) })).toMatchObject({ name: "v8 + v9", weight: 0.5 });
    expect(waitsFor(rollout({ phase: "watching", variants: three([0, 0, 1]) }))).toContain(
      "v9 has all the traffic",
    );
  });

  it("says that nobody gets the answers of a shadow", () => {
    const weights = [{ since: at, weights: [1, 0], shadow: true }];
    expect(waitsFor(rollout({ weights }))).toMatch(/^v8 answers in the shadow: nobody gets its answers\./);
  });

  it("says why it is held instead of what comes next", () => {
    const hold = { cause: "notReady", reason: "v8 is not ready: loading", since: at };
    const text = waitsFor(rollout({ hold }));
    expect(text).toMatch(/It does not go on: v8 is not ready: loading\.$/);
    expect(text).not.toContain("goes on once");
    expect(waitsFor(rollout({ phase: "pending", hold, variants: [] }))).toBe(
      "It has not begun: v8 is not ready: loading.",
    );
  });

  it("gives the sentence of the last decision where a decision explains the phase", () => {
    const log = [decided("closed", "v8 is unloaded"), decided("rolledBack", "rolled back: errors is worse")];
    expect(waitsFor(rollout({ phase: "rolledBack" }), log)).toBe(
      "Stable has all the traffic: rolled back: errors is worse.",
    );
    expect(waitsFor(rollout({ phase: "paused" }), log)).not.toContain("errors is worse");
    expect(waitsFor(rollout({ phase: "approval" }), log)).toBe("A person must agree before it goes on.");
    const needs = [
      { group: "risk", wanted: 2, by: ["key:1"] },
      { group: "legal", wanted: 1, by: [] },
      { wanted: 1, by: ["key:1"] },
    ];
    const approval = { before: "promotion", needs, notBy: "key:2" };
    expect(waitsFor(rollout({ phase: "approval", approval }), log)).toBe(
      "It waits for 1 more approval of group risk (key:1 agreed) and 1 approval of group legal, and not of key:2, who began it.",
    );
    const asked = { ...approval, webhooks: ["board"], notBy: undefined };
    expect(waitsFor(rollout({ phase: "approval", approval: asked }), log)).toMatch(
      /1 approval of group legal, then webhook board\.$/,
    );
  });

  it("says what a webhook answered, before the first request and before a step", () => {
    const hold = { cause: "webhook", reason: "webhook board answered 403: not before Monday", since: at };
    const preflight = rollout({ phase: "preflight", hold });
    expect(phaseWords(preflight)).toEqual(["warn", "held"]);
    expect(waitsFor(preflight)).toBe(
      "Nobody gets answers of v8 yet: webhook board answered 403: not before Monday.",
    );
    const needs = [{ wanted: 1, by: ["key:1"] }];
    const approval = { before: "promotion", needs, webhooks: ["board"] };
    expect(waitsFor(rollout({ phase: "approval", approval }))).toBe("It waits for webhook board.");
    expect(waitsFor(rollout({ phase: "approval", approval, hold }))).toBe(
      "It waits for webhook board: webhook board answered 403: not before Monday.",
    );
  });
});

describe("what a metric says", () => {
  it("reads the same finding by the role of the metric", () => {
    expect(findingWords(metric({ finding: "non-inferior" }))).toEqual(["ok", "within its margin"]);
    expect(findingWords(metric({ finding: "unclear" }))).toEqual(["none", "not decided"]);
    expect(findingWords(metric({ role: "reported", finding: "worse" }))).toEqual(["none", "worse"]);
    expect(findingWords(metric({ role: "signal" }))).toEqual(["ok", "calm"]);
    expect(findingWords(metric({ role: "signal", finding: "worse" }))).toEqual(["warn", "moved"]);
    expect(findingWords(metric({ role: "quality", finding: "worse" }))[0]).toBe("bad");
    expect(findingWords(metric({ role: "signal", finding: "no-data" }))).toEqual(["none", "no data"]);
  });

  it("names the test that the file chose, and how far its looks are", () => {
    const reached = { z: 1, bound: 2.1 };
    const looks = { due: 3, of: 5, units: 600, maxUnits: 1000, harm: reached, holds: reached, better: reached };
    expect(testWords(metric({ tested: { test: "groupSequential", alpha: 0.01, looks } }))).toBe(
      "group-sequential at 1 %, look 3 of 5",
    );
    expect(testWords(metric({ tested: { test: "msprt" } }))).toBe("mSPRT");
    expect(testWords(metric({}))).toBeUndefined();
  });

  it("writes an effect with open ends, and evidence as an e-value", () => {
    expect(effectWords(metric({ effect: { estimate: 1.02, low: 0.9 } }))).toBe("1.02 (0.9 to ∞)");
    expect(effectWords(metric({ effect: { estimate: 0.5, high: 2 } }))).toBe("0.5 (0 to 2)");
    const less = metric({ scale: "difference", effect: { estimate: -0.5, high: 0.25 } });
    expect(effectWords(less)).toBe("−0.5 (−∞ to 0.25)");
    expect(effectWords(metric({}))).toBe("–");
    expect(eValue(Math.log(20))).toBe("20");
    expect(eValue(0)).toBe("1");
    expect(eValue(Math.log(999_000))).toBe("999,000");
    expect(eValue(Math.log(7.8e17))).toBe("over 10¹⁷");
    expect(eValue(5000)).toBe("over 10²¹");
    expect(eValue(undefined)).toBe("–");
  });

  it("says whether the units are what the weights promise", () => {
    const srm = metric({ name: "srm", role: "quality", units: [9500, 500] });
    expect(ratioWords(srm)).toBe("9,500 units of stable and 500 of the candidate fit the weights.");
    expect(ratioWords({ ...srm, finding: "worse" })).toContain("cannot be trusted");
    expect(ratioWords({ ...srm, units: [0, 0] })).toBe("Nobody was compared yet.");
  });
});

describe("what a person may order", () => {
  it("offers what the server lists, in its order, and nothing that is not known here", () => {
    expect(orders(rollout({})).map((o) => o.order)).toEqual(["pause", "skip", "promote", "abort"]);
    expect(orders(rollout({ orders: [] }))).toEqual([]);
    expect(orders(rollout({ orders: ["abort", "dance", "toString"] })).map((o) => o.order)).toEqual([
      "abort",
    ]);
  });

  it("says what will happen, with the models", () => {
    const by = new Map(orders(rollout({})).map((o) => [o.order, o]));
    expect(by.get("promote")?.text).toContain("v8 (models:/churn/8) gets all the traffic of churn at once");
    expect(by.get("abort")?.text).toContain("Stable (models:/churn/7) gets all the traffic of churn again");
    const [early] = orders(rollout({ phase: "pending", variants: [], orders: ["abort"] }));
    expect(early?.text).toBe("It ends before it began; churn stays as it is.");
    expect(by.get("skip")?.text).toContain("It goes on to A/B test 50%");
    expect([...by.values()].filter((o) => o.danger).map((o) => o.order)).toEqual([
      "skip",
      "promote",
      "abort",
    ]);
  });
});

describe("a promotion of one of several", () => {
  const [stable, v8] = rollout({}).variants;
  const two = (change: Partial<Rollout>) =>
    rollout({
      variants: [stable, v8, { ...v8, name: "v9", model: "models:/churn/9" }] as Rollout["variants"],
      ...change,
    });

  it("names the one that leads, or the one that was chosen, and none where neither is known", () => {
    expect(promoteText(two({ chosen: "v9" }))).toContain("v9 (models:/churn/9) gets all the traffic");
    expect(promoteText(two({ chosen: "v9" }), "v8")).toContain("v8 (models:/churn/8) gets all the traffic");
    expect(promoteText(two({}))).toContain("The candidate gets all the traffic");
    expect(promoteText(rollout({}))).toContain("v8 (models:/churn/8)");
    const text = (r: Rollout) => orders(r).find((o) => o.order === "promote")?.text;
    expect(text(two({ chosen: "v9" }))).toContain("v9 (models:/churn/9)");
    expect(waitsFor(two({ phase: "review", chosen: "v9" }))).toContain("and v9 leads: promote a candidate");
  });

  it("leaves out who was taken out", () => {
    const gone = two({ chosen: "v9" });
    gone.variants = gone.variants.map((v) => ({ ...v, dropped: v.name === "v8" }));
    expect(promotable(gone).map((v) => v.name)).toEqual(["v9"]);
    expect(waitsFor({ ...gone, phase: "review" })).toContain("promote the candidate or abort");
  });
});

describe("what is not counted", () => {
  const none = { unitless: 0, warmUp: 0, strangers: 0, unmatchedLabels: 0, late: 0, crowdedOut: 0, forgotten: 0 };

  it("says first what whoever asks can mend", () => {
    const leftOut = { ...none, unitless: 4614, carrier: "header x-user-id", warmUp: 12, late: 1 };
    expect(leftOutWords({ leftOut })).toEqual({
      unitless: "4,614 answers are not counted: their requests had no header x-user-id, which is the unit.",
      others: "Left out: 12 answers of the warm-up; 1 events that came after their look, and count since.",
    });
    expect(leftOutWords({ leftOut: none })).toEqual({});
    expect(leftOutWords({})).toEqual({});
  });

  it("names the signals that a person let pass", () => {
    expect(waitsFor(rollout({ passedSignals: ["score", "shape"] }))).toContain(
      "got it in this step. Let pass until calm: score, shape. It goes on once",
    );
  });
});

describe("a bandit", () => {
  const arm = (variant: string, best: number) => ({
    variant,
    units: 200,
    best,
    mean: { value: 0.3, standardError: 0.01 },
    effective: 150,
  });
  const decision = (seq: number, change: Partial<RolloutDecision>): RolloutDecision => ({
    seq,
    at,
    kind: "reweighted",
    by: "controller",
    sentence: "",
    because: [],
    weight: 0.5,
    phase: "step",
    metrics: [],
    ...change,
  });
  const names = (found: ReturnType<typeof arms>) => found.rows.map((r) => [r.variant, r.weight, r.leads]);

  it("has a row a variant with the weight that it has, and names the best", () => {
    const found = arms(rollout({ arms: [arm("stable", 0.2), arm("v8", 0.8)] }), [
      decision(2, { arms: [arm("v8", 1)] }),
    ]);
    expect(names(found)).toEqual([
      ["stable", 0.95, false],
      ["v8", 0.05, true],
    ]);
    expect(found.decided).toBeUndefined();
  });

  it("shows the newest decision that had some after the end, and nothing where there is no bandit", () => {
    const told = [decision(4, {}), decision(3, { arms: [arm("v8", 0.99)] }), decision(2, { arms: [arm("v8", 0.6)] })];
    const found = arms(rollout({ phase: "succeeded" }), told);
    expect([found.decided?.seq, found.rows[0]?.best]).toEqual([3, 0.99]);
    expect(arms(rollout({}), [decision(1, {})]).rows).toEqual([]);
    expect(arms(rollout({}), undefined).rows).toEqual([]);
  });
});

describe("a contextual bandit", () => {
  const arm = (variant: string, weight: number) => ({
    variant,
    units: 200,
    mean: { value: 0.3, standardError: 0.01 },
    best: weight,
    weight,
  });
  const contexts = [
    { context: 0, title: "other age", share: 0, arms: [arm("stable", 0.5), arm("v8", 0.5)] },
    { context: 1, title: "age < 40", share: 0.4, arms: [arm("stable", 0.9), arm("v8", 0.1)] },
    { context: 2, title: "age ≥ 40", share: 0.6, arms: [arm("stable", 0.2), arm("v8", 0.8)] },
  ];

  it("has a row a variant in each context with traffic, the largest first", () => {
    const rows = segments(rollout({ contexts }));
    expect(rows.map((r) => [r.title, r.variant, r.first, r.leads])).toEqual([
      ["age ≥ 40", "stable", true, false],
      ["age ≥ 40", "v8", false, true],
      ["age < 40", "stable", true, true],
      ["age < 40", "v8", false, false],
    ]);
    expect(segments(rollout({}))).toEqual([]);
  });

  it("says what it brought, and whether that is shown", () => {
    const words = (low: number | undefined, high: number) =>
      gainWords({ over: "v8", units: 1000, gain: { low, estimate: 0.1, high } });
    expect(words(0.05, 0.15)).toContain("brought 0.1 more than v8 alone, 0.05 to 0.15");
    expect(words(0.05, 0.15)).toMatch(/units\.$/);
    expect(words(-0.05, 0.15)).toContain("not shown yet");
    expect(words(-0.2, -0.1)).toContain("better alone");
    expect(words(undefined, 0.1)).toContain("unbounded to 0.1");
  });
});
