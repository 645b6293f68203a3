import { useEffect, useRef, useState } from "react";
import type { LiveTick } from "../api/native";
import { useVisible } from "./hooks";

/** Seconds of traffic that a live page keeps. */
export const WINDOW = 120;

export interface LiveState {
  ticks: LiveTick[];
  /** When the last tick came, by this machine's clock; 0 before the first. */
  updatedAt: number;
  /** The stream broke and is being opened again. */
  broken: boolean;
}

/** Adds a tick: in order, one per second, no more than the window. */
export function addTick(ticks: LiveTick[], tick: LiveTick): LiveTick[] {
  const last = ticks.at(-1);
  if (last && tick.atMs <= last.atMs) return ticks;
  const from = tick.atMs - WINDOW * 1000;
  // The stream was interrupted: an empty tick breaks the lines, so that nothing is drawn over the gap.
  const gap = last && tick.atMs - last.atMs > 2500 ? [{ atMs: last.atMs + 1000, versions: [] }] : [];
  return [...ticks, ...gap, tick].filter((t) => t.atMs > from);
}

/**
 * Follows a stream of server-sent `tick` events. Closed while the tab is hidden, opened again when
 * it is seen: nobody pays for figures that nobody looks at.
 */
export function useLive(path: string): LiveState {
  const visible = useVisible();
  const [state, setState] = useState<LiveState>({ ticks: [], updatedAt: 0, broken: false });
  const shown = useRef(path);
  useEffect(() => {
    if (shown.current !== path) {
      shown.current = path;
      setState({ ticks: [], updatedAt: 0, broken: false });
    }
    if (!visible || typeof EventSource === "undefined") return;
    const source = new EventSource(path);
    source.addEventListener("tick", (event) => {
      const tick = JSON.parse((event as MessageEvent<string>).data) as LiveTick;
      setState((s) => ({ ticks: addTick(s.ticks, tick), updatedAt: Date.now(), broken: false }));
    });
    source.addEventListener("error", () => setState((s) => ({ ...s, broken: true })));
    return () => source.close();
  }, [path, visible]);
  return state;
}
