/** Traffic of the past from the journal, in the form of live ticks, so that the same charts draw it. */
import { useQuery } from "@tanstack/react-query";
import { type LiveTick, type LiveVersion, native, type QueryAnswer } from "../../api/native";
import { literal } from "./parts";

/** A stretch of the past, and how finely it is drawn; both in seconds. */
export interface Stretch {
  seconds: number;
  bucket: number;
}

export const STRETCHES = {
  hour: { seconds: 3600, bucket: 30 },
  day: { seconds: 86_400, bucket: 600 },
  week: { seconds: 7 * 86_400, bucket: 3600 },
} as const satisfies Record<string, Stretch>;

/** One line for each bucket and version. `row = 0` counts a request once, however many rows it has. */
export function sqlOf(deployment: string, { seconds, bucket }: Stretch): string {
  return `select date_bin(interval '${bucket} seconds', at) as bucket, version,
  sum(case when outcome = 'ok' then 1 else 0 end) as answered,
  sum(case when outcome = 'ok' then 0 else 1 end) as failed,
  approx_percentile_cont(total_us, 0.5) as p50,
  approx_percentile_cont(total_us, 0.9) as p90,
  approx_percentile_cont(total_us, 0.99) as p99,
  avg(queue_us) as queue, avg(engine_us) as engine, avg(encode_us) as encode
from predictions
where deployment = ${literal(deployment)} and row = 0 and at > now() - interval '${seconds} seconds'
group by 1, 2
order by 1`;
}

/** Rows of the answer as ticks, one a bucket up to `now` (milliseconds); rates are per second. */
export function ticksOf(
  deployment: string,
  rows: QueryAnswer["rows"],
  { seconds, bucket }: Stretch,
  now: number,
): LiveTick[] {
  const size = bucket * 1000;
  const found = new Map<number, LiveVersion[]>();
  const names = new Set<string>();
  for (const [at, version, answered, failed, ...times] of rows) {
    const start = Date.parse(String(at));
    // The API counts in milliseconds, the journal in microseconds.
    const [p50 = 0, p90 = 0, p99 = 0, queue = 0, engine = 0, encode = 0] = times.map((t) => Number(t) / 1000);
    const only = (mean: number) => ({ mean, p50: mean, p90: mean, p99: mean, max: mean });
    const name = String(version);
    const good = Number(answered);
    names.add(name);
    const line: LiveVersion = {
      deployment,
      version: name,
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
  const quiet = [...names].map((version) => ({
    deployment,
    version,
    variant: "",
    answered: 0,
    failed: 0,
    rows: 0,
  }));
  const end = Math.floor(now / size) * size;
  const ticks: LiveTick[] = [];
  for (let at = end - Math.floor(seconds / bucket) * size; at <= end; at += size) {
    const here = found.get(at) ?? [];
    const absent = quiet.filter((q) => !here.some((v) => v.version === q.version));
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
      return ticksOf(deployment, rows, stretch, Date.now());
    },
    refetchInterval: 15_000,
  });
}
