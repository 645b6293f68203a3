import { render, screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import type { LineageGraph } from "../../api/native";
import { LineagePicture, served, upstream } from "./lineage";

type Line = Parameters<typeof LineagePicture>[0]["line"];

const line = (madeFrom?: string) =>
  ({
    version: { name: "churn", version: "3", aliases: [] },
    madeFrom,
    run: null,
    datasets: [],
    deployments: [],
  }) as unknown as Line;

describe("where a version comes from", () => {
  it("leads to the version that it was made from", () => {
    render(<LineagePicture line={line("2")} />);
    const link = screen.getByRole("link", { name: /Made from.*churn version 2/ });
    expect(link.getAttribute("href")).toContain("/models/churn?v=2");
  });

  it("says nothing of it where there is none", () => {
    render(<LineagePicture line={line()} />);
    expect(screen.queryByText("Made from")).toBeNull();
  });
});

/** etl wrote what the run read; the version answers for `churn`, and answered for `old`. */
const graph: LineageGraph = {
  node: "model:churn/3",
  truncated: false,
  nodes: [
    { id: "model:churn/3", kind: "model", title: "churn version 3", distance: 0 },
    { id: "run:r", kind: "run", title: "brave-fox", distance: 1 },
    { id: "dataset:file:/train.csv", kind: "dataset", title: "/train.csv", distance: 2 },
    { id: "job:airflow:etl", kind: "job", title: "etl", distance: 3 },
    { id: "dataset:s3://lake:raw", kind: "dataset", title: "raw", distance: 4 },
    { id: "predictions:churn/churn/3", kind: "predictions", title: "", distance: 2, predictions: 1234 },
    { id: "predictions:old/churn/3", kind: "predictions", title: "", distance: 2, predictions: 1 },
    { id: "job:mainspring:bulk/churn", kind: "job", title: "bulk/churn", distance: 1 },
    { id: "dataset:file:/out", kind: "dataset", title: "/out", distance: 2 },
  ],
  edges: [
    { from: "run:r", to: "model:churn/3" },
    { from: "dataset:file:/train.csv", to: "run:r" },
    { from: "job:airflow:etl", to: "dataset:file:/train.csv" },
    { from: "dataset:s3://lake:raw", to: "job:airflow:etl" },
    // A cycle ends somewhere.
    { from: "dataset:file:/train.csv", to: "job:airflow:etl" },
    { from: "model:churn/3", to: "job:mainspring:bulk/churn" },
    { from: "job:mainspring:bulk/churn", to: "dataset:file:/out" },
  ],
};

describe("what others and the journal know", () => {
  const deployed = {
    ...line(),
    deployments: [{ name: "churn", version: "3", model: "models:/churn@x" }],
  } as Line;

  it("adds the jobs and data above the run's data, and nothing below", () => {
    expect(upstream(graph).map((n) => n.title)).toEqual(["etl", "raw"]);
    render(<LineagePicture line={deployed} graph={graph} />);
    expect(screen.getByText("etl")).toBeTruthy();
    expect(screen.getByText("s3://lake")).toBeTruthy();
    expect(screen.queryByText("/out")).toBeNull();
  });

  it("counts predictions, also of a deployment that answers with another version now", () => {
    expect(served(deployed, undefined)).toEqual([
      { name: "churn", model: "models:/churn@x", predictions: undefined },
    ]);
    render(<LineagePicture line={deployed} graph={graph} />);
    expect(screen.getByRole("link", { name: /churn models:\/churn@x.*1,234 predictions/ })).toBeTruthy();
    expect(screen.getByRole("link", { name: /old answered before.*1 prediction$/ })).toBeTruthy();
  });
});
