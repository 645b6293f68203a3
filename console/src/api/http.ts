import { ApiError, readError } from "./errors";
import { CSRF_HEADER, csrfToken, setLoggedOut } from "./session";
import type { Call } from "../lib/shell";

/** Adds the token to changes and notices a lost session. Used by every client of the page. */
export async function guardedFetch(request: Request): Promise<Response> {
  const token = csrfToken();
  if (token !== undefined && request.method !== "GET" && request.method !== "HEAD") {
    request.headers.set(CSRF_HEADER, token);
  }
  const response = await fetch(request);
  if (response.status === 401) setLoggedOut(true);
  return response;
}

/** One answer: its body and the headers that carry ids. */
export interface Reply<T> {
  data: T;
  headers: Headers;
  /** From the call to the last byte, seconds. */
  seconds: number;
}

/** Makes a call whose types are not in our OpenAPI (MLflow's API, the inference protocol). */
export async function call<T>(
  what: string,
  { method, path, body }: Call,
  signal?: AbortSignal,
): Promise<Reply<T>> {
  const started = performance.now();
  const init: RequestInit = { method, credentials: "same-origin" };
  if (signal) init.signal = signal;
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "content-type": "application/json" };
  }
  let response: Response;
  let raw: string;
  try {
    response = await guardedFetch(new Request(new URL(path, location.origin), init));
    raw = await response.text();
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError("no answer from the server", 0, { what });
  }
  let data: unknown = raw;
  try {
    data = raw === "" ? {} : JSON.parse(raw);
  } catch {
    // Left as text: an error page of a proxy, or a plain-text answer.
  }
  if (!response.ok) throw readError(what, response, data);
  return { data: data as T, headers: response.headers, seconds: (performance.now() - started) / 1000 };
}
