/** From the answer of a query to lines over time, where it has a time and figures. */
import type { QueryAnswer } from "../../api/native";
import { align, type Series } from "../../components/chart/data";

const isTime = (type: string) => /^(timestamp|date)/i.test(type);
const isNumber = (type: string) => /^(u?int|float|decimal)/i.test(type);
const isText = (type: string) => /^(utf8|large_?utf8|dictionary)/i.test(type);

/** More lines than this are a tangle; the table tells more. */
const MOST = 12;

/**
 * One line for each figure, and for each combination of the texts beside it. Undefined when there is no
 * time, no figure, only one moment, too many lines, or one line a row.
 */
export function pictureOf({ columns, rows }: QueryAnswer): { x: number[]; series: Series[] } | undefined {
  const time = columns.findIndex((c) => isTime(c.type));
  const figures = columns.flatMap((c, i) => (isNumber(c.type) ? [i] : []));
  const texts = columns.flatMap((c, i) => (isText(c.type) ? [i] : []));
  if (time < 0 || figures.length === 0) return undefined;
  const lines = new Map<string, { x: number; y: number }[]>();
  for (const row of rows) {
    const at = Date.parse(String(row[time])) / 1000;
    if (!Number.isFinite(at)) continue;
    const who = texts.map((i) => String(row[i] ?? "–")).join(", ");
    for (const i of figures) {
      const name = columns[i]?.name ?? "";
      const label = who === "" ? name : figures.length > 1 ? `${who}: ${name}` : who;
      const y = row[i] === null ? Number.NaN : Number(row[i]);
      lines.set(label, [...(lines.get(label) ?? []), { x: at, y }]);
    }
    if (lines.size > MOST) return undefined;
  }
  // Each line a single point: texts that name the rows, such as ids.
  if (lines.size >= rows.length * figures.length) return undefined;
  const drawn = align([...lines].map(([label, points]) => ({ label, points })));
  return drawn.x.length > 1 ? drawn : undefined;
}
