/** How to log a first run to this server. */
import { needsKey } from "../../lib/here";

export function firstRun(): string {
  const key = needsKey() ? "\nexport MLFLOW_TRACKING_TOKEN=$MAINSPRING_API_KEY" : "";
  return `pip install mlflow
export MLFLOW_TRACKING_URI=${location.origin}${key}
python - <<'EOF'
import mlflow
mlflow.set_experiment("first")
with mlflow.start_run():
    mlflow.log_param("learning_rate", 0.1)
    for step in range(50):
        mlflow.log_metric("loss", 1 / (1 + step), step=step)
EOF`;
}
