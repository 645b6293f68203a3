import { Link } from "wouter";
import { useParam } from "../lib/url";

export type TabList<K extends string> = readonly (readonly [K, string])[];

/** The tab that the address names; the first one when it names none of them. */
export function useTab<K extends string>(tabs: TabList<K>): K {
  const [text] = useParam("tab");
  const [first] = tabs;
  return tabs.find(([key]) => key === text)?.[0] ?? (first?.[0] as K);
}

/** The parts of one page, as links: each part has an address. */
export function Tabs<K extends string>(props: { label: string; href: string; tabs: TabList<K>; at: K }) {
  return (
    <nav className="tabs" aria-label={props.label}>
      {props.tabs.map(([key, label], i) => (
        <Link
          key={key}
          href={i === 0 ? props.href : `${props.href}?tab=${key}`}
          replace
          aria-current={props.at === key ? "page" : undefined}
        >
          {label}
        </Link>
      ))}
    </nav>
  );
}
