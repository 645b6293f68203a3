import type { ReactNode } from "react";
import { Link } from "wouter";
import type { Lineage, LineageGraph } from "../../api/native";
import { plural } from "../../lib/format";
import { to } from "../../lib/url";

type Line = Lineage["versions"][number];
type GraphNode = LineageGraph["nodes"][number];

/** What is shown of jobs and data further up; the command shows the rest. */
const UPSTREAM = 6;

/** `s3://lake` of `dataset:s3://lake:raw`: namespaces and names have colons of their own. */
function namespace({ id, kind, title }: GraphNode): string {
  return id.slice(kind.length + 1, -title.length - 1);
}

/** Jobs and data sets above the data of the run: they were made elsewhere, and others told of them. */
export function upstream(graph: LineageGraph): GraphNode[] {
  const above = new Map<string, string[]>();
  for (const { from, to: below } of graph.edges) above.set(below, [...(above.get(below) ?? []), from]);
  const found = new Set<string>();
  const next = [graph.node];
  for (let at = next.pop(); at !== undefined; at = next.pop()) {
    for (const from of above.get(at) ?? []) {
      if (found.has(from)) continue;
      found.add(from);
      next.push(from);
    }
  }
  const read = new Set(graph.edges.filter((e) => e.to.startsWith("run:")).map((e) => e.from));
  const outside = (n: GraphNode) => n.kind === "job" || n.kind === "dataset";
  return graph.nodes.filter(
    (n) => found.has(n.id) && outside(n) && !read.has(n.id) && !n.id.startsWith("job:mainspring:"),
  );
}

/** Deployments that answer or answered with the version, each with its predictions in the journal. */
export function served(
  line: Line,
  graph: LineageGraph | undefined,
): { name: string; model?: string; predictions?: number | undefined }[] {
  const { name, version } = line.version;
  const tail = `/${name}/${version}`;
  const counts = new Map<string, number>();
  for (const n of graph?.nodes ?? []) {
    if (n.kind === "predictions" && n.id.endsWith(tail))
      counts.set(n.id.slice("predictions:".length, -tail.length), n.predictions ?? 0);
  }
  const none = graph ? 0 : undefined;
  const now = line.deployments.map((d) => ({
    name: d.name,
    model: d.model,
    predictions: counts.get(d.name) ?? none,
  }));
  const before = [...counts]
    .filter(([deployment]) => !now.some((d) => d.name === deployment))
    .map(([deployment, predictions]) => ({ name: deployment, predictions }));
  return [...now, ...before];
}

function Node(props: { kind: string; href?: string; here?: boolean; children: ReactNode }) {
  const content = (
    <>
      <span className="kind">{props.kind}</span>
      {props.children}
    </>
  );
  return props.href ? (
    <Link className="node" href={props.href} data-here={props.here}>
      {content}
    </Link>
  ) : (
    <span className="node" data-here={props.here}>
      {content}
    </span>
  );
}

function None({ kind, children }: { kind: string; children: ReactNode }) {
  return (
    <span className="node none">
      <span className="kind">{kind}</span>
      {children}
    </span>
  );
}

/**
 * Data sets → run → version → deployments, left to right; top to bottom on a narrow screen. The graph comes later than
 * the line: it adds what happened upstream, and the predictions.
 */
export function LineagePicture({ line, graph }: { line: Line; graph?: LineageGraph | undefined }) {
  const { version, run, datasets, madeFrom } = line;
  const above = graph ? upstream(graph) : [];
  const deployments = served(line, graph);
  const columns: { key: string; nodes: ReactNode }[] = [
    ...(above.length > 0
      ? [
          {
            key: "upstream",
            nodes: (
              <>
                {above.slice(0, UPSTREAM).map((n) => (
                  <Node key={n.id} kind={n.kind === "job" ? "Job" : "Dataset"}>
                    {n.title} <span className="quiet small">{namespace(n)}</span>
                  </Node>
                ))}
                {above.length > UPSTREAM && (
                  <span className="quiet small">{above.length - UPSTREAM} more upstream</span>
                )}
              </>
            ),
          },
        ]
      : []),
    {
      key: "datasets",
      nodes:
        datasets.length === 0 ? (
          <None kind="Dataset">none logged</None>
        ) : (
          datasets.map((d) => (
            <Node
              key={`${d.name}${d.digest}${d.context}`}
              kind={d.context ? `Dataset, ${d.context}` : "Dataset"}
            >
              {d.name} <span className="quiet small">{d.digest}</span>
            </Node>
          ))
        ),
    },
    {
      key: "run",
      nodes: run ? (
        <Node kind="Run" href={to("runs", run.id)}>
          {run.name}
          <span className="quiet small"> {plural(Object.keys(run.metrics).length, "metric")}</span>
        </Node>
      ) : (
        <None kind="Run">not known</None>
      ),
    },
    ...(madeFrom
      ? [
          {
            key: "from",
            nodes: (
              <Node kind="Made from" href={`${to("models", version.name)}?v=${madeFrom}`}>
                {version.name} version {madeFrom}
              </Node>
            ),
          },
        ]
      : []),
    {
      key: "version",
      nodes: (
        <Node kind="Model version" here>
          {version.name} version {version.version}
          {version.aliases.length > 0 && <span className="quiet small"> @{version.aliases.join(" @")}</span>}
        </Node>
      ),
    },
    {
      key: "deployments",
      nodes:
        deployments.length === 0 ? (
          <None kind="Deployment">none answers with it</None>
        ) : (
          deployments.map((d) => (
            <Node key={d.name} kind="Deployment" href={to("deployments", d.name)}>
              {d.name} <span className="quiet small">{d.model ?? "answered before"}</span>
              {d.predictions !== undefined && (
                <span className="quiet small predictions">{plural(d.predictions, "prediction")}</span>
              )}
            </Node>
          ))
        ),
    },
  ];
  return (
    <ol className="lineage">
      {columns.map((column, i) => (
        <li key={column.key}>
          {i > 0 && (
            <span className="arrow" aria-hidden="true">
              →
            </span>
          )}
          <div className="col">{column.nodes}</div>
        </li>
      ))}
    </ol>
  );
}
