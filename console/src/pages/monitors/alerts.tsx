import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { type Alert, type MonitorDetail, ms, native } from "../../api/native";
import { AlertLeads } from "../../components/alert-leads";
import { Card, Skeleton, Status, Time } from "../../components/basics";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { alertsOf, phaseOf } from "../../lib/alerts";
import { plural } from "../../lib/format";
import { useNow } from "../../lib/hooks";
import { to } from "../../lib/url";

/** Of those that are over, so many. */
const ENDED = 5;

function One({ alert: a, here }: { alert: Alert; here: string }) {
  const [state, words] = phaseOf(a);
  return (
    <li>
      <p className="row">
        <Status state={state}>{words}</Status>
        <Link href={`/alerts?${new URLSearchParams({ alert: a.fingerprint })}`}>{a.name}</Link>
        <span className="quiet small">
          {a.severity}, since <Time at={ms(a.since)} />
        </span>
      </p>
      <p className="said break">{a.summary}</p>
      <AlertLeads alert={a} here={here} />
    </li>
  );
}

/** What is wrong with the deployment that a monitor watches, and what lately was. */
export function Alerts({ monitor: m }: { monitor: MonitorDetail }) {
  const now = useNow(60_000);
  const query = useQuery({
    queryKey: ["alerts"],
    queryFn: ({ signal }) => native.alerts(signal),
    refetchInterval: 5000,
  });
  const its = query.data && alertsOf(query.data.alerts, m, now);
  const more = Math.max(0, (its?.ended.length ?? 0) - ENDED);
  return (
    <Card
      title="Alerts"
      note={
        its &&
        (its.firing.length > 0
          ? `${plural(its.firing.length, "alert")} of ${m.deployment} ${its.firing.length === 1 ? "fires" : "fire"} now.`
          : its.ended.length > 0
            ? "Nothing fires now; what was in the last seven days:"
            : undefined)
      }
      tools={
        <>
          <Link className="button small" href="/alerts">
            All alerts
          </Link>
          <ShowCall call={{ method: "GET", path: "/api/v1/alerts" }} cli={["alert", "list"]} />
        </>
      }
    >
      <Loaded query={query}>
        {() =>
          its === undefined ? (
            <Skeleton width="100%" />
          ) : its.firing.length + its.ended.length === 0 ? (
            <p className="quiet">
              Nothing of {m.deployment} is wrong, and nothing was in the last seven days. Who is told when
              something is, an <Link href="/alerts">alert channel</Link> says.
            </p>
          ) : (
            <>
              <ol className="decisions">
                {[...its.firing, ...its.ended.slice(0, ENDED)].map((a) => (
                  <One key={a.fingerprint} alert={a} here={to("monitors", m.name)} />
                ))}
              </ol>
              {more > 0 && (
                <p className="quiet small">
                  {plural(more, "more")} ended in the last seven days: <Link href="/alerts">all alerts</Link>.
                </p>
              )}
            </>
          )
        }
      </Loaded>
    </Card>
  );
}
