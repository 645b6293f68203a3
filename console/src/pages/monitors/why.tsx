import { useQuery } from "@tanstack/react-query";
import { type MonitorWhy, ms, native } from "../../api/native";
import { Card, Skeleton, Time } from "../../components/basics";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { Table } from "../../components/table";
import { count, measure, percent } from "../../lib/format";
import { shiftWords } from "../../lib/monitor";
import { api } from "../../lib/url";

function Causes({ why }: { why: MonitorWhy }) {
  return (
    <Table
      caption="What the drift of each column does to the answers"
      rows={why.causes}
      rowKey={(c) => c.name}
      columns={[
        { key: "name", label: "Column", head: true, render: (c) => c.name },
        { key: "moved", label: "Moved", numeric: true, render: (c) => percent(c.moved, 0) },
        {
          key: "importance",
          label: (
            <span title="How much an answer changes on average when the column’s values are dealt out to other rows">
              Importance
            </span>
          ),
          numeric: true,
          render: (c) => measure(c.importance, 3),
        },
        {
          key: "weight",
          label: <span title="Moved × importance: what the order is by">Weight</span>,
          numeric: true,
          render: (c) => measure(c.weight, 3),
        },
        {
          key: "shift",
          label: (
            <span title="Against the same rows with this column as in its reference">Answers moved by</span>
          ),
          numeric: true,
          render: (c) => shiftWords(c, why.unit),
        },
      ]}
    />
  );
}

/** Why a monitor drifts: in sentences, and what it does to the answers. */
export function Why({ name }: { name: string }) {
  const query = useQuery({
    queryKey: ["monitor-why", name],
    queryFn: ({ signal }) => native.monitorWhy(name, signal),
    refetchInterval: 15_000,
  });
  return (
    <Card
      title="Why"
      note={
        query.data?.at && query.data.rows > 0 ? (
          <>
            {count(query.data.rows)} recent rows were put to the model again <Time at={ms(query.data.at)} />,
            one column changed at a time; {query.data.output} is what it answers.
          </>
        ) : undefined
      }
      tools={
        <ShowCall
          call={{ method: "GET", path: api("monitors", name, "why") }}
          cli={["monitor", "why", name]}
        />
      }
    >
      <Loaded query={query}>
        {(data) =>
          data === undefined ? (
            <Skeleton width="100%" />
          ) : (
            <>
              {data.sentences.map((sentence) => (
                <p key={sentence} className="said">
                  {sentence}
                </p>
              ))}
              {data.causes.length > 0 && <Causes why={data} />}
            </>
          )
        }
      </Loaded>
    </Card>
  );
}
