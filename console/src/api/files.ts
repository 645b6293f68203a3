/** The files of a run and of a logged model: where they are listed and where each one is. */
import { loggedModelFiles, type LoggedModel } from "./mlflow";
import { native } from "./native";

export interface FileEntry {
  /** From the root of the place. */
  path: string;
  isDir: boolean;
  /** Bytes; unknown for a folder. */
  size: number | undefined;
}

export interface FilePlace {
  /** Tells the places of a page apart. */
  id: string;
  label: string;
  list: (path: string, signal?: AbortSignal) => Promise<FileEntry[]>;
  /** The address from which a file downloads. */
  url: (path: string) => string;
  /** How MLflow names a file here. */
  uri: (path: string) => string;
}

export function runFiles(run: string): FilePlace {
  return {
    id: "run",
    label: "Artifacts of the run",
    list: async (path, signal) =>
      (await native.artifacts(run, path, signal)).entries.map((e) => ({
        path: e.path,
        isDir: e.isDir,
        size: e.size ?? undefined,
      })),
    url: (path) => `/get-artifact?${new URLSearchParams({ run_id: run, path })}`,
    uri: (path) => `runs:/${run}/${path}`,
  };
}

export function modelFiles({ info }: LoggedModel): FilePlace {
  const root = `/ajax-api/2.0/mlflow/logged-models/${encodeURIComponent(info.model_id)}/artifacts/files`;
  return {
    id: info.model_id,
    label: `Model “${info.name}”`,
    list: async (path, signal) =>
      (await loggedModelFiles(info.model_id, path, signal)).map((e) => ({
        path: e.path,
        isDir: e.is_dir,
        size: e.file_size === undefined ? undefined : Number(e.file_size),
      })),
    url: (path) => `${root}?${new URLSearchParams({ artifact_file_path: path })}`,
    uri: () => `models:/${info.model_id}`,
  };
}
