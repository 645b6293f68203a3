/**
 * The session of this tab. The cookie is the server's; what is kept here is the token that proves a
 * request was made by this page (sent as a header with every change).
 */

const listeners = new Set<() => void>();
let token: string | undefined;
let loggedOut = false;

export const CSRF_HEADER = "x-csrf-token";

export function csrfToken(): string | undefined {
  return token;
}

export function setCsrfToken(next: string | undefined): void {
  token = next;
}

/** Whether the server has asked for a login. */
export function isLoggedOut(): boolean {
  return loggedOut;
}

export function setLoggedOut(next: boolean): void {
  if (loggedOut === next) return;
  loggedOut = next;
  for (const tell of listeners) tell();
}

export function onSession(tell: () => void): () => void {
  listeners.add(tell);
  return () => listeners.delete(tell);
}
