import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { plural } from "../lib/format";
import { useTitle } from "../lib/hooks";
import { useParam, useSort } from "../lib/url";
import { Empty, PageHead } from "./basics";
import { Loaded } from "./loaded";
import { type Column, Table } from "./table";

/** A column that says what it is sorted by has a heading to press. */
export interface ListColumn<T> extends Column<T> {
  sortBy?: (row: T) => number | string;
}

function compare(a: number | string, b: number | string): number {
  return typeof a === "string" && typeof b === "string"
    ? a.localeCompare(b, undefined, { numeric: true })
    : a < b
      ? -1
      : a > b
        ? 1
        : 0;
}

/** The page of one noun: its head, a filter by name, its table. Filter and order are in the address. */
export function ListPage<T extends { name: string }>(props: {
  title: string;
  /** "model", for the sentences. */
  noun: string;
  query: Pick<UseQueryResult<unknown>, "error" | "refetch" | "data">;
  rows: T[] | undefined;
  columns: ListColumn<T>[];
  /** `column:asc` or `column:desc`. */
  order: string;
  /** The first line, when there is at least one row. */
  lead: (rows: T[]) => ReactNode;
  /** Its text when there is none. */
  none: string;
  /** Teaches how the first one is made. */
  first: ReactNode;
  actions?: ReactNode;
  /** Drawn between the head and the table when there is something. */
  picture?: ReactNode;
  /** Stands under the table. */
  below?: ReactNode;
}) {
  const { rows, columns, query, noun } = props;
  useTitle(props.title);
  const [name, setName] = useParam("name");
  const [sort, setSort] = useSort(props.order);
  const by = columns.find((column) => column.key === sort.key)?.sortBy;
  const wanted = name.toLowerCase();
  const shown = rows?.filter((row) => row.name.toLowerCase().includes(wanted));
  if (shown && by) shown.sort((a, b) => compare(by(a), by(b)) * (sort.descending ? -1 : 1));
  return (
    <>
      <PageHead
        title={props.title}
        lead={
          rows === undefined
            ? query.error
              ? `The ${noun}s could not be listed.`
              : undefined
            : rows.length === 0
              ? props.none
              : props.lead(rows)
        }
        actions={props.actions}
      />
      <div className="stack">
        {rows && rows.length > 0 && props.picture}
        {(rows === undefined || rows.length > 0) && (
          <div className="row">
            <input
              className="input narrow"
              type="search"
              aria-label="Filter by name"
              placeholder="Filter by name"
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
            {rows && shown && name !== "" && (
              <span className="quiet small" role="status">
                {shown.length} of {plural(rows.length, noun)}
              </span>
            )}
          </div>
        )}
        <Loaded query={query}>
          {() => (
            <Table
              caption={props.title}
              rows={shown}
              rowKey={(row) => ("id" in row ? String(row.id) : row.name)}
              sort={sort}
              onSort={setSort}
              empty={
                rows && rows.length > 0 ? (
                  <Empty title={`No ${noun} has “${name}” in its name`}>Shorten the filter above.</Empty>
                ) : (
                  props.first
                )
              }
              columns={columns.map(({ sortBy, ...column }) => ({
                ...column,
                sortable: sortBy !== undefined,
              }))}
            />
          )}
        </Loaded>
        {rows && rows.length > 0 && props.below}
      </div>
    </>
  );
}
