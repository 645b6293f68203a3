import { type FormEvent, useState } from "react";
import { native, type Session } from "../api/native";
import { Code } from "../components/basics";
import { ErrorBox } from "../components/errors";
import { useTitle } from "../lib/hooks";

/** Trades an API key for a session of this browser. */
export function Login({ onSession }: { onSession: (session: Session) => void }) {
  useTitle("Log in");
  const [key, setKey] = useState("");
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<unknown>();
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setFailed(undefined);
    try {
      onSession(await native.login(key.trim()));
    } catch (error) {
      setFailed(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <main className="login">
      <form className="card" onSubmit={(event) => void submit(event)}>
        <span className="brand">
          <img src={`${import.meta.env.BASE_URL}favicon.svg`} alt="" /> Mainspring
        </span>
        <div>
          <h1>Log in</h1>
          <p className="quiet">
            {location.host} asks for an API key. It is sent once and traded for a session of this browser.
          </p>
        </div>
        {failed !== undefined && <ErrorBox error={failed} />}
        <div className="field">
          <label htmlFor="key">API key</label>
          <input
            id="key"
            className="input mono"
            type="password"
            autoComplete="current-password"
            // biome-ignore lint/a11y/noAutofocus: the only thing to do on this page
            autoFocus
            placeholder="msk_…"
            value={key}
            onChange={(event) => setKey(event.target.value)}
          />
        </div>
        <button type="submit" className="button primary" disabled={busy || key.trim() === ""}>
          {busy ? "Checking the key…" : "Log in"}
        </button>
        <div>
          <p className="quiet small">No key? Whoever runs the server makes one:</p>
          <Code text="mainspring key create console --role read" wrap label="Command" />
        </div>
      </form>
    </main>
  );
}
