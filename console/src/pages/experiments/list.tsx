import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { type Experiment, ms, native } from "../../api/native";
import { Empty, Time } from "../../components/basics";
import { ListPage } from "../../components/list-page";
import { ShowCall } from "../../components/show-call";
import { ago, count, plural } from "../../lib/format";
import { useNow } from "../../lib/hooks";
import { to } from "../../lib/url";
import { firstRun } from "./first";

const NOTE = "mlflow.note.content";

function Lead({ all }: { all: Experiment[] }) {
  const now = useNow();
  const runs = all.reduce((n, e) => n + (e.runs ?? 0), 0);
  const lately = all.reduce<Experiment | undefined>(
    (best, e) => ((ms(e.lastRunAt) ?? 0) > (ms(best?.lastRunAt) ?? 0) ? e : best),
    undefined,
  );
  return (
    <>
      <b>{plural(runs, "run")}</b> in {plural(all.length, "experiment")}
      {lately && (
        <>
          ; the newest began in <Link href={to("experiments", lately.id)}>{lately.name}</Link>,{" "}
          {ago(ms(lately.lastRunAt) ?? now, now)}
        </>
      )}
      .
    </>
  );
}

export default function Experiments() {
  const query = useQuery({ queryKey: ["experiments"], queryFn: ({ signal }) => native.experiments(signal) });
  const rows = query.data?.experiments;
  const teach = (
    <Empty title="Log a first run" command={firstRun()}>
      Any MLflow client works unchanged: set its tracking address to this server. The experiment is created
      with the first run.
    </Empty>
  );
  const noted = rows?.some((e) => e.tags[NOTE]) ?? false;
  return (
    <ListPage
      title="Experiments"
      noun="experiment"
      query={query}
      rows={rows}
      order="last:desc"
      lead={(all) => <Lead all={all} />}
      none="No experiment yet."
      first={teach}
      below={rows?.every((e) => e.runs === 0) && teach}
      actions={
        <ShowCall
          call={{ method: "GET", path: "/api/v1/experiments?limit=1000" }}
          mlflow={["experiments", "search"]}
          python="mlflow.search_experiments()"
        />
      }
      columns={[
        {
          key: "name",
          label: "Name",
          head: true,
          sortBy: (e) => e.name,
          render: (e) => <Link href={to("experiments", e.id)}>{e.name}</Link>,
        },
        {
          key: "runs",
          label: "Runs",
          numeric: true,
          sortBy: (e) => e.runs ?? 0,
          render: (e) => (typeof e.runs === "number" ? count(e.runs) : "–"),
        },
        {
          key: "last",
          label: "Last run",
          sortBy: (e) => ms(e.lastRunAt) ?? 0,
          render: (e) => <Time at={ms(e.lastRunAt)} />,
        },
        {
          key: "created",
          label: "Made",
          sortBy: (e) => ms(e.createdAt) ?? 0,
          render: (e) => <Time at={ms(e.createdAt)} />,
        },
        ...(noted
          ? [
              {
                key: "note",
                label: "Note",
                render: (e: Experiment) => <span className="break">{e.tags[NOTE] ?? ""}</span>,
              },
            ]
          : []),
        { key: "id", label: "Id", numeric: true, render: (e) => <span className="quiet">{e.id}</span> },
      ]}
    />
  );
}
