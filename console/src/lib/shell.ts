/** Command lines that can be pasted: the same call as the page made. */

/** Quotes one argument for a POSIX shell. */
export function quote(text: string): string {
  return /^[A-Za-z0-9_\-./:=@,%+]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

export interface Call {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  body?: unknown;
}

/** Sends the key that is in the environment; the shell puts it in. */
export const KEY_HEADER = `-H "x-api-key: $MAINSPRING_API_KEY"`;

/** The `curl` command of a call to a server, which may ask for a key. */
export function curl(call: Call, origin: string, key = false): string {
  const parts = ["curl", "-sS"];
  if (call.method !== "GET" && !(call.method === "POST" && call.body !== undefined))
    parts.push("-X", call.method);
  parts.push(quote(`${origin}${call.path}`));
  if (key) parts.push(KEY_HEADER);
  if (call.body !== undefined) {
    parts.push("-H", quote("content-type: application/json"), "-d", quote(JSON.stringify(call.body)));
  }
  return parts.join(" ");
}
