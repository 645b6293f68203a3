import { useQuery } from "@tanstack/react-query";
import { type DeploymentDetail, ms, native } from "../../api/native";
import { Card, Empty, Figures, Live, Time } from "../../components/basics";
import { LatencyChart, PartsChart, rate, recentRate, TrafficChart } from "../../components/chart/traffic";
import { Choice, Toggle } from "../../components/choice";
import { ErrorBox } from "../../components/errors";
import { ShowCall } from "../../components/show-call";
import { count, percent } from "../../lib/format";
import { type LiveState, WINDOW } from "../../lib/live";
import { STRETCHES, sqlOf, useFilled, usePast } from "../../lib/past";
import { api, useParam } from "../../lib/url";
import { Batches } from "./batches";
import { Failures } from "./failures";
import { LatencySplit } from "./latency-split";
import { current, millis } from "./parts";
import { Rules } from "./rules";
import { Versions } from "./versions";

const RANGES = [
  ["live", "Live"],
  ["hour", "1 hour"],
  ["day", "24 hours"],
  ["week", "7 days"],
] as const;

/** The state in a few big numbers. */
function Now({ detail, live }: { detail: DeploymentDetail; live: LiveState }) {
  const { summary } = detail;
  const { traffic } = summary;
  const all = traffic.answered + traffic.failed;
  const batches = useQuery({
    queryKey: ["batches", summary.name],
    queryFn: ({ signal }) => native.batches(summary.name, signal),
    refetchInterval: 3000,
  });
  const held = batches.data?.versions.find((v) => v.current);
  const rows = held?.sizes.reduce((n, s) => n + s.rows * s.calls, 0) ?? 0;
  const version = current(detail);
  return (
    <Figures
      items={[
        { label: "Requests now", value: rate(recentRate(live.ticks)), note: "answered, last 10 s" },
        { label: "Median", value: millis(traffic.latency?.p50), note: "p50 since the start" },
        { label: "Slowest 1 %", value: millis(traffic.latency?.p99), note: "p99 since the start" },
        {
          label: "Failed",
          value: all === 0 ? "–" : percent(traffic.failed / all),
          note: `${count(traffic.failed)} of ${count(all)}`,
        },
        {
          label: "Rows a call",
          value: held && held.batches > 0 ? (rows / held.batches).toFixed(1) : "–",
          note: held && held.waiting > 0 ? `${count(held.waiting)} waiting now` : "none waiting",
        },
        {
          label: "Version",
          value: summary.version ?? "–",
          note: version && (
            <>
              loaded <Time at={ms(version.loadedAt)} />
            </>
          ),
        },
      ]}
    />
  );
}

/** Traffic, latency and its parts: of the last two minutes as they pass, or of the past. */
function Pictures({ live, name }: { live: LiveState; name: string }) {
  const [range, setRange] = useParam("range", "live");
  const [log, setLog] = useParam("log", "no");
  const stretch = range in STRETCHES ? STRETCHES[range as keyof typeof STRETCHES] : undefined;
  const past = usePast(name, stretch);
  const filled = useFilled(live, name);
  const ticks = stretch ? (past.data ?? []) : filled;
  const [first, last] = [ticks[0], ticks.at(-1)];
  const seconds = stretch && first && last ? (last.atMs - first.atMs) / 1000 : WINDOW;
  const sync = `deployment-${name}-${range}`;
  const call = stretch ? (
    <ShowCall
      call={{
        method: "POST",
        path: "/api/v1/query",
        body: { sql: sqlOf(name, stretch), limit: 10_000 },
      }}
      cli={["query", sqlOf(name, stretch)]}
    />
  ) : (
    <ShowCall call={{ method: "GET", path: api("deployments", name, "live") }} />
  );
  return (
    <section className="stack" aria-label="Traffic and latency">
      <div className="row">
        <Choice
          label="Stretch of time"
          value={stretch ? range : "live"}
          options={RANGES}
          onChange={setRange}
        />
        <Toggle on={log === "yes"} onPress={() => setLog(log === "yes" ? "no" : "yes")}>
          Latency on a log scale
        </Toggle>
        {!stretch && <Live updatedAt={live.updatedAt} everyMs={1000} />}
        <span className="push">{call}</span>
      </div>
      {past.error && stretch && <ErrorBox error={past.error} retry={() => void past.refetch()} />}
      {stretch && past.data?.length === 0 ? (
        <Empty title="No request in this stretch of time">
          Choose a longer one, or send a request on the tab “Try it”.
        </Empty>
      ) : (
        <div className="grid three">
          <Card title="Requests">
            <TrafficChart ticks={ticks} by="version" seconds={seconds} sync={sync} />
          </Card>
          <Card title="Latency">
            <LatencyChart ticks={ticks} seconds={seconds} sync={sync} log={log === "yes"} />
          </Card>
          <Card title="Mean time by part">
            <PartsChart ticks={ticks} seconds={seconds} sync={sync} />
          </Card>
        </div>
      )}
    </section>
  );
}

export function LiveTab(props: { detail: DeploymentDetail; live: LiveState; name: string }) {
  const { detail, live, name } = props;
  return (
    <>
      <Now detail={detail} live={live} />
      <Pictures live={live} name={name} />
      <Versions detail={detail} />
      <LatencySplit stats={detail.stats.filter((s) => s.version !== "-")} name={name} />
      <Batches name={name} />
      <Rules name={name} title="Rules" />
      <Failures stats={detail.stats} name={name} />
    </>
  );
}
