import { useQuery } from "@tanstack/react-query";
import { native } from "../../api/native";
import { Card } from "../../components/basics";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";

/** What measured demand says about sizes and offers. */
export function Hints({ days }: { days: string }) {
  const seconds = Number(days) * 86_400;
  const query = useQuery({
    queryKey: ["cost-hints", days],
    queryFn: ({ signal }) => native.costHints(seconds, signal),
    refetchInterval: 300_000,
  });
  return (
    <Card
      title="Hints"
      note="Arithmetic on what was measured and declared; memory is not looked at."
      tools={
        <ShowCall
          call={{ method: "GET", path: `/api/v1/cost/hints?lastSeconds=${seconds}` }}
          cli={["cost", "hints", "--since", `${days}d`]}
        />
      }
    >
      <Loaded query={query}>
        {(data) =>
          data && (
            <>
              {data.hints.length === 0 && <p className="quiet">No hint.</p>}
              <ul>
                {data.hints.map((h) => (
                  <li key={h.sentence}>
                    {h.sentence}
                    <details>
                      <summary>Numbers</summary>
                      <pre className="break small">{JSON.stringify(h.numbers, null, 1)}</pre>
                    </details>
                  </li>
                ))}
              </ul>
              {data.notes.map((note) => (
                <p key={note} className="quiet small">
                  {note}
                </p>
              ))}
            </>
          )
        }
      </Loaded>
    </Card>
  );
}
