import { fireEvent, render, screen } from "@testing-library/react";
import { beforeEach, describe as group, expect, it, vi } from "vitest";
import { Chart } from "./chart";
import { align, columns, describe, smooth, smoothed } from "./data";

// happy-dom has no canvas; what is tested here is everything around the canvas.
const made = vi.hoisted(() => ({
  plots: 0,
  data: [] as unknown[],
  shown: [] as [number, boolean][],
  options: undefined as
    | undefined
    | { scales: { x: { range: () => [number, number] } }; bands: { series: [number, number] }[] },
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
    series = [];
    setSeries(at: number, what: { show?: boolean }) {
      if (what.show !== undefined) made.shown.push([at, what.show]);
    }
    destroy() {}
  },
}));

beforeEach(() => {
  made.plots = 0;
  made.data = [];
  made.shown = [];
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

  it("smooths without pulling the start to zero, and keeps gaps", () => {
    expect(smooth([4, 4, null, 4], 0.9).map((v) => (v === null ? null : Number(v.toFixed(9))))).toEqual([
      4,
      4,
      null,
      4,
    ]);
    expect(smooth([0, 10], 0.5)[1]).toBeCloseTo(10 * (0.5 / 0.75));
    const drawn = smoothed([{ label: "a", values: [0, 10] }], 0.5);
    expect(drawn.map((s) => [s.label, s.faint ?? false, s.colour])).toEqual([
      ["a, raw", true, 0],
      ["a", false, 0],
    ]);
    expect(smoothed([{ label: "a", values: [0, 10] }], 0)).toHaveLength(1);
  });

  it("puts stacked series on top of each other, and leaves zero out of a logarithm", () => {
    const series = [
      { label: "queue", values: [1, null, 3] },
      { label: "engine", values: [10, 20, 30] },
    ];
    expect(columns({ x: [0, 1, 2], series, stacked: true })).toEqual([
      [0, 1, 2],
      [1, null, 3],
      [11, 20, 33],
    ]);
    expect(columns({ x: [0, 1], series: [{ label: "a", values: [0, -1] }], log: true })[1]).toEqual([
      null,
      null,
    ]);
  });

  it("hides a line by its name and shows it again", async () => {
    const series = [
      { label: "first", values: [1, 2] },
      { label: "second", values: [3, 4] },
    ];
    render(<Chart label="Loss" x={[0, 1]} xKind="step" series={series} />);
    made.shown = [];
    const name = screen.getByRole("button", { name: /second/ });
    expect(name.getAttribute("aria-pressed")).toBe("true");
    fireEvent.click(name);
    expect(name.getAttribute("aria-pressed")).toBe("false");
    expect(made.shown).toContainEqual([2, false]);
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

  it("fills what is between the ends of an interval, and names them", () => {
    const series = [
      { label: "accuracy", values: [0.8, null, 0.9], colour: 0 },
      { label: "upper end", values: [0.9, null, 0.95], colour: 0, edge: true },
      { label: "lower end", values: [0.7, null, 0.8], colour: 0, edge: true },
    ];
    render(<Chart label="accuracy by day" x={[0, 1, 2]} xKind="time" series={series} dots />);
    expect(made.options?.bands.map((band) => band.series)).toEqual([[2, 3]]);
    expect(screen.getByRole("img").getAttribute("aria-label")).toContain("lower end: last 0.8");
    expect(screen.getByRole("button", { name: /upper end/ })).toBeTruthy();
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
