import { act, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { ScrollBox } from "./scroll-box";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

it("takes the focus as soon as what is in it grows, though nothing else is drawn again", () => {
  const watched = new Set<Element>();
  let look = () => {};
  vi.stubGlobal(
    "ResizeObserver",
    class {
      constructor(told: () => void) {
        look = told;
      }
      observe = (node: Element) => watched.add(node);
      disconnect = () => watched.clear();
    },
  );
  const width = vi.spyOn(Element.prototype, "scrollWidth", "get").mockReturnValue(0);
  render(
    <ScrollBox label="Rows">
      <p>what is in it</p>
    </ScrollBox>,
  );
  expect(screen.queryByRole("region")).toBeNull();
  expect(watched).toContain(screen.getByText("what is in it"));
  width.mockReturnValue(500);
  act(() => look());
  expect(screen.getByRole("region", { name: "Rows" }).tabIndex).toBe(0);
});
