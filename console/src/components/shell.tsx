import { type ReactNode, useEffect, useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import { setTheme, type Theme, useTheme } from "../lib/theme";
import { Choice } from "./choice";
import { Icon, type IconName } from "./icons";
import { Palette } from "./palette";

interface Place {
  href: string;
  label: string;
  icon?: IconName;
  /** The heading under which it stands. */
  group?: string;
}

/** The rail lists what exists; a capability adds its line with its pages. */
export const PLACES: Place[] = [
  { href: "/", label: "Overview", icon: "overview" },
  { href: "/experiments", label: "Experiments", icon: "experiments" },
  { href: "/models", label: "Models", icon: "models" },
  { href: "/deployments", label: "Deployments", icon: "deployments" },
  { href: "/rollouts", label: "Rollouts", icon: "rollouts" },
  { href: "/monitors", label: "Monitors", icon: "monitors" },
  { href: "/alerts", label: "Alerts", icon: "alerts" },
  { href: "/cost", label: "Cost", icon: "cost" },
  { href: "/journal", label: "Journal", icon: "journal" },
  { href: "/settings/keys", label: "API keys", group: "Settings" },
  { href: "/settings/audit", label: "Audit", group: "Settings" },
];

function isHere(path: string, href: string): boolean {
  if (href === "/") return path === "/";
  const base = path.startsWith("/runs") || path.startsWith("/compare") ? "/experiments" : path;
  return base === href || base.startsWith(`${href}/`);
}

const THEMES: [Theme, string][] = [
  ["system", "Auto"],
  ["light", "Light"],
  ["dark", "Dark"],
];

function ThemeChoice() {
  return <Choice label="Theme" options={THEMES} value={useTheme()} onChange={setTheme} />;
}

/** Who looks at what, and which server answers. */
export interface Whereabouts {
  tenant: string;
  subject?: string | undefined;
  role?: string | undefined;
  version?: string | undefined;
  onLogout?: (() => void) | undefined;
}

export function Shell({ where, children }: { where: Whereabouts | undefined; children: ReactNode }) {
  const [path] = useLocation();
  const [menu, setMenu] = useState(false);
  const [palette, setPalette] = useState(false);
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);

  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      const typing = target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
      const chord = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k";
      if (chord || (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey)) {
        if (document.querySelector("dialog[open]") && !chord) return;
        event.preventDefault();
        setPalette(true);
      }
      if (event.key === "Escape") setMenu(false);
    };
    document.addEventListener("keydown", key);
    return () => document.removeEventListener("keydown", key);
  }, []);

  // A new page starts at its top, and the keyboard with it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when the path changes
  useEffect(() => {
    setMenu(false);
    if (first.current) {
      first.current = false;
      return;
    }
    scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [path]);

  return (
    <div className="frame">
      <a className="skip" href="#page">
        Skip to the page
      </a>
      <header className="topbar">
        <button
          type="button"
          className="button plain"
          aria-label="Menu"
          aria-expanded={menu}
          aria-controls="rail"
          onClick={() => setMenu(!menu)}
        >
          <Icon name="menu" />
        </button>
        <Link href="/" className="brand">
          <img src={`${import.meta.env.BASE_URL}favicon.svg`} alt="" /> Mainspring
        </Link>
        <button type="button" className="button small" onClick={() => setPalette(true)}>
          Find
        </button>
        {menu && (
          <button
            type="button"
            className="scrim"
            aria-label="Close the menu"
            onClick={() => setMenu(false)}
          />
        )}
      </header>
      <aside className="rail" id="rail" aria-label="Places" data-open={menu}>
        <Link href="/" className="brand">
          <img src={`${import.meta.env.BASE_URL}favicon.svg`} alt="" /> Mainspring
        </Link>
        <div className="place">
          Tenant <strong>{where?.tenant ?? "…"}</strong>
          <br />
          on <strong className="break">{location.host}</strong>
        </div>
        <button type="button" className="find" onClick={() => setPalette(true)}>
          Find anything <kbd>/</kbd>
        </button>
        <nav aria-label="Pages">
          <ul className="nav">
            {PLACES.map((place, i) => (
              <li key={place.href}>
                {place.group && place.group !== PLACES[i - 1]?.group && (
                  <span className="group">
                    <Icon name="settings" /> {place.group}
                  </span>
                )}
                <Link
                  href={place.href}
                  className={place.icon ? "" : "sub"}
                  aria-current={isHere(path, place.href) ? "page" : undefined}
                >
                  {place.icon && <Icon name={place.icon} />}
                  {place.label}
                </Link>
              </li>
            ))}
          </ul>
        </nav>
        <div className="rail-foot">
          {where?.subject && (
            <div className="quiet break">
              {where.subject}
              {where.role && `, ${where.role}`}
            </div>
          )}
          <div className="row">
            <ThemeChoice />
            {where?.onLogout && (
              <button type="button" className="button small" onClick={where.onLogout}>
                Log out
              </button>
            )}
          </div>
          {where?.version && <div className="quiet">Mainspring {where.version}</div>}
        </div>
      </aside>
      <main className="page" id="page" ref={main} tabIndex={-1}>
        {children}
      </main>
      {palette && <Palette places={PLACES} onClose={() => setPalette(false)} />}
    </div>
  );
}
