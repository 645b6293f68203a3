import { type FormEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { ErrorBox } from "./errors";

/**
 * Asks once before a dangerous act, naming what will happen. The act's failure is shown in the
 * dialog, which stays open.
 */
export function Confirm(props: {
  title: string;
  children: ReactNode;
  action: string;
  danger?: boolean;
  disabled?: boolean;
  onConfirm: () => Promise<unknown>;
  onClose: () => void;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  const act = (event: FormEvent) => {
    event.preventDefault();
    if (busy || props.disabled) return;
    setBusy(true);
    setError(undefined);
    props
      .onConfirm()
      .then(props.onClose, setError)
      .finally(() => setBusy(false));
  };
  return (
    <dialog ref={ref} aria-labelledby={id} onCancel={props.onClose} onClose={props.onClose}>
      {/* A form, so that Enter in a field of it acts. */}
      <form className="stack" onSubmit={act}>
        <h2 id={id}>{props.title}</h2>
        <div>{props.children}</div>
        {error !== undefined && <ErrorBox error={error} />}
        <div className="row end">
          <button type="button" className="button" onClick={props.onClose}>
            Cancel
          </button>
          <button
            type="submit"
            className={props.danger ? "button danger" : "button primary"}
            disabled={busy || props.disabled}
          >
            {busy ? "Working…" : props.action}
          </button>
        </div>
      </form>
    </dialog>
  );
}
