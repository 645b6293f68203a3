/**
 * What the console takes from MLflow's REST API because ours has no call for it: one experiment,
 * deleting and restoring a run, logged models and their files.
 */
import type { Call } from "../lib/shell";
import { call } from "./http";

const ROOT = "/api/2.0/mlflow";

export interface LoggedModel {
  info: {
    model_id: string;
    name: string;
    experiment_id: string;
    creation_timestamp_ms: number;
    status: string;
    artifact_uri: string;
    model_type?: string;
    source_run_id?: string;
    tags?: { key: string; value: string }[];
  };
  data?: { params?: { key: string; value: string }[]; metrics?: { key: string; value: number }[] };
}

interface ListedFile {
  path: string;
  is_dir: boolean;
  file_size?: number | string;
}

const post = (path: string, body: unknown): Call => ({ method: "POST", path: `${ROOT}/${path}`, body });
const get = (path: string): Call => ({ method: "GET", path: `${ROOT}/${path}` });

/** The files of a logged model, one folder. */
export async function loggedModelFiles(
  id: string,
  path: string,
  signal?: AbortSignal,
): Promise<ListedFile[]> {
  const search = path ? `?${new URLSearchParams({ artifact_directory_path: path })}` : "";
  const { data } = await call<{ files?: ListedFile[] }>(
    "list the files of the model",
    get(`logged-models/${encodeURIComponent(id)}/artifacts/directories${search}`),
    signal,
  );
  return data.files ?? [];
}

export const mlflow = {
  async experimentName(id: string, signal?: AbortSignal): Promise<string> {
    const { data } = await call<{ experiment: { name: string } }>(
      `load experiment ${id}`,
      get(`experiments/get?${new URLSearchParams({ experiment_id: id })}`),
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

  async loggedModel(id: string, signal?: AbortSignal): Promise<LoggedModel> {
    const { data } = await call<{ model: LoggedModel }>(
      `load logged model ${id}`,
      get(`logged-models/${encodeURIComponent(id)}`),
      signal,
    );
    return data.model;
  },

  deleteRun: (id: string) => call("delete the run", post("runs/delete", { run_id: id })),
  restoreRun: (id: string) => call("restore the run", post("runs/restore", { run_id: id })),
};
