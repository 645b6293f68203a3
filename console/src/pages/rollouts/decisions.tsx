import { useInfiniteQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { ms, native, type RolloutDecision } from "../../api/native";
import { Card, Chip, Skeleton, Time } from "../../components/basics";
import { ErrorBox } from "../../components/errors";
import { ShowCall } from "../../components/show-call";
import { percent, plural } from "../../lib/format";
import { metricName } from "../../lib/rollout";
import { api } from "../../lib/url";
import { Metrics } from "./metrics";

/** The decisions of one run, newest first; asked for again when `decisions` says that there are more. */
export function useDecisions(name: string, run: number | undefined, decisions: number | undefined) {
  const query = useInfiniteQuery({
    queryKey: ["rollout-decisions", name, run],
    queryFn: ({ signal, pageParam }) => native.rolloutDecisions(name, run ?? 1, pageParam, signal),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: (page) => {
      const oldest = page.decisions.at(-1)?.seq ?? 1;
      return oldest > 1 ? oldest : undefined;
    },
    enabled: run !== undefined,
  });
  const { refetch } = query;
  const seen = useRef(decisions);
  useEffect(() => {
    if (seen.current !== undefined && decisions !== seen.current) void refetch();
    seen.current = decisions;
  }, [decisions, refetch]);
  return query;
}

function Decision({ decision: d }: { decision: RolloutDecision }) {
  return (
    <li>
      <p className="said">{d.sentence}</p>
      <div className="row small quiet">
        <Time at={ms(d.at)} exact />
        <span className="break">by {d.by}</span>
        {/* Who was promoted is stable then, and no candidate has a weight. */}
        {d.kind !== "succeeded" && <span>candidate {percent(d.weight)}</span>}
        {d.because.map((name) => (
          <Chip key={name}>{metricName(name)}</Chip>
        ))}
      </div>
      {d.metrics.length > 0 && (
        <details>
          <summary>Numbers at that moment</summary>
          <Metrics caption={`Metrics at decision ${d.seq}`} metrics={d.metrics} />
        </details>
      )}
    </li>
  );
}

/** The log of decisions: what, when, by whom, and the numbers behind it. */
export function Decisions(props: { name: string; query: ReturnType<typeof useDecisions>; total: number }) {
  const { name, query } = props;
  const all = query.data?.pages.flatMap((page) => page.decisions);
  return (
    <Card
      title="Decisions"
      note={`${plural(props.total, "decision")}, newest first.`}
      tools={
        <ShowCall
          call={{ method: "GET", path: api("rollouts", name, "decisions") }}
          cli={["rollout", "decisions", name]}
        />
      }
    >
      {query.error && <ErrorBox error={query.error} retry={() => void query.refetch()} />}
      {all === undefined ? (
        !query.error && <Skeleton width="100%" />
      ) : all.length === 0 ? (
        <p className="quiet">Nothing was decided yet.</p>
      ) : (
        <ol className="decisions">
          {all.map((d) => (
            <Decision key={d.seq} decision={d} />
          ))}
        </ol>
      )}
      {query.hasNextPage && (
        <button
          type="button"
          className="button below"
          disabled={query.isFetchingNextPage}
          onClick={() => void query.fetchNextPage()}
        >
          {query.isFetchingNextPage ? "Loading older decisions…" : "Show older decisions"}
        </button>
      )}
    </Card>
  );
}
