import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { mlflow } from "../../api/mlflow";
import { figure, ms, native, type Run } from "../../api/native";
import { type State, Status } from "../../components/basics";
import { to } from "../../lib/url";

const STATES: Record<string, [State, string]> = {
  RUNNING: ["live", "running"],
  SCHEDULED: ["none", "scheduled"],
  FINISHED: ["ok", "finished"],
  FAILED: ["bad", "failed"],
  KILLED: ["warn", "killed"],
};

export function RunStatus({ run }: { run: Run }) {
  const [state, word] = STATES[run.status] ?? ["none", run.status];
  return (
    <>
      <Status state={state}>{word}</Status>
      {run.lifecycle === "deleted" && (
        <>
          {" "}
          <Status state="warn">deleted</Status>
        </>
      )}
    </>
  );
}

export function RunLink({ run }: { run: Run }) {
  return <Link href={to("runs", run.id)}>{run.name || run.id.slice(0, 8)}</Link>;
}

/** Seconds from start to end, or until now while it runs. */
export function runSeconds(run: Run, now: number): number | undefined {
  const start = ms(run.startedAt);
  const end = ms(run.endedAt) ?? (run.status === "RUNNING" ? now : undefined);
  return start === undefined || end === undefined ? undefined : Math.max(0, (end - start) / 1000);
}

export function metricOf(run: Run, key: string): number | undefined {
  return figure(run.metrics[key]);
}

/** Names in order of how many runs have them, then by name. */
export function commonKeys(runs: Run[], of: (run: Run) => Record<string, unknown>): string[] {
  const seen = new Map<string, number>();
  for (const run of runs) for (const key of Object.keys(of(run))) seen.set(key, (seen.get(key) ?? 0) + 1);
  return [...seen].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).map(([key]) => key);
}

/** The name of an experiment by its id; the id until the list has come. */
export function useExperimentName(): (id: string) => string {
  const list = useQuery({
    queryKey: ["experiments"],
    queryFn: ({ signal }) => native.experiments(signal),
    staleTime: 30_000,
  });
  return (id) => list.data?.experiments.find((e) => e.id === id)?.name ?? `Experiment ${id}`;
}

/** Models that a run logged; MLflow 3 keeps their files with them, not with the run. */
export function useLoggedModels(run: Run) {
  return useQuery({
    queryKey: ["logged-models", run.id],
    queryFn: ({ signal }) => mlflow.loggedModels(run.experimentId, run.id, signal),
  });
}
