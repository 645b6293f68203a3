import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import { native } from "../../api/native";
import { ProfileLine } from "./profile";

afterEach(() => vi.restoreAllMocks());

function show(state: Partial<Awaited<ReturnType<typeof native.profileState>>>) {
  const found = { model: "churn", version: "3", reading: false, ...state };
  const asked = vi.spyOn(native, "profileState").mockResolvedValue(found);
  render(
    <QueryClientProvider client={new QueryClient()}>
      <ProfileLine name="churn" version="3" />
    </QueryClientProvider>,
  );
  return asked;
}

it("says of what the profile is, and who saved it", async () => {
  const asked = show({ source: "train.parquet", savedBy: "the server", savedAt: "2026-11-26T09:45:00Z" });
  expect(await screen.findByText(/of train\.parquet, saved by the server/)).toBeTruthy();
  expect(asked.mock.calls[0]?.[0]).toBe("churn/3");
});

it("says why none could be made, and what to do", async () => {
  const problem = "the run's data/train.xlsx is no Parquet, CSV or Arrow file";
  const hint = "save one: mainspring profile TRAINING_FILE --version churn/3";
  show({ problem, hint });
  expect(await screen.findByText(problem)).toBeTruthy();
  expect(screen.getByText(hint)).toBeTruthy();
  expect(screen.getByText("none")).toBeTruthy();
});

it("says that it is being made", async () => {
  show({ problem: "what churn version 3 was trained on is being read", reading: true });
  expect(await screen.findByText("not yet")).toBeTruthy();
  expect(screen.getByText(/is being read/)).toBeTruthy();
});
