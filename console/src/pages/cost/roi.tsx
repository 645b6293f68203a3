import { useQuery } from "@tanstack/react-query";
import { native, type RoiGroup } from "../../api/native";
import { Card, Empty } from "../../components/basics";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { Table } from "../../components/table";
import { amount } from "../../lib/cost";
import { count, measure } from "../../lib/format";
import { useParam } from "../../lib/url";

const FIRST_VALUE = `apiVersion: mainspring/v1
kind: OutcomeValue
name: churn-value
deployment: churn
currency: EUR
outcomes:
  - {outcome: converted, is: true, value: "12.50"}`;

function mean(group: RoiGroup): string {
  const m = group.mean;
  if (!m) return "–";
  const interval = typeof m.low !== "number" ? "" : ` (${measure(m.low)} to ${measure(m.high)})`;
  return `${measure(m.value)}${interval}`;
}

function Groups({ deployment, days }: { deployment: string; days: string }) {
  const seconds = Number(days) * 86_400;
  const query = useQuery({
    queryKey: ["roi", deployment, days],
    queryFn: ({ signal }) => native.roi(deployment, seconds, signal),
    refetchInterval: 60_000,
  });
  return (
    <Loaded query={query}>
      {(roi) => (
        <>
          <Table
            caption={`What ${deployment} brought`}
            rows={roi && [...roi.groups, roi.overall]}
            rowKey={(g) => `${g.variant ?? ""}/${g.version ?? ""}`}
            columns={[
              { key: "of", label: "Version", head: true, render: (g) => g.version ?? "all" },
              { key: "variant", label: "Variant", render: (g) => g.variant ?? "" },
              {
                key: "value",
                label: `Value, ${roi?.currency ?? ""}`,
                numeric: true,
                render: (g) => amount(g.value),
              },
              { key: "cost", label: "Cost", numeric: true, render: (g) => amount(g.cost) },
              { key: "net", label: "Net", numeric: true, render: (g) => amount(g.net) },
              { key: "per", label: "A success", numeric: true, render: (g) => amount(g.costPerSuccess) },
              { key: "n", label: "Predictions", numeric: true, render: (g) => count(g.predictions) },
              { key: "known", label: "With feedback", numeric: true, render: (g) => count(g.known) },
              { key: "good", label: "Successes", numeric: true, render: (g) => count(g.successes) },
              { key: "each", label: "Value of each", numeric: true, render: mean },
            ]}
          />
          {roi?.notes.map((note) => (
            <p key={note} className="quiet small pad">
              {note}
            </p>
          ))}
        </>
      )}
    </Loaded>
  );
}

/** What predictions brought, beside what they cost. */
export function Roi({ days }: { days: string }) {
  const [chosen, setChosen] = useParam("of");
  const values = useQuery({
    queryKey: ["resources", "outcomevalue"],
    queryFn: ({ signal }) => native.outcomeValues(signal),
  });
  const deployments = values.data;
  const deployment = chosen || deployments?.[0] || "";
  return (
    <Card
      flush
      title="What answers bring"
      tools={
        deployment && (
          <>
            {deployments && deployments.length > 1 && (
              <label>
                <span className="sr">Deployment</span>
                <select value={deployment} onChange={(e) => setChosen(e.target.value)}>
                  {deployments.map((name) => (
                    <option key={name}>{name}</option>
                  ))}
                </select>
              </label>
            )}
            <ShowCall
              call={{
                method: "GET",
                path: `/api/v1/cost/roi/${deployment}?lastSeconds=${Number(days) * 86_400}`,
              }}
              cli={["cost", "roi", deployment, "--since", `${days}d`]}
            />
          </>
        )
      }
    >
      <Loaded query={values}>
        {(all) =>
          all && all.length === 0 && !chosen ? (
            <div className="pad">
              <Empty title="Say what outcomes are worth" command={FIRST_VALUE}>
                Feedback is joined with predictions, and what it is worth stands beside what they cost.
              </Empty>
            </div>
          ) : (
            deployment && <Groups deployment={deployment} days={days} />
          )
        }
      </Loaded>
    </Card>
  );
}
