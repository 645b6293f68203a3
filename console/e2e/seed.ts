/** Fills a server over its own APIs: runs, artifacts, a model with two versions, a deployment, traffic. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

export interface Seeded {
  experiment: string;
  runs: string[];
  /** A model that the first run logged, as MLflow 3 does. */
  loggedModel: string;
  model: string;
  deployment: string;
}

export const ONNX = resolve(import.meta.dirname, "../../crates/engine-onnx/tests-data/iris.onnx");

/** The measurements of five flowers, from the iris data set. */
const FLOWERS = [
  [5.1, 3.5, 1.4, 0.2],
  [5.7, 4.4, 1.5, 0.4],
  [5.0, 2.0, 3.5, 1.0],
  [6.3, 3.3, 6.0, 2.5],
  [6.7, 3.1, 4.7, 1.5],
];

const MLMODEL = `artifact_path: model
flavors:
  onnx:
    data: model.onnx
    onnx_version: 1.22.0
    providers:
    - CPUExecutionProvider
  python_function:
    data: model.onnx
    loader_module: mlflow.onnx
mlflow_version: 3.17.2
signature:
  inputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
`;

const CONFUSION = `actual,predicted,flowers
setosa,setosa,50
"virginica, or near it",versicolor,3
`;

/** A picture of two by two pixels. */
const PICTURE = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5ErkJggg==",
  "base64",
);

export async function seed(base: string): Promise<Seeded> {
  const send = async <T>(
    method: string,
    path: string,
    body?: unknown,
    type = "application/json",
  ): Promise<T> => {
    const init: RequestInit = { method, headers: { "content-type": type } };
    if (body !== undefined)
      init.body = type === "application/json" ? JSON.stringify(body) : (body as BodyInit);
    const response = await fetch(base + path, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === "" ? {} : JSON.parse(text)) as T;
  };
  const mlflow = <T>(path: string, body: unknown) => send<T>("POST", `/api/2.0/mlflow/${path}`, body);

  const { experiment_id: experiment } = await mlflow<{ experiment_id: string }>("experiments/create", {
    name: "iris",
  });
  const runs: string[] = [];
  for (const [i, [name, rate]] of [
    ["logistic-low", 0.01],
    ["logistic-mid", 0.1],
    ["logistic-high", 1],
  ].entries()) {
    const start = Date.now() - (3 - i) * 600_000;
    const { run } = await mlflow<{ run: { info: { run_id: string } } }>("runs/create", {
      experiment_id: experiment,
      run_name: name,
      user_id: "ada",
      start_time: start,
      tags: [{ key: "team", value: "botany" }],
    });
    const id = run.info.run_id;
    runs.push(id);
    const metrics = Array.from({ length: 40 }, (_, step) => [
      {
        key: "loss",
        value: 0.9 * Math.exp(-step * (0.04 + i * 0.03)) + 0.05,
        timestamp: start + step * 1000,
        step,
      },
      {
        key: "accuracy",
        value: 1 - 0.6 * Math.exp(-step * (0.05 + i * 0.03)),
        timestamp: start + step * 1000,
        step,
      },
    ]).flat();
    await mlflow("runs/log-batch", {
      run_id: id,
      metrics,
      params: [
        { key: "learning_rate", value: String(rate) },
        { key: "penalty", value: "l2" },
        { key: "max_iter", value: "40" },
      ],
    });
    await mlflow("runs/log-inputs", {
      run_id: id,
      datasets: [
        {
          tags: [{ key: "mlflow.data.context", value: "training" }],
          dataset: { name: "iris", digest: "a8f2c1d0", source_type: "local", source: '{"uri":"iris.csv"}' },
        },
      ],
    });
    const root = `/api/2.0/mlflow-artifacts/artifacts/${experiment}/${id}/artifacts`;
    await send("PUT", `${root}/notes.md`, "# Notes\n\nFour measurements, three species.\n", "text/markdown");
    await send("PUT", `${root}/model/MLmodel`, MLMODEL, "text/plain");
    await send("PUT", `${root}/plots/confusion.csv`, CONFUSION, "text/csv");
    await send("PUT", `${root}/plots/picture.png`, PICTURE, "image/png");
    await send("PUT", `${root}/report.json`, '{"accuracy":0.95,"by":{"setosa":1}}', "text/plain");
    await send("PUT", `${root}/model/model.onnx`, readFileSync(ONNX), "application/octet-stream");
    if (i < 2) await mlflow("runs/update", { run_id: id, status: "FINISHED", end_time: start + 42_000 });
    else await mlflow("runs/update", { run_id: id, status: "FAILED", end_time: start + 9000 });
  }

  const { model } = await mlflow<{ model: { info: { model_id: string } } }>("logged-models", {
    experiment_id: experiment,
    name: "species",
    source_run_id: runs[0],
  });
  const loggedModel = model.info.model_id;
  const files = `/api/2.0/mlflow-artifacts/artifacts/${experiment}/models/${loggedModel}/artifacts`;
  await send("PUT", `${files}/MLmodel`, MLMODEL, "text/plain");
  await send("PATCH", `/api/2.0/mlflow/logged-models/${loggedModel}`, { status: "LOGGED_MODEL_READY" });

  await mlflow("registered-models/create", {
    name: "iris",
    description: "Species of an iris from four measurements",
  });
  for (const id of runs.slice(0, 2)) {
    await mlflow("model-versions/create", { name: "iris", source: `runs:/${id}/model`, run_id: id });
  }
  await mlflow("registered-models/alias", { name: "iris", alias: "champion", version: "1" });

  const spec = `apiVersion: mainspring/v1
kind: Deployment
name: iris
model: models:/iris@champion
slo:
  availability: 99.9%
  p99: 10s
---
apiVersion: mainspring/v1
kind: Monitor
name: iris-drift
deployment: iris
`;
  await send("POST", "/api/v1/apply", spec, "application/yaml");
  await until("the deployment is ready", async () => {
    type Detail = { summary: { state: string; reason?: string } };
    const { summary } = await send<Detail>("GET", "/api/v1/deployments/iris");
    if (summary.state === "FAILED") throw new Error(`the deployment failed: ${summary.reason}`);
    return summary.state === "READY";
  });

  let prediction = "";
  for (let i = 0; i < 60; i += 1) {
    const flower = FLOWERS[i % FLOWERS.length] ?? [];
    const row = Object.fromEntries(flower.map((v, at) => [`X[${at}]`, v]));
    const answer = await send<{ id: string }>("POST", "/api/v1/deployments/iris/predict", { rows: [row] });
    prediction = answer.id;
  }
  // A request that does not fit: the failures are not empty.
  await fetch(`${base}/v2/models/iris/infer`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ inputs: [{ name: "X", datatype: "FP32", shape: [1, 3], data: [1, 2, 3] }] }),
  });
  await send("POST", "/api/v1/feedback", { predictionId: prediction, name: "label", value: 2 });
  await send("POST", "/api/v1/keys", { label: "garden service", role: "infer" });
  return { experiment, runs, loggedModel, model: "iris", deployment: "iris" };
}

/** Asks until it is so, for at most two minutes. */
export async function until(what: string, so: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 120_000;
  while (Date.now() < deadline) {
    if (await so()) return;
    await new Promise((wait) => setTimeout(wait, 50));
  }
  throw new Error(`waited two minutes until ${what}`);
}
