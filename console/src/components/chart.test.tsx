import { fireEvent, render, screen } from "@testing-library/react";
import { beforeEach, describe as group, expect, it, vi } from "vitest";
import { align, Chart, describe } from "./chart";

// happy-dom has no canvas; what is tested here is everything around the canvas.
const made = vi.hoisted(() => ({
  plots: 0,
  data: [] as unknown[],
  options: undefined as undefined | { scales: { x: { range: () => [number, number] } } },
}));
vi.mock("uplot", () => ({
  default: class {
    data: unknown;
    constructor(options: typeof made.options, data: unknown) {
      made.plots += 1;
      made.options = options;
      this.data = data;
    }
    setData(data: unknown) {
      this.data = data;
      made.data.push(data);
    }
    setSize() {}
    destroy() {}
  },
}));

beforeEach(() => {
  made.plots = 0;
  made.data = [];
});

group("charts", () => {
  it("puts lines with different steps on one axis and leaves gaps for NaN", () => {
    const { x, series } = align([
      {
        label: "a",
        points: [
          { x: 0, y: 1 },
          { x: 2, y: Number.NaN },
        ],
      },
      { label: "b", points: [{ x: 1, y: 5 }] },
    ]);
    expect(x).toEqual([0, 1, 2]);
    expect(series.map((s) => s.values)).toEqual([
      [1, null, null],
      [null, 5, null],
    ]);
  });

  it("tells a screen reader the last, lowest and highest value", () => {
    const text = describe({ label: "Loss", x: [0, 1, 2], series: [{ label: "run", values: [3, 1, 2] }] });
    expect(text).toBe("Loss. 3 points. run: last 2, lowest 1, highest 3");
  });

  it("shows the same data as a table and replaces data without a new plot", () => {
    const series = [{ label: "rate", values: [1, 2] }];
    const { rerender } = render(<Chart label="Rate" x={[0, 1]} xKind="step" xLabel="step" series={series} />);
    expect(screen.getByRole("img").getAttribute("aria-label")).toContain("last 2");
    rerender(
      <Chart
        label="Rate"
        x={[0, 1, 2]}
        xKind="step"
        xLabel="step"
        series={[{ label: "rate", values: [1, 2, 9] }]}
      />,
    );
    expect(made.plots).toBe(1);
    expect(made.data).toEqual([
      [
        [0, 1, 2],
        [1, 2, 9],
      ],
    ]);
    fireEvent.click(screen.getByRole("button", { name: "Table" }));
    expect(screen.getAllByRole("row")).toHaveLength(4);
    expect(screen.getByRole("cell", { name: "9" })).toBeTruthy();
  });

  it("moves the window of a live chart with its data", () => {
    const series = [{ label: "rate", values: [1, 2] }];
    const { rerender } = render(
      <Chart label="Rate" x={[10, 11]} xKind="time" series={series} xRange={[0, 11]} />,
    );
    rerender(<Chart label="Rate" x={[10, 12]} xKind="time" series={series} xRange={[1, 12]} />);
    expect(made.plots).toBe(1);
    expect(made.options?.scales.x.range()).toEqual([1, 12]);
  });
});
