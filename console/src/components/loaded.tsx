import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { ErrorBox } from "./errors";

/**
 * What a query gave, or why it gave nothing. While it loads the child is called with `undefined`, so
 * that it keeps the layout. A failed refresh keeps the old data and says so above it.
 */
export function Loaded<T>(props: {
  query: Pick<UseQueryResult<T>, "data" | "error" | "refetch">;
  children: (data: T | undefined) => ReactNode;
}) {
  const { data, error, refetch } = props.query;
  if (error && data === undefined) return <ErrorBox error={error} retry={() => void refetch()} />;
  return (
    <>
      {error && <ErrorBox error={error} retry={() => void refetch()} />}
      {props.children(data)}
    </>
  );
}
