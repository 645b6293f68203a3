import { type MonitorDetail, ms } from "../../api/native";
import { Card, Status, Time } from "../../components/basics";
import { Table } from "../../components/table";
import { count, measure, plural } from "../../lib/format";
import { prospectWords } from "../../lib/monitor";

/** Windows that are shown, the newest of those that are kept. */
const SHOWN = 24;

/** How good the answers probably are, window by window, beside what their labels said; nothing where that is not asked for. */
export function Estimate({ monitor: m }: { monitor: MonitorDetail }) {
  const found = m.estimate;
  if (!found) return null;
  const [mark, words] = prospectWords(found);
  const windows = found.windows.slice(-SHOWN).reverse();
  return (
    <Card
      flush
      title={`Estimated ${found.metric}`}
      note={`Of each ${found.window}, without labels; told when it is surely ${found.limit}. That the same inputs now mean something else only labels tell.`}
    >
      <p className="row pad">
        <Status state={mark}>{words}</Status>
        {found.since && found.windows.length > 0 && (
          <span className="quiet">
            since <Time at={ms(found.since)} />
          </span>
        )}
      </p>
      {found.problem && (
        <div className="notice bad" role="alert">
          {found.problem}
        </div>
      )}
      {windows.length === 0 ? (
        <p className="quiet pad">No window with rows has ended yet.</p>
      ) : (
        <Table
          caption={`Estimated ${found.metric}, the newest window first`}
          rows={windows}
          rowKey={(w) => w.since}
          columns={[
            { key: "since", label: "Since", head: true, render: (w) => <Time at={ms(w.since)} exact /> },
            {
              key: "rows",
              label: "Rows",
              numeric: true,
              render: (w) =>
                w.enough ? (
                  count(w.rows)
                ) : (
                  <span title="Too few for anything to follow">{count(w.rows)}, too few</span>
                ),
            },
            { key: "value", label: "Estimated", numeric: true, render: (w) => measure(w.value, 4) },
            {
              key: "between",
              label: "Between",
              numeric: true,
              render: (w) => `${measure(w.low, 4)} to ${measure(w.high, 4)}`,
            },
            { key: "limit", label: "Limit", numeric: true, render: (w) => measure(w.limit, 4) },
            {
              key: "realized",
              label: "By labels",
              numeric: true,
              render: (w) =>
                typeof w.realized === "number" ? (
                  <span title={`${plural(w.labeled, "row")} with a label`}>{measure(w.realized, 4)}</span>
                ) : (
                  <span className="quiet">{w.settled ? "no label came" : "–"}</span>
                ),
            },
          ]}
        />
      )}
    </Card>
  );
}
