/** Costs as the pages show them. Amounts come as exact texts; only charts and sorting take them as numbers. */
import type { CostReport } from "../api/native";

/** An exact amount, rounded to the digits that people read: four behind the point, or the first three that are not zero. */
export function amount(exact: string | null | undefined): string {
  if (exact === undefined || exact === null) return "–";
  const [whole = "0", rest] = exact.split(".");
  if (rest === undefined) return exact;
  if (/^0*$/.test(rest)) return whole;
  const zeros = rest.length - rest.replace(/^0+/, "").length;
  const digits = /^-?0$/.test(whole) ? Math.max(zeros + 3, 4) : 4;
  if (rest.length <= digits) return exact;
  // Without its point it is a whole number, one more where what is cut off is half or more.
  const up = (rest[digits] ?? "0") >= "5" ? 1n : 0n;
  const number = BigInt(whole.replace("-", "") + rest.slice(0, digits)) + up;
  const text = number.toString().padStart(digits + 1, "0");
  const shown = text.slice(-digits).replace(/0+$/, "");
  const sign = exact.startsWith("-") ? "-" : "";
  return `${sign}${text.slice(0, -digits)}${shown === "" ? "" : `.${shown}`}`;
}

/** An exact amount shared out over `n`, and what a thousand of them cost; to 18 digits behind the point. */
export function perThousand(exact: string, n: number): string | undefined {
  const [, sign = "", whole = "", rest = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(exact) ?? [];
  if (whole === "" || n <= 0) return undefined;
  const digits = Math.max(18, rest.length);
  const each = (BigInt(whole + rest.padEnd(digits, "0")) * 1000n) / BigInt(n);
  const text = each.toString().padStart(digits + 1, "0");
  const behind = text.slice(-digits).replace(/0+$/, "");
  return `${sign}${text.slice(0, -digits)}${behind && `.${behind}`}`;
}

/** An amount below a ten-thousandth has its first digits far behind the point: it is told in millionths, and of what. */
export function large(exact: string, currency: string): { value: string; unit: string } {
  const [, sign = "", rest = ""] = /^(-?)0\.0{4}(\d*[1-9]\d*)$/.exec(exact) ?? [];
  if (rest === "") return { value: amount(exact), unit: currency };
  const digits = `0000${rest}`.padEnd(7, "0");
  const whole = digits.slice(0, 6).replace(/^0+(?=\d)/, "");
  return { value: amount(`${sign}${whole}.${digits.slice(6)}`), unit: `millionths of ${currency}` };
}

/** An amount that a chart reckoned with. */
export function about(value: number): string {
  return amount(value.toFixed(12));
}

/** Whether a report is told apart by days or, where it is of few, by hours; with how long one is, seconds. */
export type Step = "day" | "hour";
const LONG: Record<Step, number> = { day: 86_400, hour: 3600 };

/**
 * What the days or hours of a report took, a line for each value of the second thing it is told apart by: nothing where
 * nothing was answered. Each value holds from the beginning of its day or hour; the last one, until the report ends.
 */
export function stepwise(
  report: CostReport,
  step: Step,
  of: string,
): { label: string; points: { x: number; y: number }[] }[] {
  const long = LONG[step];
  const lines = new Map<string, Map<number, number>>();
  for (const line of report.lines) {
    const name = line.by[of] ?? "";
    const y = line.cost ? Number(line.cost.total) : line.computeSeconds;
    const all = lines.get(name) ?? new Map<number, number>();
    lines.set(name, all.set(seconds(line.by[step] ?? ""), y));
  }
  const [from, until] = [seconds(report.from), seconds(report.until)];
  const begins: number[] = [];
  for (let x = from - (from % long); x < until; x += long) begins.push(x);
  const last = begins.at(-1) ?? from;
  return [...lines].map(([label, of]) => ({
    label,
    points: [
      ...begins.map((x) => ({ x, y: of.get(x) ?? 0 })),
      { x: Math.max(until, last + 1), y: of.get(last) ?? 0 },
    ],
  }));
}

/** A moment, or the beginning of a day, UTC, as seconds. */
function seconds(at: string): number {
  return Date.parse(at.length === 10 ? `${at}T00:00:00Z` : at) / 1000;
}
