import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "wouter";
import { modelFiles } from "../../api/files";
import { type LoggedModel, mlflow } from "../../api/mlflow";
import { Card, KeyValue, PageHead, Skeleton, Time } from "../../components/basics";
import { Loaded } from "../../components/loaded";
import { ShowCall } from "../../components/show-call";
import { UseIt } from "../../components/use-it";
import { measure } from "../../lib/format";
import { python } from "../../lib/here";
import { useTitle } from "../../lib/hooks";
import { to } from "../../lib/url";
import { Artifacts } from "./artifacts";
import { useExperimentName } from "./run-parts";

function Content({ model }: { model: LoggedModel }) {
  const { info, data } = model;
  const tags = info.tags?.filter((tag) => !tag.key.startsWith("mlflow.")) ?? [];
  return (
    <div className="stack">
      <Artifacts places={[modelFiles(model)]} />
      <div className="grid">
        <Card title="About this model">
          <KeyValue
            items={[
              ["Model id", <code key="id">{info.model_id}</code>],
              ["Made", <Time key="made" at={Number(info.creation_timestamp_ms)} exact />],
              ["Files at", <code key="uri">{info.artifact_uri}</code>],
              ...(data?.params ?? []).map((p): [string, string] => [`Param ${p.key}`, p.value]),
              ...(data?.metrics ?? []).map((m): [string, string] => [`Metric ${m.key}`, measure(m.value, 6)]),
              ...tags.map((tag): [string, string] => [`Tag ${tag.key}`, tag.value]),
            ]}
          />
        </Card>
        <UseIt
          steps={[
            {
              title: "Load it",
              text: python(`model = mlflow.pyfunc.load_model("models:/${info.model_id}")`),
            },
            {
              title: "Register it, to deploy it",
              text: python(`mlflow.register_model("models:/${info.model_id}", "${info.name}")`),
            },
          ]}
        />
      </div>
    </div>
  );
}

/** A model as a run logged it, before anybody registered it. */
export default function LoggedModelPage() {
  const { id = "" } = useParams<{ id: string }>();
  const experimentName = useExperimentName();
  const query = useQuery({
    queryKey: ["logged-model", id],
    queryFn: ({ signal }) => mlflow.loggedModel(id, signal),
  });
  const info = query.data?.info;
  useTitle(info?.name ?? id);
  return (
    <>
      <PageHead
        crumbs={[
          { label: "Experiments", href: "/experiments" },
          ...(info
            ? [
                {
                  label: experimentName(String(info.experiment_id)),
                  href: to("experiments", String(info.experiment_id)),
                },
              ]
            : []),
        ]}
        title={info?.name ?? id}
        lead={
          info ? (
            <>
              A logged model
              {info.source_run_id && (
                <>
                  {" "}
                  of run <Link href={to("runs", info.source_run_id)}>{info.source_run_id.slice(0, 8)}</Link>
                </>
              )}
              , made <Time at={Number(info.creation_timestamp_ms)} />.
            </>
          ) : query.error ? (
            "This logged model could not be loaded."
          ) : undefined
        }
        actions={
          <ShowCall
            call={{ method: "GET", path: `/api/2.0/mlflow/logged-models/${id}` }}
            python={`mlflow.get_logged_model("${id}")`}
          />
        }
      />
      <Loaded query={query}>
        {(model) => (model ? <Content model={model} /> : <Skeleton width="100%" />)}
      </Loaded>
    </>
  );
}
