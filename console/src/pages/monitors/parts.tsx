import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { type Monitor, native } from "../../api/native";
import { Status } from "../../components/basics";
import { plural } from "../../lib/format";
import { stateWords } from "../../lib/monitor";
import { to } from "../../lib/url";

export function State({ monitor }: { monitor: Pick<Monitor, "state"> }) {
  const [mark, words] = stateWords(monitor);
  return <Status state={mark}>{words}</Status>;
}

/** The names of drifted columns; of many the first few. */
export function Drifted({ names }: { names: string[] }) {
  if (names.length === 0) return <span className="quiet">–</span>;
  const shown = names.length > 4 ? names.slice(0, 3) : names;
  const rest = names.length - shown.length;
  return (
    <span className="break" title={names.join(", ")}>
      {shown.join(", ")}
      {rest > 0 && ` and ${plural(rest, "more column")}`}
    </span>
  );
}

/** On the page of a deployment: who watches its rows, and what they see. */
export function MonitorsOf({ deployment }: { deployment: string }) {
  const query = useQuery({
    queryKey: ["monitors"],
    queryFn: ({ signal }) => native.monitors(signal),
    refetchInterval: 5000,
  });
  const found = query.data?.monitors.filter((m) => m.deployment === deployment) ?? [];
  return found.map((m) => (
    <p className="row" key={m.name}>
      <State monitor={m} />
      <span>
        Monitor <Link href={to("monitors", m.name)}>{m.name}</Link>
        {m.drifted.length > 0 && (
          <>
            : <Drifted names={m.drifted} />
          </>
        )}
      </span>
    </p>
  ));
}
