/** Figures in words: counts, measures, durations, bytes and times, always with their unit. */

const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

/** A count: 41,203. */
export function count(n: number): string {
  return Number.isFinite(n) ? whole.format(n) : "–";
}

/** "1 run", "3 runs"; an irregular plural is passed. */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** A measured value with up to `digits` significant digits, as ML people write them. */
export function measure(n: number | null | undefined, digits = 5): string {
  if (n === null || n === undefined) return "–";
  if (Number.isNaN(n)) return "NaN";
  if (!Number.isFinite(n)) return n > 0 ? "∞" : "−∞";
  if (n === 0) return "0";
  const size = Math.abs(n);
  if (size >= 1e9 || size < 1e-4)
    return n.toExponential(3).replace("-", "−").replace("e+", "e").replace("e-", "e−");
  if (Number.isInteger(n)) return whole.format(n).replace("-", "−");
  return new Intl.NumberFormat("en-GB", { maximumSignificantDigits: digits }).format(n).replace("-", "−");
}

/** Digits after the point with which all values of one column are written, so that they line up. */
export function decimals(values: (number | undefined)[], digits = 5): number {
  const sizes = values
    .filter((v): v is number => v !== undefined && Number.isFinite(v) && v !== 0)
    .map(Math.abs);
  if (sizes.length === 0 || values.every((v) => v === undefined || Number.isInteger(v))) return 0;
  const most = Math.floor(Math.log10(Math.max(...sizes)));
  return Math.min(9, Math.max(0, digits - 1 - most));
}

/** A value of such a column; one that would lose its digits is written by itself. */
export function aligned(n: number | null | undefined, places: number): string {
  if (n === null || n === undefined || !Number.isFinite(n)) return measure(n);
  const size = Math.abs(n);
  if (size >= 1e9 || (n !== 0 && size < 0.5 * 10 ** -places)) return measure(n);
  return new Intl.NumberFormat("en-GB", { minimumFractionDigits: places, maximumFractionDigits: places })
    .format(n)
    .replace("-", "−");
}

/** A duration given in seconds: "85 µs", "3.1 ms", "12.4 s", "3 min 20 s", "2 h 5 min". */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const s = Math.abs(seconds);
  if (s === 0) return "0 s";
  if (s < 1e-6) return `${trim(s * 1e9)} ns`;
  if (s < 1e-3) return `${trim(s * 1e6)} µs`;
  if (s < 1) return `${trim(s * 1e3)} ms`;
  if (s < 60) return `${trim(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

function trim(n: number): string {
  if (n >= 100) return n.toFixed(0);
  return String(Number(n.toFixed(n >= 10 ? 1 : 2)));
}

/** Bytes with binary units. */
export function bytes(n: number | null | undefined): string {
  if (n === null || n === undefined || !Number.isFinite(n)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = n;
  let at = 0;
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${at === 0 ? value : trim(value)} ${units[at]}`;
}

/** A share between 0 and 1 as a percentage: "99.95 %". */
export function percent(share: number, digits = 2): string {
  if (!Number.isFinite(share)) return "–";
  return `${Number((share * 100).toFixed(digits))} %`.replace("-", "−");
}

/** "just now", "4 min ago", "3 h ago", "12 days ago". */
export function ago(at: number, now: number): string {
  const s = Math.round((now - at) / 1000);
  // `now` is renewed every few seconds, and clocks differ a little.
  if (s < -60) return "in the future";
  if (s < 10) return "just now";
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ago`;
  const days = Math.floor(s / 86_400);
  return days === 1 ? "yesterday" : `${days} days ago`;
}

/** Local time to the second: 2026-11-23 14:03:22. */
export function local(at: number): string {
  const d = new Date(at);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** The same in UTC. */
export function utc(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** The first characters of a long id. */
export function short(id: string, length = 8): string {
  return id.length > length ? id.slice(0, length) : id;
}
