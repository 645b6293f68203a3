import { useQuery } from "@tanstack/react-query";
import { type Budget, ms, native } from "../../api/native";
import { Card, Empty, type State, Status, Time } from "../../components/basics";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { Table } from "../../components/table";
import { amount } from "../../lib/cost";
import { duration, percent } from "../../lib/format";

const FIRST_BUDGET = `apiVersion: mainspring/v1
kind: Budget
name: month
amount: "40"
per: month`;

/** How a budget stands, as a mark and words. */
export function stateOf(budget: Pick<Budget, "percent" | "forecastPercent" | "problem">): [State, string] {
  if (typeof budget.percent !== "number") return ["none", budget.problem ?? "not reckoned yet"];
  if (budget.percent >= 100) return ["bad", "spent"];
  if ((budget.forecastPercent ?? 0) >= 100) return ["warn", "will be spent"];
  return ["ok", "within"];
}

function limit(budget: Budget): string {
  return budget.amount
    ? `${amount(budget.amount)} ${budget.currency ?? ""}`
    : duration(budget.mayComputeSeconds ?? 0);
}

/** What may be spent, and how much is. */
export function Budgets() {
  const query = useQuery({
    queryKey: ["budgets"],
    queryFn: ({ signal }) => native.budgets(signal),
    refetchInterval: 15_000,
  });
  return (
    <Card
      title="Budgets"
      tools={<ShowCall call={{ method: "GET", path: "/api/v1/cost/budgets" }} cli={["cost", "budgets"]} />}
    >
      <Loaded query={query}>
        {(data) => (
          <>
            <Table
              caption="Budgets"
              rows={data?.budgets}
              rowKey={(b) => b.name}
              empty={
                <Empty title="Nothing limits what is spent" command={FIRST_BUDGET}>
                  A budget is of a deployment, a key or everything; somebody is told before it is spent.
                </Empty>
              }
              columns={[
                { key: "name", label: "Budget", head: true, render: (b) => b.name },
                {
                  key: "of",
                  label: "Of",
                  render: (b) => [b.deployment, b.key].filter(Boolean).join(" ") || "everything",
                },
                {
                  key: "state",
                  label: "State",
                  render: (b) => {
                    const [state, words] = stateOf(b);
                    return <Status state={state}>{words}</Status>;
                  },
                },
                {
                  key: "spent",
                  label: "Spent",
                  numeric: true,
                  render: (b) => (b.amount ? amount(b.spent) : duration(b.computeSeconds)),
                },
                { key: "limit", label: "Limit", numeric: true, render: (b) => `${limit(b)} a ${b.per}` },
                {
                  key: "share",
                  label: "Share",
                  numeric: true,
                  render: (b) => (typeof b.percent !== "number" ? "–" : percent(b.percent / 100)),
                },
                {
                  key: "forecast",
                  label: "Forecast",
                  numeric: true,
                  render: (b) =>
                    typeof b.forecastPercent !== "number" ? "–" : percent(b.forecastPercent / 100),
                },
                { key: "until", label: "Until", render: (b) => <Time at={ms(b.until)} exact /> },
              ]}
            />
            {data?.budgets
              .filter((b) => typeof b.percent === "number" && b.problem)
              .map((b) => (
                <p key={b.name} className="quiet small">
                  {b.name}: {b.problem}
                </p>
              ))}
          </>
        )}
      </Loaded>
    </Card>
  );
}
