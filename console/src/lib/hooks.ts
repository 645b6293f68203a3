import { type RefObject, useEffect, useState, useSyncExternalStore } from "react";

function onVisibility(tell: () => void): () => void {
  document.addEventListener("visibilitychange", tell);
  return () => document.removeEventListener("visibilitychange", tell);
}

/** Whether the tab can be seen; live data pauses while it cannot. */
export function useVisible(): boolean {
  return useSyncExternalStore(onVisibility, () => document.visibilityState !== "hidden");
}

/** The time, renewed every `everyMs` while the tab is visible. */
export function useNow(everyMs = 10_000): number {
  const visible = useVisible();
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!visible) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [visible, everyMs]);
  return now;
}

/** True once `active` has lasted longer than `ms`: words appear only when waiting is felt. */
export function useLater(active: boolean, ms = 300): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    if (!active) {
      setLate(false);
      return;
    }
    const timer = setTimeout(() => setLate(true), ms);
    return () => clearTimeout(timer);
  }, [active, ms]);
  return late;
}

/** The width of an element in pixels, as it changes; 0 until it is there. */
export function useWidth(ref: RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const node = ref.current;
    if (!node) return;
    const watch = new ResizeObserver(() => setWidth(node.clientWidth));
    watch.observe(node);
    return () => watch.disconnect();
  }, [ref]);
  return width;
}

/** Sets the title of the browser tab. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Mainspring`;
  }, [title]);
}
