import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { type KeyView, ms, native, type Role } from "../../api/native";
import { Code, Empty, PageHead, Status, Time } from "../../components/basics";
import { Confirm } from "../../components/confirm";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { Table } from "../../components/table";
import { count, plural } from "../../lib/format";
import { mainspring } from "../../lib/here";
import { useNow, useTitle } from "../../lib/hooks";

const ROLES: [Role, string][] = [
  ["infer", "ask deployments for predictions and send feedback"],
  ["read", "also see everything"],
  ["write", "also log, register, deploy and change"],
  ["admin", "also manage keys and read the audit trail"],
];

const LIVES: [string, number | undefined][] = [
  ["90 days", 90 * 86_400],
  ["30 days", 30 * 86_400],
  ["a year", 365 * 86_400],
  ["for ever", undefined],
];

type KeyState = "active" | "expired" | "revoked";

function stateOf(key: KeyView, now: number): KeyState {
  if (key.revokedAt) return "revoked";
  const end = ms(key.expiresAt);
  return end !== undefined && end <= now ? "expired" : "active";
}

function CreateDialog(props: { onMade: (key: string, label: string) => void; onClose: () => void }) {
  const [label, setLabel] = useState("");
  const [role, setRole] = useState<Role>("infer");
  const [life, setLife] = useState(0);
  return (
    <Confirm
      title="Create an API key"
      action="Create"
      disabled={label.trim() === ""}
      onClose={props.onClose}
      onConfirm={async () => {
        const seconds = LIVES[life]?.[1];
        const made = await native.createKey({
          label: label.trim(),
          role,
          ...(seconds ? { expiresInSeconds: seconds } : {}),
        });
        props.onMade(made.key, made.info.label);
      }}
    >
      <div className="stack tight">
        <div className="field">
          <label htmlFor="label">What it is for</label>
          <input
            id="label"
            className="input"
            // biome-ignore lint/a11y/noAutofocus: the dialog was opened to type here
            autoFocus
            value={label}
            placeholder="e.g. checkout service"
            onChange={(e) => setLabel(e.target.value)}
          />
        </div>
        <fieldset>
          <legend className="label">It may</legend>
          {ROLES.map(([value, words]) => (
            <label key={value} className="check">
              <input type="radio" name="role" checked={role === value} onChange={() => setRole(value)} />
              <span>
                <b>{value}</b>: {words}
              </span>
            </label>
          ))}
        </fieldset>
        <div className="field">
          <label htmlFor="life">It lives</label>
          <select id="life" className="input" value={life} onChange={(e) => setLife(Number(e.target.value))}>
            {LIVES.map(([words], i) => (
              <option key={words} value={i}>
                {words}
              </option>
            ))}
          </select>
        </div>
      </div>
    </Confirm>
  );
}

export default function Keys() {
  useTitle("API keys");
  const now = useNow();
  const client = useQueryClient();
  const [creating, setCreating] = useState(false);
  const [rotating, setRotating] = useState<KeyView>();
  const [revoking, setRevoking] = useState<KeyView>();
  const [made, setMade] = useState<{ key: string; label: string }>();
  const query = useQuery({ queryKey: ["keys"], queryFn: ({ signal }) => native.keys(signal) });
  const keys = query.data?.keys;
  const active = keys?.filter((k) => stateOf(k, now) === "active") ?? [];
  const unused = active.filter((k) => !k.lastUsedAt).length;
  const refresh = () => client.invalidateQueries({ queryKey: ["keys"] });
  return (
    <>
      <PageHead
        title="API keys"
        lead={
          query.error && !keys
            ? "The keys could not be listed."
            : keys && (
                <>
                  {keys.length === 0 ? "There is no key yet" : <b>{plural(active.length, "key")}</b>}
                  {keys.length > 0 && (active.length === 1 ? " works" : " work")}
                  {unused > 0 && `, ${count(unused)} never used`}
                  {keys.length > active.length &&
                    `; ${count(keys.length - active.length)} revoked or expired`}
                  . One key works as Bearer token, Basic password or <code>x-api-key</code>.
                </>
              )
        }
        actions={
          <>
            <ShowCall call={{ method: "GET", path: "/api/v1/keys" }} cli={["key", "list"]} />
            <button type="button" className="button primary" onClick={() => setCreating(true)}>
              Create a key
            </button>
          </>
        }
      />
      <div className="stack">
        {made && (
          <div className="notice" role="status">
            <h2>Copy the key “{made.label}” now: it is shown once</h2>
            <div className="below">
              <Code text={made.key} wrap label="The new key" />
            </div>
            <button type="button" className="button small" onClick={() => setMade(undefined)}>
              Done
            </button>
          </div>
        )}
        <Loaded query={query}>
          {() => (
            <Table
              caption="API keys"
              rows={keys}
              rowKey={(k) => k.id}
              empty={
                <Empty
                  title="Create the first key"
                  command={mainspring("key", "create", "checkout service", "--role", "infer")}
                >
                  On this machine no key is needed. Any other address needs one: the server refuses to listen
                  there without authentication.
                </Empty>
              }
              columns={[
                {
                  key: "label",
                  label: "For",
                  head: true,
                  render: (k) => <span className="break">{k.label}</span>,
                },
                { key: "id", label: "Id", render: (k) => <code>{k.id}</code> },
                { key: "role", label: "Role", render: (k) => k.role },
                { key: "groups", label: "Groups", render: (k) => k.groups?.join(", ") ?? "" },
                {
                  key: "state",
                  label: "State",
                  render: (k) => {
                    const state = stateOf(k, now);
                    return (
                      <Status state={state === "active" ? "ok" : state === "expired" ? "warn" : "none"}>
                        {state}
                      </Status>
                    );
                  },
                },
                { key: "made", label: "Made", render: (k) => <Time at={ms(k.createdAt)} /> },
                {
                  key: "used",
                  label: "Last used",
                  render: (k) => (k.lastUsedAt ? <Time at={ms(k.lastUsedAt)} /> : "never"),
                },
                {
                  key: "expires",
                  label: "Ends",
                  render: (k) => (k.expiresAt ? <Time at={ms(k.expiresAt)} exact /> : "never"),
                },
                {
                  key: "act",
                  label: <span className="sr">Change</span>,
                  render: (k) =>
                    stateOf(k, now) === "active" && (
                      <span className="row tight nowrap">
                        <button
                          type="button"
                          className="button small"
                          aria-label={`Rotate ${k.label}`}
                          onClick={() => setRotating(k)}
                        >
                          Rotate
                        </button>
                        <button
                          type="button"
                          className="button small danger"
                          aria-label={`Revoke ${k.label}`}
                          onClick={() => setRevoking(k)}
                        >
                          Revoke
                        </button>
                      </span>
                    ),
                },
              ]}
            />
          )}
        </Loaded>
      </div>
      {creating && (
        <CreateDialog
          onClose={() => setCreating(false)}
          onMade={(key, label) => {
            setMade({ key, label });
            void refresh();
          }}
        />
      )}
      {rotating && (
        <Confirm
          title={`Rotate the key “${rotating.label}”?`}
          action="Rotate"
          onClose={() => setRotating(undefined)}
          onConfirm={async () => {
            const next = await native.rotateKey(rotating.id, 3600);
            setMade({ key: next.key, label: next.info.label });
            await refresh();
          }}
        >
          <p>
            A new secret is made and shown once. The old one works for another hour, so that whoever uses it
            can change over.
          </p>
        </Confirm>
      )}
      {revoking && (
        <Confirm
          title={`Revoke the key “${revoking.label}”?`}
          action="Revoke"
          danger
          onClose={() => setRevoking(undefined)}
          onConfirm={async () => {
            await native.revokeKey(revoking.id);
            await refresh();
          }}
        >
          <p>
            Whoever uses it is refused from now on
            {revoking.lastUsedAt && (
              <>
                ; it was last used <Time at={ms(revoking.lastUsedAt)} />
              </>
            )}
            . This cannot be undone; make a new key instead.
          </p>
        </Confirm>
      )}
    </>
  );
}
