import { useCallback } from "react";
import { useSearchParams } from "wouter";
import type { Sort } from "../components/table";

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
        // What the address holds now, not what it held at the last rendering: a page may set two values
        // one after the other.
        () => {
          const changed = new URLSearchParams(location.search);
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

/** The order of a table in the URL: `name:asc`. The first click on a heading sorts downwards. */
export function useSort(fallback: string): [Sort, (next: Sort) => void, string] {
  const [text, setText] = useParam("order", fallback);
  const at = text.lastIndexOf(":");
  const sort = { key: text.slice(0, at), descending: text.slice(at + 1) !== "asc" };
  const set = useCallback(
    (next: Sort) => setText(`${next.key}:${next.descending ? "desc" : "asc"}`),
    [setText],
  );
  return [sort, set, text];
}

/** A path of our own API. */
export function api(...segments: string[]): string {
  return `/api/v1/${segments.map(encodeURIComponent).join("/")}`;
}

/**
 * A path from segments that may hold any character. A last segment with a dot gets a slash behind
 * it: the server takes `name.ext` for a file, not for a page.
 */
export function to(...segments: string[]): string {
  const path = `/${segments.map(encodeURIComponent).join("/")}`;
  return segments.at(-1)?.includes(".") ? `${path}/` : path;
}

/** The journal's page with the answer of a query. */
export function journalOf(sql: string): string {
  return `/journal?${new URLSearchParams({ sql, run: "1" })}`;
}
