import { useCallback } from "react";
import { useSearchParams } from "wouter";

/**
 * One value of the page's state, kept in the URL so that a link holds it. The default is left out.
 * Changes replace the history entry: filters are not places to go back to.
 */
export function useParam(name: string, fallback = ""): [string, (next: string) => void] {
  const [params, setParams] = useSearchParams();
  const value = params.get(name) ?? fallback;
  const set = useCallback(
    (next: string) => {
      setParams(
        (current) => {
          const changed = new URLSearchParams(current);
          if (next === fallback) changed.delete(name);
          else changed.set(name, next);
          return changed;
        },
        { replace: true },
      );
    },
    [name, fallback, setParams],
  );
  return [value, set];
}

/** A set of names in the URL, comma separated; each name is percent-encoded by itself. */
export function useListParam(name: string): [string[], (next: string[]) => void] {
  const [text, setText] = useParam(name);
  const set = useCallback((next: string[]) => setText(writeList(next)), [setText]);
  return [readList(text), set];
}

export function readList(text: string): string[] {
  return text === "" ? [] : text.split(",").map(decodeURIComponent);
}

export function writeList(names: string[]): string {
  return names.map(encodeURIComponent).join(",");
}

/**
 * A path from segments that may hold any character. A last segment with a dot gets a slash behind
 * it: the server takes `name.ext` for a file, not for a page.
 */
export function to(...segments: string[]): string {
  const path = `/${segments.map(encodeURIComponent).join("/")}`;
  return segments.at(-1)?.includes(".") ? `${path}/` : path;
}
