import { act, render, screen } from "@testing-library/react";
import { beforeEach, expect, it } from "vitest";
import { journalOf, useParam, useSort } from "./url";

function Page() {
  const [a, setA] = useParam("a");
  const [b, setB] = useParam("b", "two");
  const [sort, setSort] = useSort("name:asc");
  return (
    <>
      <button
        type="button"
        onClick={() => {
          setA("1");
          setB("2");
        }}
      >
        both
      </button>
      <button type="button" onClick={() => setB("two")}>
        default
      </button>
      <button type="button" onClick={() => setSort({ key: "metrics.val:loss", descending: true })}>
        sort
      </button>
      <output>{`${a}/${b}/${sort.key}/${sort.descending}`}</output>
    </>
  );
}

beforeEach(() => history.replaceState(null, "", "/page?kept=1"));

it("sets two values one after the other, keeps the others and leaves defaults out", () => {
  render(<Page />);
  expect(screen.getByRole("status").textContent).toBe("/two/name/false");
  act(() => screen.getByRole("button", { name: "both" }).click());
  expect(location.search).toBe("?kept=1&a=1&b=2");
  expect(screen.getByRole("status").textContent).toBe("1/2/name/false");
  act(() => screen.getByRole("button", { name: "default" }).click());
  expect(location.search).toBe("?kept=1&a=1");
  act(() => screen.getByRole("button", { name: "sort" }).click());
  expect(screen.getByRole("status").textContent).toBe("1/two/metrics.val:loss/true");
});

it("leads to the answer of a query", () => {
  expect(journalOf("select 1")).toBe("/journal?sql=select+1&run=1");
});
