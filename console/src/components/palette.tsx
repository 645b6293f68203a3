import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useLocation } from "wouter";
import { find, type Found } from "../api/find";
import { useLater } from "../lib/hooks";

/** Finds any page, run, model or deployment; arrows choose, Enter goes. */
export function Palette(props: { places: { href: string; label: string }[]; onClose: () => void }) {
  const ref = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState("");
  const [asked, setAsked] = useState("");
  const [at, setAt] = useState(0);
  const [, navigate] = useLocation();

  useEffect(() => {
    ref.current?.showModal();
  }, []);
  useEffect(() => {
    const timer = setTimeout(() => setAsked(text.trim()), 120);
    return () => clearTimeout(timer);
  }, [text]);

  const answer = useQuery({
    queryKey: ["find", asked],
    queryFn: ({ signal }) => find(asked, signal),
    placeholderData: (before) => before,
    staleTime: 10_000,
  });
  const late = useLater(answer.isFetching);
  const wanted = text.trim().toLowerCase();
  const pages: Found[] = props.places
    .filter((place) => place.label.toLowerCase().includes(wanted))
    .map((place) => ({ kind: "Page", name: place.label, href: place.href }));
  const options = [...pages, ...(answer.data?.found ?? [])].slice(0, 40);
  const chosen = Math.min(at, Math.max(0, options.length - 1));

  const go = (found: Found | undefined) => {
    if (!found) return;
    props.onClose();
    navigate(found.href);
  };

  // biome-ignore lint/correctness/useExhaustiveDependencies: scrolls when the choice moves
  useEffect(() => {
    ref.current?.querySelector('[aria-selected="true"]')?.scrollIntoView?.({ block: "nearest" });
  }, [chosen, options.length]);

  return (
    <dialog ref={ref} className="palette" aria-label="Find" onClose={props.onClose}>
      <input
        role="combobox"
        aria-label="Find a run, model, deployment or page"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={options.length > 0 ? `palette-${chosen}` : undefined}
        placeholder="Find a run, model, deployment or page"
        autoComplete="off"
        spellCheck={false}
        autoFocus
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          const last = options.length - 1;
          if (event.key === "ArrowDown") setAt(chosen >= last ? 0 : chosen + 1);
          else if (event.key === "ArrowUp") setAt(chosen <= 0 ? Math.max(0, last) : chosen - 1);
          else if (event.key === "Enter") go(options[chosen]);
          else return;
          event.preventDefault();
        }}
      />
      {/* biome-ignore-start lint/a11y/useFocusableInteractive lint/a11y/useKeyWithClickEvents: the combobox keeps the focus and moves aria-activedescendant */}
      <ul id="palette-list" role="listbox" aria-label="What was found">
        {options.map((found, i) => (
          <li
            key={`${found.kind} ${found.href}`}
            id={`palette-${i}`}
            role="option"
            className="option"
            aria-selected={i === chosen}
            onMouseMove={() => setAt(i)}
            onClick={() => go(found)}
          >
            <span>{found.kind}</span>
            <span>{found.name}</span>
            <span>{found.note}</span>
          </li>
        ))}
      </ul>
      {/* biome-ignore-end lint/a11y/useFocusableInteractive lint/a11y/useKeyWithClickEvents: as above */}
      <footer>
        <span aria-live="polite" className="spread">
          {late
            ? "Searching…"
            : options.length === 0
              ? "Nothing has that name"
              : (answer.data?.missing.map((part) => `${part} could not be searched`).join("; ") ?? "")}
        </span>
        <span>
          <kbd>↑</kbd> <kbd>↓</kbd> choose
        </span>
        <span>
          <kbd>Enter</kbd> open
        </span>
      </footer>
    </dialog>
  );
}
