import type { ReactNode } from "react";
import { Skeleton } from "./basics";
import { ScrollBox } from "./scroll-box";

export interface Column<T> {
  key: string;
  label: ReactNode;
  render: (row: T) => ReactNode;
  /** Right-aligned with tabular figures. */
  numeric?: boolean;
  /** The cell that names the row, for screen readers. */
  head?: boolean;
  /** Can be sorted by; the page does the sorting. */
  sortable?: boolean;
  /** Marks a cell whose value differs from its neighbours. */
  differs?: (row: T) => boolean;
}

export interface Sort {
  key: string;
  descending: boolean;
}

interface Props<T> {
  /** What the table shows, for screen readers. */
  caption: string;
  columns: Column<T>[];
  rows: T[] | undefined;
  rowKey: (row: T) => string;
  sort?: Sort | undefined;
  onSort?: (sort: Sort) => void;
  /** Keys of chosen rows; with `onChoose` each row gets a checkbox. */
  chosen?: string[];
  onChoose?: (keys: string[]) => void;
  rowLabel?: (row: T) => string;
  /** Marks one row as the one shown elsewhere on the page. */
  current?: string | undefined;
  /** Shown instead of rows when there are none. */
  empty?: ReactNode;
  skeletonRows?: number;
}

/** A table that scrolls in its own box, sorts by its headings and keeps its shape while loading. */
export function Table<T>(props: Props<T>) {
  const { columns, rows, chosen = [], onChoose } = props;
  if (rows && rows.length === 0 && props.empty) return <>{props.empty}</>;
  const toggle = (key: string) =>
    onChoose?.(chosen.includes(key) ? chosen.filter((k) => k !== key) : [...chosen, key]);
  return (
    <ScrollBox className="table-box" label={`${props.caption}, table`}>
      <table className="table" aria-busy={rows === undefined}>
        <caption className="sr">{props.caption}</caption>
        <thead>
          <tr>
            {onChoose && (
              <th scope="col" className="pick">
                <span className="sr">Choose</span>
              </th>
            )}
            {columns.map((column) => (
              <Heading key={column.key} column={column} sort={props.sort} onSort={props.onSort} />
            ))}
          </tr>
        </thead>
        <tbody>
          {rows === undefined
            ? Array.from({ length: props.skeletonRows ?? 5 }, (_, i) => (
                <tr key={i}>
                  {onChoose && <td className="pick" />}
                  {columns.map((column) => (
                    <td key={column.key}>
                      <Skeleton width="8ch" />
                    </td>
                  ))}
                </tr>
              ))
            : rows.map((row) => {
                const key = props.rowKey(row);
                return (
                  <tr key={key} data-chosen={chosen.includes(key) || props.current === key || undefined}>
                    {onChoose && (
                      <td className="pick">
                        <input
                          type="checkbox"
                          aria-label={`Choose ${props.rowLabel?.(row) ?? key}`}
                          checked={chosen.includes(key)}
                          onChange={() => toggle(key)}
                        />
                      </td>
                    )}
                    {columns.map((column) => {
                      const className = classOf(column, column.differs?.(row));
                      return column.head ? (
                        <th key={column.key} scope="row" className={className}>
                          {column.render(row)}
                        </th>
                      ) : (
                        <td key={column.key} className={className}>
                          {column.render(row)}
                        </td>
                      );
                    })}
                  </tr>
                );
              })}
        </tbody>
      </table>
    </ScrollBox>
  );
}

function classOf<T>(column: Column<T>, differs = false): string | undefined {
  const classes = [column.numeric && "num", column.head && "stick", differs && "differs"].filter(Boolean);
  return classes.length > 0 ? classes.join(" ") : undefined;
}

function Heading<T>(props: {
  column: Column<T>;
  sort: Sort | undefined;
  onSort: ((sort: Sort) => void) | undefined;
}) {
  const { column, sort, onSort } = props;
  const on = sort?.key === column.key;
  const className = classOf(column);
  if (!column.sortable || !onSort) {
    return (
      <th scope="col" className={className}>
        {column.label}
      </th>
    );
  }
  return (
    <th
      scope="col"
      className={className}
      aria-sort={on ? (sort.descending ? "descending" : "ascending") : "none"}
    >
      <button
        type="button"
        className="sort"
        data-on={on}
        onClick={() => onSort({ key: column.key, descending: on ? !sort.descending : true })}
      >
        {column.label}
        <span aria-hidden="true">{on ? (sort.descending ? "↓" : "↑") : ""}</span>
      </button>
    </th>
  );
}
