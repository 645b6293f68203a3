/** Commands that reach the server this page came from, with the key where it asks for one. */
import { csrfToken } from "../api/session";
import { type Call, curl, quote } from "./shell";

/** Where the command line looks when nothing is said. */
const DEFAULT = "http://127.0.0.1:8080";

/** Whether the server asks this page for a login, and so asks programs for a key. */
export function needsKey(): boolean {
  return csrfToken() !== undefined;
}

export function curlHere(call: Call): string {
  return curl(call, location.origin, needsKey());
}

/** `mainspring …` for this server; each word is quoted as it needs. */
export function mainspring(...words: string[]): string {
  const line = ["mainspring", ...words.map(quote)];
  if (location.origin !== DEFAULT) line.push("--server", location.origin);
  return line.join(" ");
}

/** The variables by which MLflow's client finds this server, as words before a command. */
export function mlflowEnv(): string {
  const key = needsKey() ? " MLFLOW_TRACKING_TOKEN=$MAINSPRING_API_KEY" : "";
  return `MLFLOW_TRACKING_URI=${location.origin}${key}`;
}

/** `mlflow …` for this server. */
export function mlflow(...words: string[]): string {
  return [mlflowEnv(), "mlflow", ...words.map(quote)].join(" ");
}

/** Python with `mlflow` set to this server. */
export function python(body: string): string {
  return `import mlflow\nmlflow.set_tracking_uri("${location.origin}")\n${body}`;
}
