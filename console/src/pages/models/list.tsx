import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { type Model, ms, native } from "../../api/native";
import { Chip, Empty, Time } from "../../components/basics";
import { ListPage } from "../../components/list-page";
import { ShowCall } from "../../components/show-call";
import { ago, count, plural } from "../../lib/format";
import { needsKey } from "../../lib/here";
import { useNow } from "../../lib/hooks";
import { to } from "../../lib/url";

function firstModel(): string {
  const key = needsKey() ? "\nexport MLFLOW_TRACKING_TOKEN=$MAINSPRING_API_KEY" : "";
  return `pip install mlflow scikit-learn skl2onnx onnx onnxruntime
export MLFLOW_TRACKING_URI=${location.origin}${key}
python - <<'EOF'
import mlflow
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

X, y = load_breast_cancer(return_X_y=True)
X = X.astype("float32")
model = RandomForestClassifier(100).fit(X, y)
with mlflow.start_run():
    onnx_model = to_onnx(model, X[:1], options={"zipmap": False})
    mlflow.onnx.log_model(onnx_model, name="model", registered_model_name="tumour")
mlflow.MlflowClient().set_registered_model_alias("tumour", "champion", "1")
EOF`;
}

function Lead({ all }: { all: Model[] }) {
  const now = useNow();
  const aliased = all.filter((m) => Object.keys(m.aliases).length > 0).length;
  const newest = all.reduce<Model | undefined>(
    (best, m) => ((ms(m.updatedAt) ?? 0) > (ms(best?.updatedAt) ?? 0) ? m : best),
    undefined,
  );
  return (
    <>
      <b>{plural(all.length, "registered model")}</b>,{" "}
      {aliased === all.length ? all.length === 1 ? "" : "each " : <b>{count(aliased)} </b>}with an alias
      {newest && (
        <>
          ; <Link href={to("models", newest.name)}>{newest.name}</Link> changed last,{" "}
          {ago(ms(newest.updatedAt) ?? now, now)}
        </>
      )}
      .
    </>
  );
}

export default function Models() {
  const query = useQuery({ queryKey: ["models"], queryFn: ({ signal }) => native.models(signal) });
  const rows = query.data?.models;
  const described = rows?.some((m) => m.description) ?? false;
  return (
    <ListPage
      title="Models"
      noun="model"
      query={query}
      rows={rows}
      order="updated:desc"
      lead={(all) => <Lead all={all} />}
      none="No model is registered yet."
      first={
        <Empty title="Register a first model" command={firstModel()}>
          Any MLflow client registers models here. Models with the onnx flavour can be deployed at once.
        </Empty>
      }
      actions={
        <ShowCall
          call={{ method: "GET", path: "/api/v1/models?limit=1000" }}
          python="mlflow.search_registered_models()"
        />
      }
      columns={[
        {
          key: "name",
          label: "Name",
          head: true,
          sortBy: (m) => m.name,
          render: (m) => <Link href={to("models", m.name)}>{m.name}</Link>,
        },
        {
          key: "latest",
          label: "Newest version",
          numeric: true,
          sortBy: (m) => Number(m.latestVersion ?? 0),
          render: (m) => m.latestVersion ?? "–",
        },
        {
          key: "aliases",
          label: "Aliases",
          render: (m) => (
            <span className="row tight">
              {Object.entries(m.aliases).map(([alias, version]) => (
                <Chip key={alias}>
                  @{alias} → {version}
                </Chip>
              ))}
            </span>
          ),
        },
        {
          key: "updated",
          label: "Last change",
          sortBy: (m) => ms(m.updatedAt) ?? 0,
          render: (m) => <Time at={ms(m.updatedAt)} />,
        },
        ...(described
          ? [
              {
                key: "description",
                label: "Description",
                render: (m: Model) => <span className="break">{m.description}</span>,
              },
            ]
          : []),
      ]}
    />
  );
}
