/** What a server said when it did not answer: its own words, what to do next, the request's id. */
export class ApiError extends Error {
  constructor(
    message: string,
    /** HTTP status; 0 when no answer came. */
    readonly status: number,
    readonly details: { what?: string; hint?: string; code?: string; requestId?: string } = {},
  ) {
    super(message);
    this.name = "ApiError";
  }
}

const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined;

/**
 * Reads an error body in any of the shapes this server speaks: problem+json (native), `error_code`
 * and `message` (MLflow), `error` (Open Inference Protocol).
 */
export function readError(what: string, response: Response, body: unknown): ApiError {
  const b = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const message =
    text(b.detail) ?? text(b.message) ?? text(b.error) ?? text(b.title) ?? text(body) ?? response.statusText;
  const requestId = response.headers.get("x-request-id") ?? text(b.requestId) ?? text(b.request_id);
  const details: ApiError["details"] = { what };
  const hint = text(b.hint);
  if (hint !== undefined) details.hint = hint;
  const code = text(b.error_code) ?? text(b.code) ?? text(b.kind);
  if (code !== undefined) details.code = code;
  if (requestId !== undefined) details.requestId = requestId;
  return new ApiError(message || `the server answered ${response.status}`, response.status, details);
}

/** What to do when the server gave no hint of its own. */
export function advice(error: ApiError): string {
  if (error.details.hint) return error.details.hint;
  switch (error.status) {
    case 0:
      return "Check that the server still runs (mainspring doctor) and that this page can reach it, then try again.";
    case 401:
      return "Log in again: the session has ended or the key was revoked.";
    case 403:
      return "This key's role does not allow it. Ask an administrator for a key with a higher role.";
    case 404:
      return "It may have been deleted or renamed. Go one page up and choose it again.";
    case 409:
      return "Somebody changed it meanwhile. Load the page again and repeat the change.";
    case 413:
      return "Send less at once.";
    case 429:
    case 503:
      return "The server is busy or starting. Try again in a few seconds.";
    case 501:
      return "This server does not have that capability yet.";
    default:
      return error.status >= 500
        ? "Try again; if it stays, look for the request id in the server's log."
        : "Change the request as the message says and try again.";
  }
}
