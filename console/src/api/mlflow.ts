/**
 * What the console takes from MLflow's REST API because ours has no call for it: one experiment,
 * deleting and restoring a run, logged models and the bytes of an artifact.
 */
import type { Call } from "../lib/shell";
import { call } from "./http";

const ROOT = "/api/2.0/mlflow";

export interface LoggedModel {
  info: { model_id: string; name: string; status: string; source_run_id?: string };
}

const post = (path: string, body: unknown): Call => ({ method: "POST", path: `${ROOT}/${path}`, body });

export const mlflow = {
  async experimentName(id: string, signal?: AbortSignal): Promise<string> {
    const path = `${ROOT}/experiments/get?${new URLSearchParams({ experiment_id: id })}`;
    const { data } = await call<{ experiment: { name: string } }>(
      `load experiment ${id}`,
      { method: "GET", path },
      signal,
    );
    return data.experiment.name;
  },

  /** Models that a run logged (MLflow 3), newest first. */
  async loggedModels(experiment: string, run: string, signal?: AbortSignal): Promise<LoggedModel[]> {
    const body = { experiment_ids: [experiment], filter: `source_run_id = '${run}'`, max_results: 50 };
    const { data } = await call<{ models?: LoggedModel[] }>(
      "list the logged models",
      post("logged-models/search", body),
      signal,
    );
    return data.models ?? [];
  },

  deleteRun: (id: string) => call("delete the run", post("runs/delete", { run_id: id })),
  restoreRun: (id: string) => call("restore the run", post("runs/restore", { run_id: id })),
};

/** The address from which one artifact of a run downloads. */
export function artifactUrl(run: string, path: string): string {
  return `/get-artifact?${new URLSearchParams({ run_id: run, path })}`;
}
