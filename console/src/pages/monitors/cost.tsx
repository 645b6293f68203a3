import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { type CostLine, type CostReport, native } from "../../api/native";
import { Card, Figures, Skeleton } from "../../components/basics";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { Table } from "../../components/table";
import { amount, large, perThousand } from "../../lib/cost";
import { count, duration, plural } from "../../lib/format";
import { to } from "../../lib/url";

const BY = "version,variant";
const DAYS = 7;
const SECONDS = DAYS * 86_400;

/** Where there is no price, compute is what there is to say. */
function eachThousand(line: CostLine): string {
  if (line.rows === 0) return "–";
  if (line.cost) return amount(perThousand(line.cost.total, line.rows));
  return duration((line.computeSeconds / line.rows) * 1000);
}

function Sums({ report }: { report: CostReport }) {
  const { total, currency } = report;
  const figure = (label: string, exact: string | null | undefined, seconds: number, note: string) => {
    if (!exact || !currency) return { label: `${label}, compute`, value: duration(seconds), note };
    const { value, unit } = large(exact, currency);
    return { label: `${label}, ${unit}`, value, note };
  };
  const each = total.cost && perThousand(total.cost.total, total.rows);
  return (
    <Figures
      items={[
        figure(
          "Total",
          total.cost?.total,
          total.computeSeconds,
          `${plural(total.answers, "answer")}, shadows’ too`,
        ),
        figure(
          "Per 1,000 predictions",
          each,
          total.rows === 0 ? Number.NaN : (total.computeSeconds / total.rows) * 1000,
          `${plural(total.rows, "prediction")}, one a row`,
        ),
        // Without prices it is the total.
        ...(total.cost && currency
          ? [{ label: "Compute", value: duration(total.computeSeconds), note: "of the engine" }]
          : []),
      ]}
    />
  );
}

/** Lines are told apart by `model/version` and variant; `-` is what no version answered. */
function Version({ line }: { line: CostLine }) {
  const name = line.by.version ?? "";
  const at = name.lastIndexOf("/");
  if (at < 0) return name === "" || name === "-" ? "none" : name;
  const [model, version] = [name.slice(0, at), name.slice(at + 1)];
  return <Link href={`${to("models", model)}?${new URLSearchParams({ v: version })}`}>{name}</Link>;
}

/** What a deployment took and cost in the last week, each version and variant by itself. */
export function Cost({ deployment }: { deployment: string }) {
  const query = useQuery({
    queryKey: ["cost", BY, DAYS, deployment],
    queryFn: ({ signal }) => native.cost(BY, SECONDS, deployment, signal),
    refetchInterval: 60_000,
  });
  const currency = query.data?.currency;
  const asked = new URLSearchParams({ by: BY, lastSeconds: String(SECONDS), deployment });
  return (
    <Card
      flush
      title="Cost"
      note={query.data && ["The last seven days.", ...query.data.notes.map(sentence)].join(" ")}
      tools={
        <>
          <Link className="button small" href="/cost?by=version">
            Cost of all
          </Link>
          <ShowCall
            call={{ method: "GET", path: `/api/v1/cost?${asked}` }}
            cli={["cost", "--by", BY, "--since", `${DAYS}d`, "--deployment", deployment]}
          />
        </>
      }
    >
      <Loaded query={query}>
        {(report) =>
          report === undefined ? (
            <Skeleton width="100%" />
          ) : report.lines.length === 0 ? (
            <p className="quiet pad">
              {deployment} answered nothing in the last seven days. What it answers is counted from its first
              request on; a price table makes money of it, as the <Link href="/cost">cost page</Link> says.
            </p>
          ) : (
            <>
              <div className="pad">
                <Sums report={report} />
              </div>
              <Table
                caption={`Cost of ${deployment} by version and variant`}
                rows={report.lines}
                rowKey={(l) => JSON.stringify(l.by)}
                columns={[
                  { key: "version", label: "Version", head: true, render: (l) => <Version line={l} /> },
                  { key: "variant", label: "Variant", render: (l) => l.by.variant || "none" },
                  ...(currency
                    ? [
                        {
                          key: "cost",
                          label: currency,
                          numeric: true,
                          render: (l: CostLine) => amount(l.cost?.total),
                        },
                      ]
                    : []),
                  { key: "each", label: "Per 1,000", numeric: true, render: eachThousand },
                  { key: "rows", label: "Predictions", numeric: true, render: (l) => count(l.rows) },
                  { key: "answers", label: "Answers", numeric: true, render: (l) => count(l.answers) },
                  {
                    key: "compute",
                    label: "Compute",
                    numeric: true,
                    render: (l) => duration(l.computeSeconds),
                  },
                ]}
              />
            </>
          )
        }
      </Loaded>
    </Card>
  );
}

/** Notes come without a capital and a full stop. */
function sentence(note: string): string {
  return `${note.slice(0, 1).toUpperCase()}${note.slice(1)}.`;
}
