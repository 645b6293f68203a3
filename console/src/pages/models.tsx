import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { ms, native } from "../api/native";
import { Chip, Empty, PageHead, Time } from "../components/basics";
import { Loaded } from "../components/loaded";
import { ShowCall } from "../components/show-call";
import { Table } from "../components/table";
import { ago, count, plural } from "../lib/format";
import { useNow, useTitle } from "../lib/hooks";
import { to, useParam } from "../lib/url";

const FIRST_MODEL = `pip install mlflow scikit-learn skl2onnx onnx
export MLFLOW_TRACKING_URI=${location.origin}
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
EOF`;

export default function Models() {
  useTitle("Models");
  const now = useNow();
  const [name, setName] = useParam("name");
  const [order, setOrder] = useParam("order", "updated:desc");
  const query = useQuery({ queryKey: ["models"], queryFn: ({ signal }) => native.models(signal) });
  const all = query.data?.models;
  const [key = "updated", direction] = order.split(":");
  const sign = direction === "asc" ? 1 : -1;
  const shown = all
    ?.filter((m) => m.name.toLowerCase().includes(name.toLowerCase()))
    .sort(
      (a, b) =>
        sign *
        (key === "name" ? a.name.localeCompare(b.name) : (ms(a.updatedAt) ?? 0) - (ms(b.updatedAt) ?? 0)),
    );
  const newest = all && [...all].sort((a, b) => (ms(b.updatedAt) ?? 0) - (ms(a.updatedAt) ?? 0))[0];
  const aliased = all?.filter((m) => Object.keys(m.aliases).length > 0).length ?? 0;
  return (
    <>
      <PageHead
        title="Models"
        lead={
          query.error && !all ? (
            "The models could not be listed."
          ) : all === undefined ? undefined : all.length === 0 ? (
            "No model is registered yet."
          ) : (
            <>
              <b>{plural(all.length, "registered model")}</b>,{" "}
              {aliased === all.length ? "each" : <b>{count(aliased)}</b>} with an alias
              {newest && (
                <>
                  ; <Link href={to("models", newest.name)}>{newest.name}</Link> changed last,{" "}
                  {ago(ms(newest.updatedAt) ?? now, now)}
                </>
              )}
              .
            </>
          )
        }
        actions={
          <ShowCall
            call={{ method: "GET", path: "/api/v1/models?limit=1000" }}
            python={`import mlflow\nmlflow.set_tracking_uri("${location.origin}")\nmlflow.search_registered_models()`}
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
              caption="Registered models"
              rows={shown}
              rowKey={(m) => m.name}
              sort={{ key, descending: sign < 0 }}
              onSort={(s) => setOrder(`${s.key}:${s.descending ? "desc" : "asc"}`)}
              empty={
                all && all.length > 0 ? (
                  <Empty title={`No model has “${name}” in its name`}>Shorten the filter above.</Empty>
                ) : (
                  <Empty title="Register a first model" command={FIRST_MODEL}>
                    Any MLflow client registers models here. Models with the onnx flavour can be deployed at
                    once.
                  </Empty>
                )
              }
              columns={[
                {
                  key: "name",
                  label: "Name",
                  head: true,
                  sortable: true,
                  render: (m) => <Link href={to("models", m.name)}>{m.name}</Link>,
                },
                {
                  key: "latest",
                  label: "Newest version",
                  numeric: true,
                  render: (m) => m.latestVersion ?? "–",
                },
                {
                  key: "aliases",
                  label: "Aliases",
                  render: (m) => (
                    <span className="row" style={{ gap: 4 }}>
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
                  sortable: true,
                  render: (m) => <Time at={ms(m.updatedAt)} />,
                },
                { key: "description", label: "Description", render: (m) => m.description },
              ]}
            />
          )}
        </Loaded>
      </div>
    </>
  );
}
