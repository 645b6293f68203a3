import { render, screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { LineagePicture } from "./lineage";

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
