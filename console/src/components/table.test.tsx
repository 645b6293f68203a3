import { fireEvent, render, screen } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import { type Column, Table } from "./table";

interface Row {
  id: string;
  value: number;
}

const columns: Column<Row>[] = [
  { key: "id", label: "Id", head: true, render: (r) => r.id },
  { key: "value", label: "Value", numeric: true, sortable: true, render: (r) => r.value },
];
const rows = [
  { id: "a", value: 1 },
  { id: "b", value: 2 },
];
const key = (r: Row) => r.id;

describe("tables", () => {
  it("says by which column it is sorted and turns the order on a second press", () => {
    const sort = vi.fn();
    const { rerender } = render(
      <Table caption="T" columns={columns} rows={rows} rowKey={key} onSort={sort} />,
    );
    fireEvent.click(screen.getByRole("button", { name: /Value/ }));
    expect(sort).toHaveBeenLastCalledWith({ key: "value", descending: true });
    rerender(
      <Table
        caption="T"
        columns={columns}
        rows={rows}
        rowKey={key}
        onSort={sort}
        sort={{ key: "value", descending: true }}
      />,
    );
    expect(screen.getByRole("columnheader", { name: /Value/ }).getAttribute("aria-sort")).toBe("descending");
    fireEvent.click(screen.getByRole("button", { name: /Value/ }));
    expect(sort).toHaveBeenLastCalledWith({ key: "value", descending: false });
  });

  it("adds and removes chosen rows", () => {
    const choose = vi.fn();
    render(<Table caption="T" columns={columns} rows={rows} rowKey={key} chosen={["a"]} onChoose={choose} />);
    fireEvent.click(screen.getByLabelText("Choose b"));
    expect(choose).toHaveBeenLastCalledWith(["a", "b"]);
    fireEvent.click(screen.getByLabelText("Choose a"));
    expect(choose).toHaveBeenLastCalledWith([]);
  });

  it("keeps its headings while it loads and gives way to the empty page", () => {
    const { rerender } = render(
      <Table caption="T" columns={columns} rows={undefined} rowKey={key} skeletonRows={3} />,
    );
    expect(screen.getAllByRole("row")).toHaveLength(4);
    expect(screen.getByRole("table").getAttribute("aria-busy")).toBe("true");
    rerender(<Table caption="T" columns={columns} rows={[]} rowKey={key} empty={<p>nothing here</p>} />);
    expect(screen.queryByRole("table")).toBeNull();
    expect(screen.getByText("nothing here")).toBeTruthy();
  });
});
