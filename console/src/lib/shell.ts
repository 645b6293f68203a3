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

/** The `curl` command of a call to this server. */
export function curl(call: Call, origin: string): string {
  const parts = ["curl", "-sS"];
  if (call.method !== "GET" && !(call.method === "POST" && call.body !== undefined))
    parts.push("-X", call.method);
  parts.push(quote(`${origin}${call.path}`));
  if (call.body !== undefined) {
    parts.push("-H", quote("content-type: application/json"), "-d", quote(JSON.stringify(call.body)));
  }
  return parts.join(" ");
}
