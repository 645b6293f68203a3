import { useQuery } from "@tanstack/react-query";
import { native } from "../../api/native";
import { Card, Code } from "../../components/basics";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { budgetWords } from "../../lib/alerts";
import { BUDGET_NOTE, FIRST_SLO, Objectives } from "../alerts/objectives";

/** How much of its error budgets a deployment has left, and how fast they burn. */
export function ErrorBudget({ deployment }: { deployment: string }) {
  const query = useQuery({
    queryKey: ["slos"],
    queryFn: ({ signal }) => native.slos(signal),
    refetchInterval: 5000,
  });
  const slos = query.data?.slos.filter((s) => s.deployment === deployment);
  return (
    <Card
      flush
      title="SLO budget"
      note={slos && slos.length > 0 ? `${budgetWords(slos)} ${BUDGET_NOTE}` : undefined}
      tools={<ShowCall call={{ method: "GET", path: "/api/v1/slos" }} cli={["alert", "slo"]} />}
    >
      <Loaded query={query}>
        {() => (
          <Objectives
            slos={slos}
            ofOne
            empty={
              <div className="pad stack tight">
                <p className="quiet">
                  {deployment} promises nothing. Write what it promises into its declaration and apply it: its
                  budget is counted from then on.
                </p>
                <Code text={FIRST_SLO} label="An objective" />
              </div>
            }
          />
        )}
      </Loaded>
    </Card>
  );
}
