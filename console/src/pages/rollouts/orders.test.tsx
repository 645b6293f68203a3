import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, it, vi } from "vitest";
import { native, type Rollout } from "../../api/native";
import { Orders } from "./orders";

const at = "2026-11-25T12:00:00Z";

const variant = (name: string, change: Partial<Rollout["variants"][0]> = {}) => ({
  name,
  model: `models:/churn/${name}`,
  weight: 0,
  units: 0,
  stepUnits: 0,
  answers: 0,
  ...change,
});

const rollout = (change: Partial<Rollout>): Rollout => ({
  name: "churn-best",
  deployment: "churn",
  run: 1,
  phase: "review",
  since: at,
  createdAt: at,
  variants: [variant("stable"), variant("v8"), variant("v9")],
  steps: [],
  metrics: [],
  weights: [],
  orders: ["promote", "abort"],
  decisions: 2,
  ...change,
});

async function promote(r: Rollout) {
  const sent = vi.spyOn(native, "orderRollout").mockResolvedValue(r);
  render(
    <QueryClientProvider client={new QueryClient()}>
      <Orders rollout={r} />
    </QueryClientProvider>,
  );
  await userEvent.click(screen.getByRole("button", { name: "Promote" }));
  return { sent, go: () => userEvent.click(screen.getAllByRole("button", { name: "Promote" }).at(-1) as Element) };
}

afterEach(() => vi.restoreAllMocks());

it("promotes the candidate that leads unless another one is chosen", async () => {
  const { sent, go } = await promote(rollout({ chosen: "v9" }));
  const which = screen.getByLabelText<HTMLSelectElement>("Candidate");
  expect(which.value).toBe("v9");
  expect(screen.getByText(/^v9 \(models:\/churn\/v9\) gets all the traffic/)).toBeTruthy();
  await userEvent.selectOptions(which, "v8");
  await go();
  expect(sent).toHaveBeenCalledWith("churn-best", "promote", { candidate: "v8" });
});

it("asks for one where none leads", async () => {
  const { sent, go } = await promote(rollout({}));
  await go();
  expect(sent).not.toHaveBeenCalled();
  await userEvent.selectOptions(screen.getByLabelText("Candidate"), "v8");
  await go();
  expect(sent).toHaveBeenCalledWith("churn-best", "promote", { candidate: "v8" });
});

it("asks for no name where one candidate is left", async () => {
  const variants = [variant("stable"), variant("v8", { dropped: true }), variant("v9")];
  const { sent, go } = await promote(rollout({ variants, chosen: "v9" }));
  expect(screen.queryByLabelText("Candidate")).toBeNull();
  await go();
  expect(sent).toHaveBeenCalledWith("churn-best", "promote", {});
});

it("gives an order with its reason", async () => {
  const r = rollout({});
  const sent = vi.spyOn(native, "orderRollout").mockResolvedValue(r);
  render(
    <QueryClientProvider client={new QueryClient()}>
      <Orders rollout={r} />
    </QueryClientProvider>,
  );
  await userEvent.click(screen.getByRole("button", { name: "Abort" }));
  await userEvent.type(screen.getByLabelText("Reason"), "  the labels were wrong ");
  await userEvent.click(screen.getAllByRole("button", { name: "Abort" }).at(-1) as Element);
  expect(sent).toHaveBeenCalledWith("churn-best", "abort", { reason: "the labels were wrong" });
});
