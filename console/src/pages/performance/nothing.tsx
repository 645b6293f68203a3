import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { ApiError, advice } from "../../api/errors";
import { native } from "../../api/native";
import { Empty, Skeleton } from "../../components/basics";
import { curlHere } from "../../lib/here";
import { newestSql } from "../../lib/performance";
import { to } from "../../lib/url";

/** Why there is nothing to measure, in the server's words, and the command that sends what was true. */
export function Nothing(props: { deployment: string; label: string; error: unknown }) {
  const { deployment, label, error } = props;
  const query = useQuery({
    queryKey: ["newest", deployment],
    queryFn: async ({ signal }) => {
      const { rows } = await native.query(newestSql(deployment), 1, signal);
      return rows[0] ? String(rows[0][0]) : "";
    },
  });
  const said =
    error instanceof ApiError ? (
      <>
        The server says: {error.message}; {advice(error)}.
      </>
    ) : undefined;
  if (query.isPending) return <Skeleton width="100%" />;
  if (!query.data)
    return (
      <Empty title="No prediction to measure">
        {said} <Link href={`${to("deployments", deployment)}?tab=try`}>Try it</Link> with a request, then send
        what turned out to be true.
      </Empty>
    );
  const body = { predictionId: query.data, name: label, value: 1 };
  return (
    <Empty
      title="Say what turned out to be true"
      command={curlHere({ method: "POST", path: "/api/v1/feedback", body })}
    >
      {said} This sends it for the newest prediction; put the true value in the place of the 1. Or choose
      another label or a longer time above.
    </Empty>
  );
}
