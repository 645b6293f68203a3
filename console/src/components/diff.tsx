import { ScrollBox } from "./scroll-box";
import { Table } from "./table";

/** One line of a difference. */
export interface DiffLine {
  kind: "same" | "add" | "remove";
  text: string;
}

/** Line difference by longest common subsequence; meant for specs of up to a few thousand lines. */
export function diffLines(before: string, after: string): DiffLine[] {
  const a = before.split("\n");
  const b = after.split("\n");
  const width = b.length + 1;
  const longest = new Uint32Array((a.length + 1) * width);
  const at = (i: number, j: number) => longest[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      longest[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ kind: "same", text: a[i] ?? "" });
      i += 1;
      j += 1;
    } else if (i < a.length && (j >= b.length || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ kind: "remove", text: a[i] ?? "" });
      i += 1;
    } else {
      lines.push({ kind: "add", text: b[j] ?? "" });
      j += 1;
    }
  }
  return lines;
}

/** Two texts as one difference; signs and words carry it, colour only helps. */
export function Diff({ before, after, label }: { before: string; after: string; label: string }) {
  const lines = diffLines(before, after);
  if (lines.every((line) => line.kind === "same")) return <p className="quiet">No difference.</p>;
  return (
    <div className="code diff">
      <ScrollBox as="pre" label={label}>
        {lines.map((line, n) => (
          <span key={`${n}${line.kind}`} className={`line ${line.kind}`}>
            {line.kind === "add" ? "+ " : line.kind === "remove" ? "− " : "  "}
            {line.text}
          </span>
        ))}
      </ScrollBox>
    </div>
  );
}

export interface DiffRow {
  name: string;
  /** One value per column; undefined where the thing has none. */
  values: (string | undefined)[];
}

export function differs(row: DiffRow): boolean {
  return new Set(row.values.map((v) => v ?? "")).size > 1;
}

/** Several things side by side; a row whose values differ is marked with a sign and a tint. */
export function DiffTable(props: {
  caption: string;
  names: { key: string; label: React.ReactNode }[];
  rows: DiffRow[];
  nameLabel: string;
  numeric?: boolean;
  mark?: (row: DiffRow, at: number) => string | undefined;
}) {
  // Where every row differs a tint tells nothing.
  const tint = props.rows.some((row) => !differs(row));
  return (
    <Table
      caption={props.caption}
      rows={props.rows}
      rowKey={(row) => row.name}
      columns={[
        {
          key: "name",
          label: props.nameLabel,
          head: true,
          render: (row) => (
            <>
              {differs(row) && (
                <span className="quiet" title="differs">
                  ≠{" "}
                </span>
              )}
              {row.name}
            </>
          ),
        },
        ...props.names.map((name, at) => ({
          key: name.key,
          label: name.label,
          numeric: props.numeric ?? false,
          differs: (row: DiffRow) => tint && differs(row),
          render: (row: DiffRow) => {
            const mark = props.mark?.(row, at);
            return (
              <>
                {mark && <span className="quiet">{mark} </span>}
                {row.values[at] ?? <span className="quiet">–</span>}
              </>
            );
          },
        })),
      ]}
    />
  );
}
