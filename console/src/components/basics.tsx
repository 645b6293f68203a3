import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import { Link } from "wouter";
import { ago, local, utc } from "../lib/format";
import { useLater, useNow, useVisible } from "../lib/hooks";
import { ScrollBox } from "./scroll-box";

/** The state of a thing: always a word, never colour alone. */
export type State = "ok" | "warn" | "bad" | "live" | "none";

export function Status({ state, children }: { state: State; children: ReactNode }) {
  const mark = { ok: "✓", warn: "!", bad: "✕", live: "●", none: "○" }[state];
  return (
    <span className="status" data-state={state}>
      <span aria-hidden="true">{mark}</span>
      {children}
    </span>
  );
}

export function Chip({ children }: { children: ReactNode }) {
  return <span className="chip">{children}</span>;
}

/** A moment, in words of age or local time; UTC on hover. */
export function Time({ at, exact = false }: { at: number | undefined | null; exact?: boolean }) {
  const now = useNow();
  if (at === undefined || at === null || at <= 0) return <span className="quiet">–</span>;
  return (
    <time
      dateTime={new Date(at).toISOString()}
      title={`${local(at)} local time\n${utc(at)}`}
      className="nowrap"
    >
      {exact ? local(at) : ago(at, now)}
    </time>
  );
}

export interface Crumb {
  label: string;
  href: string;
}

/** The top of a page: where, what, and one line that answers the page's question with figures. */
export function PageHead(props: {
  crumbs?: Crumb[];
  title: ReactNode;
  lead?: ReactNode;
  actions?: ReactNode;
}) {
  return (
    <header className="head">
      <div>
        {props.crumbs && props.crumbs.length > 0 && (
          <nav aria-label="Breadcrumb">
            <ol className="crumbs">
              {props.crumbs.map((crumb) => (
                <li key={crumb.href}>
                  <Link href={crumb.href}>{crumb.label}</Link> <span aria-hidden="true">/</span>
                </li>
              ))}
            </ol>
          </nav>
        )}
        <h1>{props.title}</h1>
        <p className="lead">{props.lead ?? <Skeleton width="40ch" />}</p>
      </div>
      {props.actions && <div className="row">{props.actions}</div>}
    </header>
  );
}

/** Holds the place of something that loads, so that nothing jumps; words come after 300 ms. */
export function Skeleton({ width = "12ch" }: { width?: string }) {
  const late = useLater(true);
  return (
    <>
      <span className="skeleton" style={{ width, maxWidth: "100%" }} aria-hidden="true" />
      {late && <span className="sr">Loading…</span>}
    </>
  );
}

/** A titled block: a picture or a table with its tools. */
export function Card(props: {
  title: ReactNode;
  note?: ReactNode;
  tools?: ReactNode;
  flush?: boolean;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <section className={props.flush ? "card flush" : "card"} aria-labelledby={id}>
      <header>
        <h2 id={id}>{props.title}</h2>
        {props.tools && <div className="row">{props.tools}</div>}
        {props.note && <p>{props.note}</p>}
      </header>
      {props.children}
    </section>
  );
}

export function KeyValue({ items }: { items: [string, ReactNode][] }) {
  return (
    <dl className="kv">
      {items.map(([key, value]) => (
        <div key={key}>
          <dt>{key}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A few big numbers side by side. */
export function Figures({ items }: { items: { label: string; value: ReactNode; note?: ReactNode }[] }) {
  return (
    <dl className="figures">
      {items.map((item) => (
        <div key={item.label}>
          <dt>{item.label}</dt>
          <dd>
            {item.value}
            {item.note !== undefined && <small>{item.note}</small>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  const [state, setState] = useState<"ready" | "done" | "failed">("ready");
  useEffect(() => {
    if (state === "ready") return;
    const timer = setTimeout(() => setState("ready"), 2000);
    return () => clearTimeout(timer);
  }, [state]);
  return (
    <button
      type="button"
      className="button small"
      onClick={() => {
        // Outside a secure context (plain HTTP on another host) there is no clipboard.
        const copied = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error("no clipboard"));
        copied.then(
          () => setState("done"),
          () => setState("failed"),
        );
      }}
    >
      <span aria-live="polite">
        {state === "ready" ? label : state === "done" ? "Copied" : "Select it by hand"}
      </span>
    </button>
  );
}

/** Text to read or to paste, with a copy button. */
export function Code({
  text,
  wrap = false,
  label = "Code",
}: {
  text: string;
  wrap?: boolean;
  label?: string;
}) {
  return (
    <div className={wrap ? "code wrap" : "code"}>
      <ScrollBox as="pre" label={label}>
        <code>{text}</code>
      </ScrollBox>
      <CopyButton text={text} />
    </div>
  );
}

/** An empty page or table: why it is empty and the next command. */
export function Empty(props: { title: string; children?: ReactNode; command?: string }) {
  return (
    <div className="empty">
      <h2>{props.title}</h2>
      {props.children && <p>{props.children}</p>}
      {props.command && <Code text={props.command} label={`Command: ${props.title}`} />}
    </div>
  );
}

/** A button that opens a small panel; Escape, a click elsewhere and a focus elsewhere close it. */
export function Popover(props: {
  label: ReactNode;
  title: string;
  narrow?: boolean;
  small?: boolean;
  children: ReactNode;
}) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    // A click elsewhere, or the keyboard that went on.
    const away = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    const key = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      setOpen(false);
      button.current?.focus();
    };
    document.addEventListener("mousedown", away);
    document.addEventListener("focusin", away);
    document.addEventListener("keydown", key);
    return () => {
      document.removeEventListener("mousedown", away);
      document.removeEventListener("focusin", away);
      document.removeEventListener("keydown", key);
    };
  }, [open]);
  // Keeps the panel inside the window: it hangs from the button's right edge, or moves right.
  useEffect(() => {
    const node = panel.current;
    if (!open || !node) return;
    node.style.transform = "none";
    const rect = node.getBoundingClientRect();
    if (rect.left < 16) node.style.transform = `translateX(${16 - rect.left}px)`;
  }, [open]);
  return (
    <div className="pop-anchor" ref={box}>
      <button
        ref={button}
        type="button"
        className={props.small ? "button small" : "button"}
        aria-expanded={open}
        aria-haspopup="dialog"
        onClick={() => setOpen(!open)}
      >
        {props.label}
      </button>
      {open && (
        <div
          ref={panel}
          className={props.narrow ? "pop narrow" : "pop"}
          role="dialog"
          aria-label={props.title}
        >
          {props.children}
        </div>
      )}
    </div>
  );
}

/** Whether figures are live, and when they were last renewed. */
export function Live({ updatedAt, everyMs }: { updatedAt: number; everyMs: number }) {
  const visible = useVisible();
  const now = useNow(1000);
  if (!visible) return <Status state="none">paused while the tab is hidden</Status>;
  const late = updatedAt > 0 && now - updatedAt > everyMs * 4;
  if (updatedAt === 0) return <Status state="none">connecting</Status>;
  return late ? (
    <Status state="warn">no news for {Math.round((now - updatedAt) / 1000)} s</Status>
  ) : (
    <Status state="live">live</Status>
  );
}
