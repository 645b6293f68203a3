import { fireEvent, render, screen } from "@testing-library/react";
import { expect, it, vi } from "vitest";
import { Checklist } from "./checklist";

const options = (n: number) => Array.from({ length: n }, (_, i) => ({ key: `k${i}`, label: `name ${i}` }));

it("adds and takes away, in the order of choosing", () => {
  const onChange = vi.fn();
  render(
    <Checklist groups={[{ title: "Metrics", options: options(3) }]} chosen={["k2"]} onChange={onChange} />,
  );
  expect(screen.queryByRole("searchbox")).toBeNull();
  fireEvent.click(screen.getByRole("checkbox", { name: "name 0" }));
  expect(onChange).toHaveBeenLastCalledWith(["k2", "k0"]);
  fireEvent.click(screen.getByRole("checkbox", { name: "name 2" }));
  expect(onChange).toHaveBeenLastCalledWith([]);
});

it("filters a long list and says when nothing is left", () => {
  render(<Checklist groups={[{ options: options(20) }]} chosen={[]} onChange={() => undefined} />);
  const filter = screen.getByRole("searchbox");
  fireEvent.change(filter, { target: { value: "NAME 1" } });
  expect(screen.getAllByRole("checkbox")).toHaveLength(11);
  fireEvent.change(filter, { target: { value: "nothing" } });
  expect(screen.queryByRole("checkbox")).toBeNull();
  expect(screen.getByText("No name has “nothing” in it.")).toBeTruthy();
});
