import { render, screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { DiffTable, diffLines, differs } from "./diff";

describe("differences", () => {
  it("keeps common lines and gives both texts back", () => {
    const before = "a\nb\nc\nd";
    const after = "a\nc\nx\nd";
    const lines = diffLines(before, after);
    expect(
      lines
        .filter((l) => l.kind !== "add")
        .map((l) => l.text)
        .join("\n"),
    ).toBe(before);
    expect(
      lines
        .filter((l) => l.kind !== "remove")
        .map((l) => l.text)
        .join("\n"),
    ).toBe(after);
    expect(lines.filter((l) => l.kind !== "same")).toEqual([
      { kind: "remove", text: "b" },
      { kind: "add", text: "x" },
    ]);
  });

  it("marks the rows that differ, also where a value is missing", () => {
    expect(differs({ name: "lr", values: ["0.1", "0.1"] })).toBe(false);
    expect(differs({ name: "lr", values: ["0.1", undefined] })).toBe(true);
    render(
      <DiffTable
        caption="Params"
        nameLabel="Param"
        names={[
          { key: "a", label: "run a" },
          { key: "b", label: "run b" },
        ]}
        rows={[
          { name: "lr", values: ["0.1", "0.2"] },
          { name: "seed", values: ["7", "7"] },
        ]}
      />,
    );
    expect(screen.getByRole("rowheader", { name: /lr/ }).textContent).toContain("≠");
    expect(screen.getByRole("rowheader", { name: /seed/ }).textContent).not.toContain("≠");
  });
});
