/** Our own API. Paths, parameters and bodies are checked against openapi.json by the compiler. */
import createClient from "openapi-fetch";
import { oneAtATime } from "../lib/one-at-a-time";
import { ApiError, readError } from "./errors";
import { guardedFetch } from "./http";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];
export type Applied = Schemas["Applied"];
export type Alert = Schemas["AlertView"];
export type AlertChannel = Schemas["AlertChannelView"];
export type AuditEntry = Schemas["AuditEntry"];
export type BatchesOfVersion = Schemas["BatchesOfVersion"];
export type Budget = Schemas["BudgetView"];
export type ColumnField = Schemas["ColumnField"];
export type CostLine = Schemas["CostLine"];
export type CostReport = Schemas["CostReport"];
export type Dataset = Schemas["DatasetView"];
export type DeploymentDetail = Schemas["DeploymentDetail"];
export type DeploymentRule = Schemas["DeploymentRule"];
export type DeploymentStats = Schemas["DeploymentStats"];
export type DeploymentSummary = Schemas["DeploymentSummary"];
export type Experiment = Schemas["ExperimentView"];
export type Generation = Schemas["Generation"];
export type JournalView = Schemas["JournalView"];
export type KeyView = Schemas["KeyView"];
export type Lineage = Schemas["Lineage"];
export type LineageGraph = Schemas["LineageGraph"];
export type LiveTick = Schemas["LiveTick"];
export type LiveVersion = Schemas["LiveVersion"];
export type MetricPoint = Schemas["MetricPoint"];
export type Model = Schemas["ModelView"];
export type ModelVersion = Schemas["ModelVersionView"];
export type Monitor = Schemas["MonitorSummary"];
export type MonitorColumn = Schemas["MonitorColumn"];
export type MonitorDetector = Schemas["MonitorDetector"];
export type MonitorDetail = Schemas["MonitorView"];
export type MonitorDistribution = Schemas["MonitorDistribution"];
export type MonitorEstimate = Schemas["MonitorEstimate"];
export type MonitorEvent = Schemas["MonitorEvent"];
export type MonitorPoint = Schemas["MonitorPoint"];
export type MonitorWhy = Schemas["MonitorWhy"];
export type MonitorCause = Schemas["MonitorCause"];
export type Overview = Schemas["Overview"];
export type PerformanceComparison = Schemas["PerformanceComparison"];
export type PerformanceGroup = Schemas["PerformanceGroup"];
export type PerformanceMetric = Schemas["PerformanceMetric"];
export type PerformanceReport = Schemas["PerformanceReport"];
/** Each part may be left out. */
export type EstimateReport = Schemas["EstimateReport"];
/** All may be left out. */
export interface EstimateAsked extends Partial<Omit<Schemas["EstimateRequest"], "window" | "reference">> {
  window?: Partial<Schemas["EstimateWindow"]>;
  reference?: { model: string };
}
export type PerformanceAsked = Partial<Schemas["PerformanceRequest"]>;
export type PredictAnswer = Schemas["PredictAnswer"];
export type Quantiles = Schemas["Quantiles"];
export type QueryAnswer = Schemas["QueryAnswer"];
export type RoiGroup = Schemas["RoiGroup"];
export type Role = Schemas["RoleDto"];
export type Rollout = Schemas["RolloutView"];
export type RolloutDecision = Schemas["RolloutDecision"];
export type RolloutGain = Schemas["RolloutGain"];
export type RolloutMetricCourse = Schemas["RolloutMetricCourse"];
export type RolloutMetric = Schemas["RolloutMetric"];
export type RolloutOrder = Schemas["RolloutOrder"];
export type RolloutWeights = Schemas["RolloutWeights"];
export type Run = Schemas["RunSummary"];
export type RunDetail = Schemas["RunDetail"];
export type RunSearch = Schemas["RunSearch"];
export type Session = Schemas["SessionView"];
export type Slo = Schemas["SloView"];
export type Traffic = Schemas["Traffic"];
export type VersionDetail = Schemas["VersionDetail"];
export type VersionStats = Schemas["VersionStatsView"];

const client = createClient<paths>({
  baseUrl: location.origin,
  fetch: guardedFetch,
  credentials: "same-origin",
});

interface Raw<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Unwraps an answer, or throws what the server said. */
async function take<T>(what: string, sent: Promise<Raw<T>>, signal?: AbortSignal): Promise<T> {
  let raw: Raw<T>;
  try {
    raw = await sent;
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError("no answer from the server", 0, { what });
  }
  if (!raw.response.ok) throw readError(what, raw.response, raw.error);
  return raw.data as T;
}

/** The `signal` of a call, when there is one. */
const s = (signal?: AbortSignal) => (signal ? { signal } : {});

const queries = oneAtATime();
/** The server makes one report on performance at a time, and the next waits for its turn. */
const reports = oneAtATime();

export const native = {
  info: (signal?: AbortSignal) =>
    take("read the server’s version", client.GET("/api/v1/info", s(signal)), signal),
  overview: (signal?: AbortSignal) =>
    take("load the overview", client.GET("/api/v1/overview", s(signal)), signal),
  journal: (signal?: AbortSignal) =>
    take("read the journal’s state", client.GET("/api/v1/journal", s(signal)), signal),
  config: (signal?: AbortSignal) =>
    take("read the configuration", client.GET("/api/v1/config", s(signal)), signal),

  session: (signal?: AbortSignal) =>
    take("read the session", client.GET("/api/v1/session", s(signal)), signal),
  login: (key: string) => take("log in", client.POST("/api/v1/session", { body: { key } })),
  logout: () => take("log out", client.DELETE("/api/v1/session")),

  experiments: (signal?: AbortSignal) =>
    take(
      "list the experiments",
      client.GET("/api/v1/experiments", { params: { query: { limit: 1000 } }, ...s(signal) }),
      signal,
    ),
  runs: (body: RunSearch, signal?: AbortSignal) =>
    take("search the runs", client.POST("/api/v1/runs/search", { body, ...s(signal) }), signal),
  run: (id: string, signal?: AbortSignal) =>
    take(
      `load run ${id}`,
      client.GET("/api/v1/runs/{id}", { params: { path: { id } }, ...s(signal) }),
      signal,
    ),
  compare: (runIds: string[], signal?: AbortSignal) =>
    take("compare the runs", client.POST("/api/v1/runs/compare", { body: { runIds }, ...s(signal) }), signal),
  metric: (id: string, key: string, signal?: AbortSignal) =>
    take(
      `load the history of ${key}`,
      client.GET("/api/v1/runs/{id}/metric", {
        params: { path: { id }, query: { key, points: 2000 } },
        ...s(signal),
      }),
      signal,
    ),
  artifacts: (id: string, path: string, signal?: AbortSignal) =>
    take(
      "list the artifacts",
      client.GET("/api/v1/runs/{id}/artifacts", {
        params: { path: { id }, query: path ? { path } : {} },
        ...s(signal),
      }),
      signal,
    ),

  models: (signal?: AbortSignal) =>
    take(
      "list the models",
      client.GET("/api/v1/models", { params: { query: { limit: 1000 } }, ...s(signal) }),
      signal,
    ),
  model: (name: string, signal?: AbortSignal) =>
    take(
      `load model ${name}`,
      client.GET("/api/v1/models/{name}", { params: { path: { name } }, ...s(signal) }),
      signal,
    ),
  lineage: (name: string, signal?: AbortSignal) =>
    take(
      `load the lineage of ${name}`,
      client.GET("/api/v1/models/{name}/lineage", { params: { path: { name } }, ...s(signal) }),
      signal,
    ),
  lineageGraph: (node: string, signal?: AbortSignal) =>
    take(
      `load what led to ${node} and what came of it`,
      client.GET("/api/v1/lineage/graph", { params: { query: { node } }, ...s(signal) }),
      signal,
    ),
  setAlias: (name: string, alias: string, version: string) =>
    take(
      `set alias ${alias} of ${name}`,
      client.PUT("/api/v1/models/{name}/aliases/{alias}", {
        params: { path: { name, alias } },
        body: { version },
      }),
    ),
  deleteAlias: (name: string, alias: string) =>
    take(
      `delete alias ${alias} of ${name}`,
      client.DELETE("/api/v1/models/{name}/aliases/{alias}", { params: { path: { name, alias } } }),
    ),

  deployments: (signal?: AbortSignal) =>
    take("list the deployments", client.GET("/api/v1/deployments", s(signal)), signal),
  deployment: (name: string, signal?: AbortSignal) =>
    take(
      `load deployment ${name}`,
      client.GET("/api/v1/deployments/{name}", { params: { path: { name } }, ...s(signal) }),
      signal,
    ),
  stats: (name: string, signal?: AbortSignal) =>
    take(
      `load the figures of ${name}`,
      client.GET("/api/v1/deployments/{name}/stats", { params: { path: { name } }, ...s(signal) }),
      signal,
    ),
  batches: (name: string, signal?: AbortSignal) =>
    take(
      `load the batches of ${name}`,
      client.GET("/api/v1/deployments/{name}/batches", { params: { path: { name } }, ...s(signal) }),
      signal,
    ),
  rules: (name: string, signal?: AbortSignal) =>
    take(
      `load the rules of ${name}`,
      client.GET("/api/v1/deployments/{name}/rules", { params: { path: { name } }, ...s(signal) }),
      signal,
    ),
  predict: (name: string, rows: Record<string, unknown>[]) =>
    take(
      `ask ${name} for a prediction`,
      client.POST("/api/v1/deployments/{name}/predict", { params: { path: { name } }, body: { rows } }),
    ),

  performance: (name: string, body: PerformanceAsked, signal?: AbortSignal) =>
    reports(
      () =>
        take(
          `measure ${name}`,
          client.POST("/api/v1/deployments/{name}/performance", {
            params: { path: { name } },
            body: body as Schemas["PerformanceRequest"],
            ...s(signal),
          }),
          signal,
        ),
      signal,
    ),

  estimate: (name: string, body: EstimateAsked, signal?: AbortSignal) =>
    reports(
      () =>
        take(
          `estimate ${name}`,
          client.POST("/api/v1/deployments/{name}/estimate", {
            params: { path: { name } },
            body: body as Schemas["EstimateRequest"],
            ...s(signal),
          }),
          signal,
        ),
      signal,
    ),

  alerts: (signal?: AbortSignal) => take("list the alerts", client.GET("/api/v1/alerts", s(signal)), signal),
  slos: (signal?: AbortSignal) => take("list the objectives", client.GET("/api/v1/slos", s(signal)), signal),
  alertChannels: (signal?: AbortSignal) =>
    take(
      "list the alert channels",
      client.GET("/api/v1/alerts/channels", { params: { query: { limit: 1 } }, ...s(signal) }),
      signal,
    ),
  testChannel: (name: string) =>
    take(`test ${name}`, client.POST("/api/v1/alerts/channels/{name}/test", { params: { path: { name } } })),

  /** Of all deployments where none is named. */
  cost: (by: string, lastSeconds: number, deployment: string | undefined, signal?: AbortSignal) =>
    take(
      deployment ? `reckon what ${deployment} cost` : "reckon the costs",
      client.GET("/api/v1/cost", {
        params: { query: { by, lastSeconds, ...(deployment ? { deployment } : {}) } },
        ...s(signal),
      }),
      signal,
    ),
  budgets: (signal?: AbortSignal) =>
    take("list the budgets", client.GET("/api/v1/cost/budgets", s(signal)), signal),
  costHints: (lastSeconds: number, signal?: AbortSignal) =>
    take(
      "look for hints",
      client.GET("/api/v1/cost/hints", { params: { query: { lastSeconds } }, ...s(signal) }),
      signal,
    ),
  roi: (deployment: string, lastSeconds: number, signal?: AbortSignal) =>
    take(
      `reckon what ${deployment} brought`,
      client.GET("/api/v1/cost/roi/{deployment}", {
        params: { path: { deployment }, query: { lastSeconds } },
        ...s(signal),
      }),
      signal,
    ),
  /** Deployments whose outcomes have a declared value. */
  outcomeValues: async (signal?: AbortSignal): Promise<string[]> => {
    const all = await take(
      "list what outcomes are worth",
      client.GET("/api/v1/resources", {
        params: { query: { kind: "OutcomeValue", limit: 1000 } },
        ...s(signal),
      }),
      signal,
    );
    return all.resources.map((r) => String((r.spec as { deployment?: unknown }).deployment));
  },

  profileState: (model: string, signal?: AbortSignal) =>
    take(
      "look for the version’s profile",
      client.GET("/api/v1/profiles/state", { params: { query: { model } }, ...s(signal) }),
      signal,
    ),
  monitors: (signal?: AbortSignal) =>
    take("list the monitors", client.GET("/api/v1/monitors", s(signal)), signal),
  monitor: (name: string, signal?: AbortSignal) =>
    take(
      `load monitor ${name}`,
      client.GET("/api/v1/monitors/{name}", { params: { path: { name } }, ...s(signal) }),
      signal,
    ),
  monitorDistribution: (name: string, column: string, segment: string | undefined, signal?: AbortSignal) =>
    take(
      `load ${column} of ${name}`,
      client.GET("/api/v1/monitors/{name}/distribution", {
        params: { path: { name }, query: { column, ...(segment ? { segment } : {}) } },
        ...s(signal),
      }),
      signal,
    ),
  monitorHistory: (
    name: string,
    last: string,
    column: string,
    segment: string | undefined,
    signal?: AbortSignal,
  ) =>
    take(
      `load the timeline of ${name}`,
      client.GET("/api/v1/monitors/{name}/history", {
        params: { path: { name }, query: { last, column, ...(segment ? { segment } : {}) } },
        ...s(signal),
      }),
      signal,
    ),
  monitorWhy: (name: string, signal?: AbortSignal) =>
    take(
      `load why ${name} drifts`,
      client.GET("/api/v1/monitors/{name}/why", { params: { path: { name } }, ...s(signal) }),
      signal,
    ),
  monitorEvents: (name: string, signal?: AbortSignal) =>
    take(
      `load what ${name} told`,
      client.GET("/api/v1/monitors/{name}/events", { params: { path: { name } }, ...s(signal) }),
      signal,
    ),

  rollouts: (signal?: AbortSignal) =>
    take("list the rollouts", client.GET("/api/v1/rollouts", s(signal)), signal),
  rollout: (name: string, signal?: AbortSignal) =>
    take(
      `load rollout ${name}`,
      client.GET("/api/v1/rollouts/{name}", { params: { path: { name } }, ...s(signal) }),
      signal,
    ),
  rolloutDecisions: (name: string, run: number, before: number | undefined, signal?: AbortSignal) =>
    take(
      `load the decisions of ${name}`,
      client.GET("/api/v1/rollouts/{name}/decisions", {
        params: { path: { name }, query: { run, limit: 50, ...(before ? { before } : {}) } },
        ...s(signal),
      }),
      signal,
    ),
  rolloutCourse: (name: string, run: number, signal?: AbortSignal) =>
    take(
      `read the course of ${name}`,
      client.GET("/api/v1/rollouts/{name}/course", {
        params: { path: { name }, query: { run } },
        ...s(signal),
      }),
      signal,
    ),
  startRollout: (name: string) =>
    take(
      `begin the next run of ${name}`,
      client.POST("/api/v1/rollouts/{name}/start", { params: { path: { name } } }),
    ),
  /** `candidate`: which one to promote, where there are several. */
  orderRollout: (name: string, order: RolloutOrder, query: { candidate?: string; reason?: string }) =>
    take(
      `${order} ${name}`,
      client.POST("/api/v1/rollouts/{name}/orders/{order}", {
        params: { path: { name, order }, query },
      }),
    ),

  history: (kind: string, name: string, signal?: AbortSignal) =>
    take(
      `load the history of ${name}`,
      client.GET("/api/v1/resources/{kind}/{name}/history", {
        params: { path: { kind, name } },
        ...s(signal),
      }),
      signal,
    ),
  rollback: (kind: string, name: string, toGeneration: number) =>
    take(
      `roll ${name} back`,
      client.POST("/api/v1/resources/{kind}/{name}/rollback", {
        params: { path: { kind, name } },
        body: { toGeneration },
      }),
    ),
  remove: (kind: string, name: string) =>
    take(
      `delete ${name}`,
      client.DELETE("/api/v1/resources/{kind}/{name}", { params: { path: { kind, name } } }),
    ),

  query: (sql: string, limit: number, signal?: AbortSignal) =>
    queries(
      () =>
        take("run the query", client.POST("/api/v1/query", { body: { sql, limit }, ...s(signal) }), signal),
      signal,
    ),

  keys: (signal?: AbortSignal) => take("list the keys", client.GET("/api/v1/keys", s(signal)), signal),
  createKey: (body: Schemas["CreateKeyRequest"]) =>
    take("create the key", client.POST("/api/v1/keys", { body })),
  rotateKey: (id: string, graceSeconds: number) =>
    take(
      "rotate the key",
      client.POST("/api/v1/keys/{id}/rotate", { params: { path: { id } }, body: { graceSeconds } }),
    ),
  revokeKey: (id: string) =>
    take("revoke the key", client.DELETE("/api/v1/keys/{id}", { params: { path: { id } } })),
  audit: (pageToken: string | undefined, signal?: AbortSignal) =>
    take(
      "read the audit trail",
      client.GET("/api/v1/audit", {
        params: { query: { limit: 100, ...(pageToken ? { pageToken } : {}) } },
        ...s(signal),
      }),
      signal,
    ),
};

/** A number as the API writes it: NaN and the infinities are texts. */
export function figure(value: Schemas["Number"] | null | undefined): number | undefined {
  if (value === null || value === undefined) return undefined;
  return typeof value === "number" ? value : Number(value);
}

/** Milliseconds of an instant; undefined when there is none. */
export function ms(time: string | null | undefined): number | undefined {
  if (!time) return undefined;
  const at = Date.parse(time);
  return Number.isFinite(at) ? at : undefined;
}
