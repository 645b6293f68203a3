"""A metric that a `kind: Monitor` has estimated on a real model's traffic: it falls while nobody sends a label, and is told."""

import json

import mlflow
import numpy
import pandas
import requests
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from test_live import declare, events, monitor, until

NAME = "offers"


def registered(server, folder):
    """A model that names labelled rows which it was not trained on, and rows that nobody has labelled yet."""
    inputs, truth = make_classification(12_000, 6, n_informative=3, n_redundant=0, n_clusters_per_class=1, flip_y=0.02, random_state=0)
    inputs = inputs.astype("float32")
    model = LogisticRegression(max_iter=500).fit(inputs[:3000], truth[:3000])
    known = pandas.DataFrame({"p": model.predict_proba(inputs[3000:6000])[:, 1], "bought": truth[3000:6000]})
    known["said"] = (known["p"] > 0.5).astype(int)
    known.to_parquet(folder / "known.parquet", index=False)
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment(NAME)
    with mlflow.start_run():
        mlflow.log_artifact(str(folder / "known.parquet"))
        mlflow.set_tag("mainspring.reference_data", "known.parquet")
        graph = to_onnx(model, inputs[:1], options={"zipmap": False}, target_opset=17)
        mlflow.onnx.log_model(graph, name="model", signature=infer_signature(inputs[:1]), registered_model_name=NAME, pip_requirements=["onnxruntime"])
    return model, inputs[6000:], truth[6000:]


def ask(server, part):
    answer = requests.post(f"{server.url}/v2/models/{NAME}/infer", json={"inputs": [
        {"name": "X", "shape": list(part.shape), "datatype": "FP32", "data": part.ravel().tolist()}]})
    assert answer.status_code == 200, answer.text
    return answer.headers["mainspring-prediction-id"]


def tell(server, prediction, truth):
    feedback = [{"predictionId": prediction, "row": row, "name": "bought", "value": int(value)} for row, value in enumerate(truth)]
    sent = requests.post(f"{server.url}/api/v1/feedback", json={"feedback": feedback})
    assert sent.status_code == 200, sent.text


def test_a_metric_that_falls_without_a_label_is_told_and_a_fine_window_is_not(start, tmp_path):
    data = tmp_path / "data"
    server = start(data=data)
    model, inputs, truth = registered(server, tmp_path)
    server.deploy(NAME, f"models:/{NAME}/1")
    declare(server, NAME, columns=["in.*"], label={"name": "bought", "wait": "40s"}, estimate={
        "metric": "accuracy", "below": 0.75, "window": "10s", "prediction": "said=label", "scores": ["p=probabilities[1]"]})
    name = f"{NAME}-drift"
    view = lambda: monitor(server, name)
    alerts = lambda: [a["phase"] for a in json.loads(server.cli("alert", "list", "--output", "json"))["alerts"] if "EstimatedPerformance" in json.dumps(a)]
    windows = lambda n: lambda: (v := view()) and len(v["estimate"]["windows"]) >= n and v

    ask(server, inputs[:1500])
    fine = until(windows(1), view)["estimate"]
    (first,) = fine["windows"]
    real = (model.predict(inputs[:1500]) == truth[:1500]).mean()
    assert first["rows"] == 1500 and first["low"] <= real <= first["high"], (real, first)
    assert fine["standing"] == "steady" and "problem" not in fine and alerts() == [], fine
    assert not [e for e in events(server, name) if e["kind"] == "degraded"]

    # Those come of whom the model cannot tell, and nobody says so.
    unsure = numpy.abs(model.predict_proba(inputs)[:, 1] - 0.5) < 0.2
    hard, really = inputs[unsure][:1000], truth[unsure][:1000]
    assert len(hard) >= 600
    prediction = ask(server, hard)
    bad = until(lambda: (v := view())["estimate"]["standing"] == "degraded" and v, view)
    last = bad["estimate"]["windows"][-1]
    accuracy = (model.predict(hard) == really).mean()
    assert last["rows"] == len(hard) and last["low"] <= accuracy <= last["high"] < last["limit"] == 0.75, (accuracy, last)
    assert last["labeled"] == 0 and "realized" not in last, last
    (told,) = [e for e in events(server, name) if e["kind"] == "degraded"]
    assert "accuracy below 0.750" in told["sentence"] and told["numbers"]["version"] == "1", told
    assert len(server.query(told["numbers"]["query"])) == 100
    until(lambda: alerts() == ["firing"], alerts)

    # A power cut: what was told stays told, and the labels of that window come to stand beside what was estimated.
    server.kill()
    server = start(data=data)
    tell(server, prediction, really)
    same = lambda: next((w for w in view()["estimate"]["windows"] if w["since"] == last["since"]), {})
    known = until(lambda: (w := same()).get("settled") and w, view)
    assert (known["value"], known["labeled"]) == (last["value"], len(hard)) and abs(known["realized"] - accuracy) < 1e-9, known
    assert alerts() == ["firing"] and len([e for e in events(server, name) if e["kind"] == "degraded"]) == 1
    shown = server.cli("monitor", "show", name)
    assert "accuracy as estimated of each 10s" in shown and "degraded" in shown and f"{known['realized']:.4f}" in shown, shown

    # Declared as what it is about to be: it ends, and is not told again.
    refused = server.cli("apply", "-f", "-", stdin=json.dumps({
        "apiVersion": "mainspring/v1", "kind": "Monitor", "name": "nothing", "deployment": NAME, "estimate": {"metric": "accuracy", "below": 0.9}}), check=False)
    assert refused.returncode != 0 and "label" in refused.stderr and "feedback that says what was true" in refused.stderr, refused.stderr
    server.cli("delete", "Monitor", name)
    until(lambda: alerts() != ["firing"], alerts)
