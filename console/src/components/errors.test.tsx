import { fireEvent, render, screen, waitFor } from "@testing-library/react";
import { expect, it, vi } from "vitest";
import { ApiError } from "../api/errors";
import { Confirm } from "./confirm";
import { ErrorBox } from "./errors";

it("shows what failed, the server's words, what to do and the request id", () => {
  const retry = vi.fn();
  const error = new ApiError("there is no deployment churn", 404, {
    what: "load churn",
    hint: "apply one",
    requestId: "r-1",
  });
  render(<ErrorBox error={error} retry={retry} />);
  const text = screen.getByRole("alert").textContent ?? "";
  for (const part of ["Could not load churn", "there is no deployment churn", "apply one", "r-1", "404"])
    expect(text).toContain(part);
  fireEvent.click(screen.getByRole("button", { name: "Try again" }));
  expect(retry).toHaveBeenCalledOnce();
});

it("shows the text at fault as it stands", () => {
  render(<ErrorBox error={new ApiError("line 1, column 8: no\n  select a\n         ^", 400)} />);
  expect(document.querySelector("pre")?.textContent).toBe("  select a\n         ^");
  expect(screen.getByText(/^line 1, column 8: no/).textContent).not.toContain("select");
});

it("asks once, stays open with the reason when the act fails, and closes when it succeeds", async () => {
  const close = vi.fn();
  const act = vi
    .fn()
    .mockRejectedValueOnce(new ApiError("the alias is held by a rollout", 409))
    .mockResolvedValueOnce(undefined);
  render(
    <Confirm title="Move it?" action="Move" onConfirm={act} onClose={close}>
      <p>It will move.</p>
    </Confirm>,
  );
  fireEvent.click(screen.getByRole("button", { name: "Move" }));
  await waitFor(() => expect(screen.getByText(/held by a rollout/)).toBeTruthy());
  expect(close).not.toHaveBeenCalled();
  fireEvent.click(screen.getByRole("button", { name: "Move" }));
  await waitFor(() => expect(close).toHaveBeenCalled());
  expect(act).toHaveBeenCalledTimes(2);
});
