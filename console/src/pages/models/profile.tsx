import { useQuery } from "@tanstack/react-query";
import { ms, native } from "../../api/native";
import { Status, Time } from "../../components/basics";
import { ErrorBox } from "../../components/errors";

/** How often a profile that is being made is asked for again, milliseconds. */
const EVERY = 5000;

/** What live rows of a version are compared with; where there is nothing, why, and what to do. */
export function ProfileLine({ name, version }: { name: string; version: string }) {
  const query = useQuery({
    queryKey: ["profile", name, version],
    queryFn: ({ signal }) => native.profileState(`${name}/${version}`, signal),
    staleTime: 60_000,
    refetchInterval: (q) => (q.state.data?.reading ? EVERY : false),
  });
  const { data: p, error } = query;
  if (error && !p) return <ErrorBox error={error} retry={() => void query.refetch()} />;
  if (!p) return <span className="quiet">looking for it</span>;
  if (!p.problem)
    return (
      <>
        of {p.source}, saved by {p.savedBy} <Time at={ms(p.savedAt)} />
      </>
    );
  return (
    <>
      <Status state={p.reading ? "live" : "warn"}>{p.reading ? "not yet" : "none"}</Status>
      <p className="break">{p.problem}</p>
      {p.hint && <p className="break">{p.hint}</p>}
    </>
  );
}
