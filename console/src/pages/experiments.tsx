import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { type Experiment, ms, native } from "../api/native";
import { Empty, PageHead, Time } from "../components/basics";
import { Loaded } from "../components/loaded";
import { ShowCall } from "../components/show-call";
import { type Sort, Table } from "../components/table";
import { ago, count, plural } from "../lib/format";
import { useNow, useTitle } from "../lib/hooks";
import { to, useParam } from "../lib/url";

/** How to log a first run to this server. */
export const FIRST_RUN = `pip install mlflow scikit-learn
export MLFLOW_TRACKING_URI=${location.origin}
python - <<'EOF'
import mlflow
mlflow.set_experiment("first")
with mlflow.start_run():
    mlflow.log_param("learning_rate", 0.1)
    mlflow.log_metric("accuracy", 0.93)
EOF`;

function sorted(rows: Experiment[], sort: Sort): Experiment[] {
  const value = (e: Experiment) =>
    sort.key === "name"
      ? e.name.toLowerCase()
      : ((sort.key === "created" ? ms(e.createdAt) : ms(e.updatedAt)) ?? 0);
  const sign = sort.descending ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    return x < y ? -sign : x > y ? sign : 0;
  });
}

export default function Experiments() {
  useTitle("Experiments");
  const now = useNow();
  const [name, setName] = useParam("name");
  const [order, setOrder] = useParam("order", "updated:desc");
  const query = useQuery({ queryKey: ["experiments"], queryFn: ({ signal }) => native.experiments(signal) });
  const all = query.data?.experiments;
  const shown = all?.filter((e) => e.name.toLowerCase().includes(name.toLowerCase()));
  const [key = "updated", direction] = order.split(":");
  const sort = { key, descending: direction !== "asc" };
  const newest = all?.reduce<Experiment | undefined>(
    (best, e) => ((ms(e.updatedAt) ?? 0) > (ms(best?.updatedAt) ?? 0) ? e : best),
    undefined,
  );
  return (
    <>
      <PageHead
        title="Experiments"
        lead={
          all === undefined ? undefined : all.length === 0 ? (
            "No experiment yet."
          ) : (
            <>
              <b>{plural(all.length, "experiment")}</b>
              {newest && (
                <>
                  ; the last change was in <Link href={to("experiments", newest.id)}>{newest.name}</Link>,{" "}
                  {ago(ms(newest.updatedAt) ?? now, now)}
                </>
              )}
              .
            </>
          )
        }
        actions={
          <ShowCall
            call={{ method: "GET", path: "/api/v1/experiments?limit=1000" }}
            cli={`MLFLOW_TRACKING_URI=${location.origin} mlflow experiments search`}
            python={`import mlflow\nmlflow.set_tracking_uri("${location.origin}")\nmlflow.search_experiments()`}
          />
        }
      />
      <div className="stack" style={{ gap: 16 }}>
        <input
          className="input"
          style={{ maxWidth: 400 }}
          type="search"
          aria-label="Filter by name"
          placeholder="Filter by name"
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <Loaded query={query}>
          {() => (
            <Table
              caption="Experiments"
              rows={shown && sorted(shown, sort)}
              rowKey={(e) => e.id}
              sort={sort}
              onSort={(s) => setOrder(`${s.key}:${s.descending ? "desc" : "asc"}`)}
              empty={
                all && all.length > 0 ? (
                  <Empty title={`No experiment has “${name}” in its name`}>Shorten the filter above.</Empty>
                ) : (
                  <Empty title="Log a first run" command={FIRST_RUN}>
                    Any MLflow client works unchanged: set its tracking address to this server. The experiment
                    is created with the first run.
                  </Empty>
                )
              }
              columns={[
                {
                  key: "name",
                  label: "Name",
                  head: true,
                  sortable: true,
                  render: (e) => <Link href={to("experiments", e.id)}>{e.name}</Link>,
                },
                { key: "id", label: "Id", render: (e) => <span className="quiet">{e.id}</span> },
                {
                  key: "runs",
                  label: "Runs",
                  numeric: true,
                  render: (e) => (typeof e.runs === "number" ? count(e.runs) : "–"),
                },
                { key: "last", label: "Last run", render: (e) => <Time at={ms(e.lastRunAt)} /> },
                {
                  key: "updated",
                  label: "Last change",
                  sortable: true,
                  render: (e) => <Time at={ms(e.updatedAt)} />,
                },
                {
                  key: "created",
                  label: "Created",
                  sortable: true,
                  render: (e) => <Time at={ms(e.createdAt)} />,
                },
                {
                  key: "note",
                  label: "Note",
                  render: (e) => e.tags["mlflow.note.content"] ?? "",
                },
              ]}
            />
          )}
        </Loaded>
      </div>
    </>
  );
}
