import type { ReactNode } from "react";
import { Link } from "wouter";
import type { Lineage } from "../../api/native";
import { plural } from "../../lib/format";
import { to } from "../../lib/url";

type Line = Lineage["versions"][number];

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

/** Data sets → run → version → deployments, left to right; top to bottom on a narrow screen. */
export function LineagePicture({ line }: { line: Line }) {
  const { version, run, datasets, deployments, madeFrom } = line;
  const columns: { key: string; nodes: ReactNode }[] = [
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
              {d.name} <span className="quiet small">{d.model}</span>
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
