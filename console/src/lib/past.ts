/** Traffic of the past from the journal, in the form of live ticks, so that the same charts draw it. */
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { type LiveTick, type LiveVersion, native, type QueryAnswer } from "../api/native";
import { type LiveState, WINDOW } from "./live";
import { literal } from "./sql";

/** A stretch of the past, and how finely it is drawn; both in seconds. */
export interface Stretch {
  seconds: number;
  bucket: number;
}

export const STRETCHES = {
  hour: { seconds: 3600, bucket: 10 },
  day: { seconds: 86_400, bucket: 300 },
  week: { seconds: 7 * 86_400, bucket: 3600 },
} as const satisfies Record<string, Stretch>;

/** Buckets that a picture has at least. */
const LEAST = 30;

/**
 * One line for each bucket, deployment and version; of all deployments when none is named. `row = 0`
 * counts a request once, however many rows it has.
 */
export function sqlOf(deployment: string | undefined, { seconds, bucket }: Stretch): string {
  const only = deployment === undefined ? "" : `deployment = ${literal(deployment)} and `;
  return `select date_bin(interval '${bucket} seconds', at) as bucket, deployment, version,
  sum(case when outcome = 'ok' then 1 else 0 end) as answered,
  sum(case when outcome = 'ok' then 0 else 1 end) as failed,
  approx_percentile_cont(total_us, 0.5) as p50,
  approx_percentile_cont(total_us, 0.9) as p90,
  approx_percentile_cont(total_us, 0.99) as p99,
  avg(queue_us) as queue, avg(engine_us) as engine, avg(encode_us) as encode
from predictions
where ${only}row = 0 and at > now() - interval '${seconds} seconds'
group by 1, 2, 3
order by 1`;
}

/**
 * Rows of the answer as ticks, one a bucket from the first request up to `now` (milliseconds); rates are
 * per second.
 */
export function ticksOf(rows: QueryAnswer["rows"], { seconds, bucket }: Stretch, now: number): LiveTick[] {
  const size = bucket * 1000;
  const found = new Map<number, LiveVersion[]>();
  const names = new Map<string, Pick<LiveVersion, "deployment" | "version">>();
  for (const [at, deployment, version, answered, failed, ...times] of rows) {
    const start = Date.parse(String(at));
    // The API counts in milliseconds, the journal in microseconds.
    const [p50 = 0, p90 = 0, p99 = 0, queue = 0, engine = 0, encode = 0] = times.map((t) => Number(t) / 1000);
    const only = (mean: number) => ({ mean, p50: mean, p90: mean, p99: mean, max: mean });
    const good = Number(answered);
    const who = { deployment: String(deployment), version: String(version) };
    names.set(`${who.deployment}/${who.version}`, who);
    const line: LiveVersion = {
      ...who,
      variant: "",
      answered: good / bucket,
      failed: Number(failed) / bucket,
      rows: 0,
      ...(good > 0
        ? {
            latency: { p50, p90, p99, mean: p50, max: p99 },
            queue: only(queue),
            engine: only(engine),
            encode: only(encode),
          }
        : {}),
    };
    found.set(start, [...(found.get(start) ?? []), line]);
  }
  if (names.size === 0) return [];
  const quiet = [...names.values()].map((who) => ({ ...who, variant: "", answered: 0, failed: 0, rows: 0 }));
  const end = Math.floor(now / size) * size;
  // What was before the first request tells nothing: a young deployment is drawn large.
  const first = Math.min(...found.keys(), end - LEAST * size);
  const ticks: LiveTick[] = [];
  for (let at = Math.max(first, end - Math.floor(seconds / bucket) * size); at <= end; at += size) {
    const here = found.get(at) ?? [];
    const absent = quiet.filter(
      (q) => !here.some((v) => v.deployment === q.deployment && v.version === q.version),
    );
    ticks.push({ atMs: at, versions: [...here, ...absent] });
  }
  return ticks;
}

/** The past of a deployment, renewed as its newest bucket fills. */
export function usePast(deployment: string, stretch: Stretch | undefined) {
  return useQuery({
    queryKey: ["past", deployment, stretch],
    enabled: stretch !== undefined,
    queryFn: async ({ signal }) => {
      if (!stretch) return [];
      const { rows } = await native.query(sqlOf(deployment, stretch), 10_000, signal);
      return ticksOf(rows, stretch, Date.now());
    },
    // A picture of a week does not change in seconds, and costs more to make.
    refetchInterval: stretch && Math.min(300_000, Math.max(15_000, stretch.bucket * 500)),
  });
}

/** The last two minutes at the moment a page is opened, second by second. */
const RECENT: Stretch = { seconds: WINDOW, bucket: 1 };

/**
 * Live ticks with the window before them filled from the journal, so that a page that was just opened
 * is not empty. Without a journal to read the live ticks stand alone.
 */
export function useFilled(live: LiveState, deployment?: string): LiveTick[] {
  const recent = useQuery({
    queryKey: ["recent", deployment],
    queryFn: async ({ signal }) => {
      const { rows } = await native.query(sqlOf(deployment, RECENT), 10_000, signal);
      return ticksOf(rows, RECENT, Date.now());
    },
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  return useMemo(() => fill(recent.data ?? [], live.ticks), [recent.data, live.ticks]);
}

/** What was before the first live tick, then the live ones, no more than the window. */
export function fill(before: LiveTick[], live: LiveTick[]): LiveTick[] {
  const [first] = live;
  // The live stream is on its way: the newest second of the journal may not be whole yet.
  if (!first) return before.slice(0, -1);
  const from = (live.at(-1)?.atMs ?? 0) - WINDOW * 1000;
  // A tick tells of the second before it.
  return [...before.filter((t) => t.atMs > from && t.atMs + 1000 < first.atMs), ...live];
}
