import { useQuery } from "@tanstack/react-query";
import { readError } from "../../api/errors";
import { Code, Skeleton } from "../../components/basics";
import { ErrorBox } from "../../components/errors";
import { Table } from "../../components/table";
import { bytes } from "../../lib/format";
import { readCsv } from "../../lib/csv";

export type Kind = "table" | "json" | "text" | "picture" | "none";

const TEXTS =
  /(^|\/)(MLmodel|Dockerfile|\.?gitignore|[^/]*\.(txt|md|rst|ya?ml|py|sh|r|toml|log|err|html?|xml|cfg|conf|ini|sql|jsonl|ndjson|properties|lock))$/i;

/** How a file is shown, by its name. */
export function kindOf(path: string): Kind {
  if (/\.(csv|tsv)$/i.test(path)) return "table";
  if (/\.(json|ipynb|geojson)$/i.test(path)) return "json";
  if (/\.(png|jpe?g|gif|webp|avif|bmp|ico|svg)$/i.test(path)) return "picture";
  return TEXTS.test(path) ? "text" : "none";
}

/** A preview reads this much of a file and no more. */
const LIMIT = 256 * 1024;
const ROWS = 200;

interface Head {
  text: string;
  /** The file goes on. */
  cut: boolean;
}

/** The beginning of a file; the transfer ends once there is enough. */
async function readHead(url: string, path: string, signal: AbortSignal): Promise<Head> {
  const enough = new AbortController();
  const response = await fetch(url, { signal: AbortSignal.any([signal, enough.signal]) });
  if (!response.ok || !response.body) {
    const body: unknown = await response.json().catch(() => undefined);
    throw readError(`read ${path}`, response, body);
  }
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  while (size < LIMIT) {
    const { done, value } = await reader.read();
    if (done) return { text: text + decoder.decode(), cut: false };
    size += value.length;
    text += decoder.decode(value, { stream: true });
  }
  enough.abort();
  return { text, cut: true };
}

function Sheet({ text, path, cut }: { text: string; path: string; cut: boolean }) {
  const rows = readCsv(text, /\.tsv$/i.test(path) ? "\t" : ",", ROWS + 1);
  const [head = [], ...lines] = rows;
  const numeric = head.map((_, i) =>
    lines.every((line) => line[i] === undefined || line[i] === "" || Number.isFinite(Number(line[i]))),
  );
  return (
    <>
      <Table
        caption={path}
        rows={lines.map((line, i) => ({ line, i }))}
        rowKey={({ i }) => String(i)}
        columns={head.map((label, at) => ({
          key: `${at}/${label}`,
          label,
          numeric: numeric[at] ?? false,
          render: ({ line }: { line: string[]; i: number }) => (
            <span className="break">{line[at] ?? ""}</span>
          ),
        }))}
      />
      {(cut || rows.length > ROWS) && <p className="quiet small">The first {lines.length} rows.</p>}
    </>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function Text({ url, path, kind }: { url: string; path: string; kind: Kind }) {
  const head = useQuery({
    queryKey: ["file", url],
    queryFn: ({ signal }) => readHead(url, path, signal),
    staleTime: 60_000,
  });
  if (head.error) return <ErrorBox error={head.error} retry={() => void head.refetch()} />;
  if (head.data === undefined) return <Skeleton width="100%" />;
  const { text, cut } = head.data;
  if (text === "") return <p className="quiet">This file is empty.</p>;
  if (text.includes("\0")) return <p className="quiet">This file is not text; download it.</p>;
  if (kind === "table") return <Sheet text={text} path={path} cut={cut} />;
  return (
    <>
      <Code text={kind === "json" && !cut ? pretty(text) : text} label={path} />
      {cut && <p className="quiet small">The first {bytes(LIMIT)}; the rest is in the download.</p>}
    </>
  );
}

/** What is in a file, as far as a page can show it. */
export function Preview(props: { url: string; path: string }) {
  const kind = kindOf(props.path);
  return (
    <div className="preview">
      {kind === "none" ? (
        <p className="quiet">This kind of file has no preview; download it.</p>
      ) : kind === "picture" ? (
        <img src={props.url} alt={props.path} />
      ) : (
        <Text url={props.url} path={props.path} kind={kind} />
      )}
    </div>
  );
}
