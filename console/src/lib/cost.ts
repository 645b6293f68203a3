/** Costs as the pages show them. Amounts come as exact texts; only charts and sorting take them as numbers. */
import type { CostReport } from "../api/native";

/** Digits that people read: four behind the point, or the first three that are not zero. */
export function amount(exact: string | null | undefined): string {
  if (exact === undefined || exact === null) return "–";
  const [whole = "0", rest] = exact.split(".");
  if (rest === undefined) return exact;
  const zeros = rest.length - rest.replace(/^0+/, "").length;
  const digits = /^-?0$/.test(whole) ? Math.max(zeros + 3, 4) : 4;
  const shown = rest.slice(0, digits).replace(/0+$/, "");
  return shown === "" ? whole : `${whole}.${shown}`;
}

/** What the days of a report took, a line for each value of the second thing it is told apart by: nothing on a day without answers. */
export function daily(
  report: CostReport,
  of: string,
): { label: string; points: { x: number; y: number }[] }[] {
  const lines = new Map<string, Map<number, number>>();
  for (const line of report.lines) {
    const name = line.by[of] ?? "";
    const y = line.cost ? Number(line.cost.total) : line.computeSeconds;
    const days = lines.get(name) ?? new Map<number, number>();
    lines.set(name, days.set(midnight(line.by.day ?? ""), y));
  }
  const days: number[] = [];
  for (let x = midnight(report.from); x <= midnight(report.until); x += 86_400) days.push(x);
  return [...lines].map(([label, of]) => ({ label, points: days.map((x) => ({ x, y: of.get(x) ?? 0 })) }));
}

/** The beginning of a day or of the day of a moment, UTC, seconds. */
function midnight(at: string): number {
  return Date.parse(`${at.slice(0, 10)}T00:00:00Z`) / 1000;
}
