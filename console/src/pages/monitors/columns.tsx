import { type MonitorColumn, ms } from "../../api/native";
import { Status, Time } from "../../components/basics";
import { Table } from "../../components/table";
import { count, percent } from "../../lib/format";
import { columnName, referenceWords, sideWords, sorted, standingWords, sureness } from "../../lib/monitor";

const WIDE = 120;
const HIGH = 12;

/** How far a column moved, on a line with what chance brings and what is called drift. */
function Distance({ column, least }: { column: MonitorColumn; least: number }) {
  const x = (part: number) => Math.min(1, Math.max(0, part)) * WIDE;
  return (
    <span className="share">
      <svg className="moved" width={WIDE} height={HIGH} viewBox={`0 0 ${WIDE} ${HIGH}`} aria-hidden="true">
        <rect className="ground" width={WIDE} height={HIGH} rx="3" />
        <rect
          className="far"
          data-state={standingWords(column)[0]}
          width={x(column.distance)}
          height={HIGH}
          rx="3"
        />
        <line className="chance" x1={x(column.chance)} x2={x(column.chance)} y1="0" y2={HIGH} />
        <line
          className="limit"
          x1={x(column.chance + least)}
          x2={x(column.chance + least)}
          y1="0"
          y2={HIGH}
        />
      </svg>
      <span className="num" title={`${percent(column.chance, 0)} by chance alone`}>
        {percent(column.distance, 0)}
      </span>
    </span>
  );
}

/** Every column that is watched, those that need a look first; one is chosen to be drawn. */
export function Columns(props: {
  columns: MonitorColumn[];
  /** From how much on a change beyond chance is drift. */
  least: number;
  chosen: MonitorColumn | undefined;
  onChoose: (column: MonitorColumn) => void;
}) {
  return (
    <Table
      caption="Columns"
      rows={sorted(props.columns)}
      rowKey={columnName}
      current={props.chosen && columnName(props.chosen)}
      empty={<p className="quiet pad">Its columns are known with the first minute of rows.</p>}
      columns={[
        {
          key: "name",
          label: "Column",
          head: true,
          render: (c) => (
            <button
              type="button"
              className="button plain small"
              aria-pressed={props.chosen !== undefined && columnName(props.chosen) === columnName(c)}
              onClick={() => props.onChoose(c)}
            >
              {columnName(c)}
            </button>
          ),
        },
        { key: "drift", label: "Of", render: (c) => sideWords(c) },
        {
          key: "standing",
          label: "Standing",
          render: (c) => {
            const [mark, words] = standingWords(c);
            return <Status state={mark}>{words}</Status>;
          },
        },
        {
          key: "distance",
          label: (
            <span title="The share of rows that would have to move to look like the reference">Moved</span>
          ),
          render: (c) => <Distance column={c} least={props.least} />,
        },
        {
          key: "sure",
          label: <span title="How far the evidence is on its way to being sure">Sure</span>,
          numeric: true,
          render: (c) => percent(sureness(c), 0),
        },
        {
          key: "rows",
          label: <span title="Sampled rows in the window">Rows</span>,
          numeric: true,
          render: (c) => count(c.windowRows),
        },
        { key: "reference", label: "Compared with", render: (c) => referenceWords(c) },
        {
          key: "since",
          label: "Changed",
          render: (c) =>
            c.changedAt ? <Time at={ms(c.changedAt)} exact /> : <span className="quiet">–</span>,
        },
      ]}
    />
  );
}
