import { useState } from "react";
import { native } from "../../api/native";
import { Chip } from "../../components/basics";
import { Confirm } from "../../components/confirm";
import { plural } from "../../lib/format";

/** A move of an alias, so that it can be taken back. */
export interface Move {
  alias: string;
  from: string | undefined;
  to: string | undefined;
}

/** What is wrong with a name for an alias, in words. */
export function wrongAlias(alias: string): string | undefined {
  if (alias === "") return "Give the alias a name.";
  return /[\s/:@]/.test(alias) || /^v?\d+$/i.test(alias) || alias === "latest"
    ? "Letters, digits, dashes; not a version number and not “latest”."
    : undefined;
}

/** Asks which alias shall point at a version, and says which deployments will follow. */
export function AliasDialog(props: {
  model: string;
  version: string;
  aliases: Record<string, string>;
  /** The model URIs by which deployments name this model. */
  users: string[];
  onDone: (move: Move) => void;
  onClose: () => void;
}) {
  const known = Object.keys(props.aliases);
  const [alias, setAlias] = useState(
    known.includes("champion") || known.length === 0 ? "champion" : (known[0] ?? ""),
  );
  const from = props.aliases[alias];
  const wrong = wrongAlias(alias);
  const users = props.users.filter((uri) => uri === `models:/${props.model}@${alias}`).length;
  return (
    <Confirm
      title={`Point an alias at version ${props.version}`}
      action={from === undefined ? "Set the alias" : "Move the alias"}
      disabled={wrong !== undefined || from === props.version}
      onClose={props.onClose}
      onConfirm={async () => {
        await native.setAlias(props.model, alias, props.version);
        props.onDone({ alias, from, to: props.version });
      }}
    >
      <div className="stack tight">
        <div className="field">
          <label htmlFor="alias">Alias</label>
          <input
            id="alias"
            className="input"
            list="aliases"
            autoComplete="off"
            value={alias}
            aria-invalid={wrong !== undefined}
            onChange={(e) => setAlias(e.target.value.trim())}
          />
          <datalist id="aliases">
            {known.map((a) => (
              <option key={a} value={a} />
            ))}
          </datalist>
          {wrong && <span className="wrong">{wrong}</span>}
        </div>
        <p>
          {from === undefined
            ? `“${alias}” is new; it will point at version ${props.version}.`
            : from === props.version
              ? `“${alias}” points at version ${from} already.`
              : `“${alias}” points at version ${from} now and will point at version ${props.version}.`}
        </p>
        {users > 0 && from !== props.version && (
          <div className="notice warn">
            <p>
              {plural(users, "deployment")} {users === 1 ? "follows" : "follow"} this alias and will load
              version {props.version}, warm it, and then change over without a failed request.
            </p>
          </div>
        )}
        <p className="quiet">You can take it back on this page.</p>
      </div>
    </Confirm>
  );
}

/** Asks before an alias goes. */
export function DropDialog(props: {
  model: string;
  alias: string;
  version: string | undefined;
  onDone: (move: Move) => Promise<unknown>;
  onClose: () => void;
}) {
  const { model, alias, version } = props;
  return (
    <Confirm
      title={`Remove alias “${alias}”?`}
      action="Remove the alias"
      danger
      onClose={props.onClose}
      onConfirm={async () => {
        await native.deleteAlias(model, alias);
        await props.onDone({ alias, from: version, to: undefined });
      }}
    >
      <p>
        <Chip>@{alias}</Chip> points at version {version}. Whoever asks for{" "}
        <code>{`models:/${model}@${alias}`}</code> gets an error afterwards; a running deployment keeps the
        version it has.
      </p>
    </Confirm>
  );
}

/** What was done to an alias, with the way back. */
export function Moved({ move, onUndo, onKeep }: { move: Move; onUndo: () => void; onKeep: () => void }) {
  return (
    <div className="notice" role="status">
      <div className="row">
        <span className="grow">
          {move.to === undefined
            ? `Alias “${move.alias}” is gone; it pointed at version ${move.from}.`
            : `“${move.alias}” points at version ${move.to}${move.from ? ` (was ${move.from})` : ""}.`}
        </span>
        <button type="button" className="button small" onClick={onUndo}>
          Undo
        </button>
        <button type="button" className="button plain small" onClick={onKeep}>
          Keep
        </button>
      </div>
    </div>
  );
}
