import { type ReactNode, type RefObject, useLayoutEffect, useRef, useState } from "react";

/** Whether the content of a box is larger than the box. */
function useScrolls(ref: RefObject<HTMLElement | null>): boolean {
  const [scrolls, setScrolls] = useState(false);
  // Before it is painted, so that no box that scrolls is ever out of the keyboard's reach; and with what is
  // in it, which may grow where the box does not.
  useLayoutEffect(() => {
    const node = ref.current;
    if (!node) return;
    const look = () =>
      setScrolls(node.scrollWidth > node.clientWidth + 1 || node.scrollHeight > node.clientHeight + 1);
    look();
    const watch = new ResizeObserver(look);
    for (const part of [node, ...node.children]) watch.observe(part);
    return () => watch.disconnect();
  });
  return scrolls;
}

/**
 * A box that scrolls what does not fit. It takes the focus, so that the arrow keys scroll it, only while
 * there is something to scroll: a stop for each small table would make the keyboard slow.
 */
export function ScrollBox(props: {
  as?: "div" | "pre";
  className?: string;
  /** What is in it, for screen readers. */
  label: string;
  children: ReactNode;
}) {
  const ref = useRef<HTMLDivElement & HTMLPreElement>(null);
  const scrolls = useScrolls(ref);
  const Tag = props.as ?? "div";
  return (
    <Tag
      ref={ref}
      className={props.className}
      {...(scrolls ? { tabIndex: 0, role: "region", "aria-label": props.label } : {})}
    >
      {props.children}
    </Tag>
  );
}
