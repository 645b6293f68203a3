import { to, writeList } from "./url";

/**
 * The page for a fragment of MLflow's own pages, such as `#/experiments/1/runs/<id>`: its client
 * prints these, and people keep them in notes. Undefined when the fragment is not MLflow's. What
 * has no page here leads to the nearest thing that has one.
 */
export function fromMlflow(hash: string): string | undefined {
  if (!hash.startsWith("#/")) return undefined;
  const [path = "", search = ""] = hash.slice(1).split("?", 2);
  const params = new URLSearchParams(search);
  let parts: string[];
  try {
    parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    return "/";
  }
  const [noun, id, part, partId, ...rest] = parts;
  switch (noun) {
    case "experiments":
      if (id === undefined) return "/experiments";
      if (part === "runs" && partId !== undefined) return run(partId, rest);
      if (part === "models" && partId !== undefined) return to("logged-models", partId);
      return experiment(id, params);
    case "compare-runs":
    case "metric": {
      const runs = list(params.get("runs"));
      return runs.length > 0 ? `/compare?${new URLSearchParams({ runs: writeList(runs) })}` : "/experiments";
    }
    case "models":
      if (id === undefined) return "/models";
      return part === "versions" && partId !== undefined
        ? `${to("models", id)}?${new URLSearchParams({ v: partId })}`
        : to("models", id);
    default:
      return "/";
  }
}

function run(id: string, rest: string[]): string {
  const [tab, ...path] = rest;
  const page = to("runs", id);
  if (tab === "artifacts" || tab === "artifactPath") {
    return path.length > 0
      ? `${page}?${new URLSearchParams({ tab: "artifacts", path: path.join("/") })}`
      : `${page}?tab=artifacts`;
  }
  return tab === "model-metrics" || tab === "system-metrics" ? `${page}?tab=charts` : page;
}

function experiment(id: string, params: URLSearchParams): string {
  const filter = params.get("searchFilter");
  return filter ? `${to("experiments", id)}?${new URLSearchParams({ filter })}` : to("experiments", id);
}

/** A JSON list of texts, as MLflow writes it into a query. */
function list(text: string | null): string[] {
  try {
    const value: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(value) ? value.map(String) : [];
  } catch {
    return [];
  }
}

/**
 * Puts the page for an MLflow link in the address, once at the start and whenever somebody enters
 * another one. Call it before the first page is drawn.
 */
export function followMlflowLinks(base: string): void {
  const follow = () => {
    const page = fromMlflow(location.hash);
    if (page !== undefined) history.replaceState(null, "", base + page);
  };
  addEventListener("hashchange", follow);
  follow();
}
