import type { ReactNode } from "react";
import { Link } from "wouter";
import type { Slo } from "../../api/native";
import { Status } from "../../components/basics";
import { Share } from "../../components/share";
import { Table } from "../../components/table";
import { burn, objectiveWords, stateOf } from "../../lib/alerts";
import { count } from "../../lib/format";
import { to } from "../../lib/url";

export const FIRST_SLO = `slo:
  availability: 99.9%
  p99: 20ms`;

export const BUDGET_NOTE = "A budget lasts 30 days; a burn rate of 1 uses it up in exactly that time.";

const WINDOWS = [
  [300, "Burn 5 min"],
  [3600, "1 h"],
  [21_600, "6 h"],
  [86_400, "1 d"],
  [259_200, "3 d"],
] as const;

/** What of how many requests of the 30 days was not good. */
function badOf(slo: Slo): string {
  const all = slo.windows.at(-1);
  return all ? `${count(all.bad)} of ${count(all.requests)}` : "–";
}

/** What is promised, how much of each budget is left and how fast it burns. */
export function Objectives(props: {
  slos: Slo[] | undefined;
  /** All are of one deployment, which is not named again. */
  ofOne?: boolean;
  empty: ReactNode;
}) {
  return (
    <Table
      caption="Objectives"
      rows={props.slos}
      rowKey={(s) => `${s.deployment}/${s.objective}`}
      skeletonRows={2}
      empty={props.empty}
      columns={[
        ...(props.ofOne
          ? []
          : [
              {
                key: "deployment",
                label: "Deployment",
                head: true,
                render: (s: Slo) => <Link href={to("deployments", s.deployment)}>{s.deployment}</Link>,
              },
            ]),
        { key: "objective", label: "Objective", head: props.ofOne ?? false, render: objectiveWords },
        {
          key: "left",
          label: "Budget left",
          render: (s) => <Share share={s.budgetLeft} state={stateOf(s)[0]} />,
        },
        {
          key: "state",
          label: "State",
          render: (s) => {
            const [state, words] = stateOf(s);
            return <Status state={state}>{words}</Status>;
          },
        },
        ...WINDOWS.map(([seconds, label]) => ({
          key: label,
          label,
          numeric: true,
          render: (s: Slo) => burn(s, seconds),
        })),
        // Beside the deployment's name there is no room for it.
        ...(props.ofOne
          ? [
              {
                key: "bad",
                label: <span title="Requests of 30 days that were not good">Not good</span>,
                numeric: true,
                render: badOf,
              },
            ]
          : []),
      ]}
    />
  );
}
