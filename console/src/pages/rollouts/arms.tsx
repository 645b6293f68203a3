import { ms, type Rollout, type RolloutDecision } from "../../api/native";
import { Card, Time } from "../../components/basics";
import { Table } from "../../components/table";
import { count, measure, percent } from "../../lib/format";
import { arms } from "../../lib/rollout";
import { Weight } from "./parts";

/** A mean with its standard error; a dash where it is not known. */
function plusMinus(value: { value: number; standardError: number } | null | undefined) {
  if (!value) return <span className="quiet">–</span>;
  return `${measure(value.value, 3)} ± ${measure(value.standardError, 2)}`;
}

/** What a bandit knows of its variants: what each is believed to bring, and what it alone would have brought. */
export function Arms(props: { rollout: Rollout; newest: RolloutDecision[] | undefined }) {
  const { rows, decided } = arms(props.rollout, props.newest);
  if (rows.length === 0) return null;
  return (
    <Card
      flush
      title="What each variant brings"
      note={
        <>
          Means with their standard errors. Alone is what the variant would have brought if everybody had got
          it, from the probabilities with which units got theirs: doubly robust, normalised, and plain.{" "}
          {decided && (
            <>
              These are the numbers of the decision of <Time at={ms(decided.at)} exact />.
            </>
          )}
        </>
      }
    >
      <Table
        caption="What each variant brings"
        rows={rows}
        rowKey={(r) => r.variant}
        columns={[
          {
            key: "variant",
            label: "Variant",
            head: true,
            render: (r) => (r.leads ? <b>{r.variant}</b> : r.variant),
          },
          { key: "weight", label: "Weight", render: (r) => <Weight value={r.weight} /> },
          { key: "best", label: "The best with", numeric: true, render: (r) => percent(r.best) },
          { key: "mean", label: "Brings", numeric: true, render: (r) => plusMinus(r.mean) },
          { key: "dr", label: "Alone", numeric: true, render: (r) => plusMinus(r.dr) },
          { key: "snips", label: "Normalised", numeric: true, render: (r) => plusMinus(r.snips) },
          { key: "ips", label: "Plain", numeric: true, render: (r) => plusMinus(r.ips) },
          {
            key: "units",
            label: <span title="Its units with a reward">Units</span>,
            numeric: true,
            render: (r) => count(r.units),
          },
        ]}
      />
    </Card>
  );
}
