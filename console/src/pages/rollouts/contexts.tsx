import type { Rollout } from "../../api/native";
import { Card } from "../../components/basics";
import { Table } from "../../components/table";
import { gainWords, segments } from "../../lib/rollout";
import { count, measure, percent } from "../../lib/format";

/** What a contextual bandit knows: who gets which variant in each context, and what that has brought. */
export function Contexts({ rollout }: { rollout: Rollout }) {
  const rows = segments(rollout);
  if (rows.length === 0) return null;
  return (
    <Card
      flush
      title="Who gets what"
      note="What each variant is believed to bring in each context, and the probability with which units get it there."
    >
      <Table
        caption="Who gets what"
        rows={rows}
        rowKey={(r) => `${r.context} ${r.variant}`}
        columns={[
          {
            key: "context",
            label: "Context",
            head: true,
            render: (r) => r.first && `${r.title}, ${percent(r.share)} of the traffic`,
          },
          { key: "variant", label: "Variant", render: (r) => (r.leads ? <b>{r.variant}</b> : r.variant) },
          { key: "weight", label: "Weight", numeric: true, render: (r) => percent(r.weight) },
          { key: "units", label: "Units", numeric: true, render: (r) => count(r.units) },
          {
            key: "mean",
            label: "Brings",
            numeric: true,
            render: (r) => `${measure(r.mean.value, 3)} ± ${measure(r.mean.standardError, 2)}`,
          },
          { key: "best", label: "The best with", numeric: true, render: (r) => percent(r.best) },
        ]}
      />
      {rollout.gains?.map((gain) => (
        <p className="foot-line" key={gain.over}>
          {gainWords(gain)}
        </p>
      ))}
    </Card>
  );
}
