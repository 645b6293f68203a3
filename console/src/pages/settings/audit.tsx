import { useInfiniteQuery } from "@tanstack/react-query";
import { type AuditEntry, ms, native } from "../../api/native";
import { Empty, PageHead, Status, Time } from "../../components/basics";
import { ErrorBox } from "../../components/errors";
import { ShowCall } from "../../components/show-call";
import { Table } from "../../components/table";
import { count, plural } from "../../lib/format";
import { useTitle } from "../../lib/hooks";
import { useParam } from "../../lib/url";

export default function Audit() {
  useTitle("Audit");
  const [text, setText] = useParam("text");
  const [only, setOnly] = useParam("only", "all");
  const query = useInfiniteQuery({
    queryKey: ["audit"],
    queryFn: ({ signal, pageParam }) => native.audit(pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextPageToken ?? undefined,
  });
  const all = query.data?.pages.flatMap((page) => page.entries);
  const wanted = text.toLowerCase();
  const shown = all?.filter(
    (e) =>
      (only === "all" || !e.allowed) &&
      `${e.subject} ${e.action} ${e.resourceKind} ${e.resourceName} ${e.detail ?? ""}`
        .toLowerCase()
        .includes(wanted),
  );
  const refused = all?.filter((e) => !e.allowed).length ?? 0;
  const key = (e: AuditEntry, i: number) => `${e.at}/${e.subject}/${e.action}/${e.resourceName}/${i}`;
  return (
    <>
      <PageHead
        title="Audit"
        lead={
          query.error && !all
            ? "The audit trail could not be read."
            : all && (
                <>
                  {query.hasNextPage ? "The newest " : ""}
                  <b>{plural(all.length, "decision")}</b> by{" "}
                  {plural(new Set(all.map((e) => e.subject)).size, "subject")},{" "}
                  {refused === 0 ? "none refused" : <b>{count(refused)} refused</b>}.
                </>
              )
        }
        actions={<ShowCall call={{ method: "GET", path: "/api/v1/audit?limit=100" }} />}
      />
      <div className="stack">
        <div className="row">
          <input
            className="input grow narrow"
            type="search"
            aria-label="Filter"
            placeholder="Filter by who, what or which"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
          <label className="check">
            <input
              type="checkbox"
              checked={only === "refused"}
              onChange={(e) => setOnly(e.target.checked ? "refused" : "all")}
            />
            Only refused
          </label>
        </div>
        {query.error && <ErrorBox error={query.error} retry={() => void query.refetch()} />}
        {(!query.error || all) && (
          <Table
            caption="Audit trail"
            rows={shown?.map((entry, i) => ({ entry, key: key(entry, i) }))}
            rowKey={(r) => r.key}
            empty={
              all && all.length > 0 ? (
                <Empty title="Nothing matches">Shorten the filter, or load older decisions below.</Empty>
              ) : (
                <Empty title="Nothing was decided yet">
                  Each change of something, and each refusal, is recorded here with who asked.
                </Empty>
              )
            }
            columns={[
              {
                key: "at",
                label: "When",
                head: true,
                render: ({ entry }) => <Time at={ms(entry.at)} exact />,
              },
              {
                key: "who",
                label: "Who",
                render: ({ entry }) => <span className="break">{entry.subject}</span>,
              },
              { key: "what", label: "What", render: ({ entry }) => <code>{entry.action}</code> },
              {
                key: "which",
                label: "Which",
                render: ({ entry }) => (
                  <>
                    <span className="clip wide" title={entry.resourceName}>
                      {entry.resourceKind} {entry.resourceName}
                    </span>
                    {entry.detail && <div className="small quiet break">{entry.detail}</div>}
                  </>
                ),
              },
              {
                key: "allowed",
                label: "Decision",
                render: ({ entry }) => (
                  <>
                    <Status state={entry.allowed ? "ok" : "bad"}>
                      {entry.allowed ? "allowed" : "refused"}
                    </Status>{" "}
                    {entry.reason}
                  </>
                ),
              },
            ]}
          />
        )}
        {query.hasNextPage && (
          <div>
            <button
              type="button"
              className="button"
              disabled={query.isFetchingNextPage}
              onClick={() => void query.fetchNextPage()}
            >
              {query.isFetchingNextPage ? "Loading older decisions…" : "Show older decisions"}
            </button>
          </div>
        )}
      </div>
    </>
  );
}
