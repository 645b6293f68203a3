"""`mainspring performance` on a real model and its real labels, beside scikit-learn's own metrics."""

import json
import urllib.request

import mlflow
import numpy
import pytest
from sklearn import datasets, linear_model, metrics, model_selection, pipeline, preprocessing
from skl2onnx import to_onnx

NAME = "measured-tumours"


def post(server, path, body):
    request = urllib.request.Request(
        f"{server.url}{path}", json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def served(server):
    """A model of the breast-cancer set, its answers to the other half, and labels for three quarters of these."""
    data = datasets.load_breast_cancer(as_frame=True)
    train, test, y_train, y_test = model_selection.train_test_split(
        data.data.astype("float32"), data.target, test_size=0.5, random_state=0)
    # Two of the measures only, so that it errs.
    columns = ["mean texture", "mean smoothness"]
    model = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression())
    model.fit(train[columns].values, y_train)
    graph = to_onnx(model, train[columns].values[:1], options={"zipmap": False})
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment(NAME)
    with mlflow.start_run():
        signature = mlflow.models.infer_signature(train[columns])
        mlflow.onnx.log_model(graph, name="model", registered_model_name=NAME, signature=signature,
                              pip_requirements=["onnxruntime"])
    server.apply(f"apiVersion: mainspring/v1\nkind: Deployment\nname: {NAME}\nmodel: models:/{NAME}/1\n")
    rows = test[columns].to_dict(orient="records")
    answer = post(server, f"/api/v1/deployments/{NAME}/predict", {"rows": rows})
    known = len(rows) * 3 // 4
    post(server, "/api/v1/feedback", {"feedback": [
        {"predictionId": answer["id"], "row": i, "name": "benign", "value": int(y)} for i, y in enumerate(y_test[:known])]})
    said = numpy.array([row["label"] for row in answer["predictions"]])
    given = numpy.array([row["probabilities"][1] for row in answer["predictions"]], dtype="float64")
    return y_test.to_numpy()[:known], said[:known], given[:known], test[columns][:known], said


def performance(server, *more, label="benign", code=0):
    done = server.cli("performance", NAME, "--label", label, "--output", "json", *more, check=False)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if code == 0 else done.stderr


def by_name(group):
    return {(m["name"], m.get("class")): m for m in group["metrics"]}


def test_the_numbers_are_scikit_learns(server, served):
    truth, said, given, _, every = served
    report = performance(server)
    assert (report["task"], report["classes"], report["positive"]) == ("classification", ["0", "1"], "1")
    overall = report["overall"]
    assert (overall["rows"], overall["labeled"], overall["unfit"]) == (len(every), len(truth), 0)
    found = {key: metric["value"] for key, metric in by_name(overall).items()}
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(truth, said, average="binary")
    for key, want in {
        ("accuracy", None): metrics.accuracy_score(truth, said),
        ("balanced_accuracy", None): metrics.balanced_accuracy_score(truth, said),
        ("precision", "1"): precision, ("recall", "1"): recall, ("f1", "1"): f1,
        ("f1_macro", None): metrics.f1_score(truth, said, average="macro"),
        ("matthews", None): metrics.matthews_corrcoef(truth, said),
        ("kappa", None): metrics.cohen_kappa_score(truth, said),
        ("roc_auc", None): metrics.roc_auc_score(truth, given),
        ("average_precision", None): metrics.average_precision_score(truth, given),
        ("log_loss", None): metrics.log_loss(truth, given),
        ("brier", None): metrics.brier_score_loss(truth, given),
        # Of all answers, labelled or not.
        ("selection_rate", "1"): numpy.mean(every == 1),
    }.items():
        assert numpy.isclose(found[key], want, rtol=1e-9), key
    assert overall["confusion"] == metrics.confusion_matrix(truth, said).tolist()
    accuracy = by_name(overall)["accuracy", None]
    assert accuracy["low"] < accuracy["value"] < accuracy["high"] and "Wilson" in accuracy["method"]
    assert report["delay"]["mayCome"] <= len(every) - len(truth)


def test_groups_are_measured_and_compared(server, served):
    truth, said, _, inputs, every = served
    report = performance(server, "--by", "version,mean texture")
    groups = report["groups"]
    assert len(groups) == 4 and sum(g["rows"] for g in groups) == len(every)
    assert sum(g["labeled"] for g in groups) == len(truth)
    lowest = next(g for g in groups if g["by"]["in.mean texture"].startswith("< "))
    cut = float(lowest["by"]["in.mean texture"][2:])
    inside = (inputs["mean texture"].astype("float64") < cut).to_numpy()
    assert numpy.isclose(by_name(lowest)["accuracy", None]["value"], metrics.accuracy_score(truth[inside], said[inside]))
    compared = [c for c in report["comparisons"] if c["name"] == "accuracy"]
    assert len(compared) == 3
    for one in compared:
        mine, base = (by_name(groups[at])["accuracy", None]["value"] for at in (one["group"], 0))
        assert numpy.isclose(one["difference"]["value"], mine - base)
        assert one["difference"]["low"] <= mine - base <= one["difference"]["high"]

    # By the names and the definitions of Fairlearn: the greatest of a rate less the least, and the least over the greatest.
    fair = {m["name"]: m for m in report["fairness"]}
    for name, metric in (("demographic_parity", "selection_rate"), ("equal_opportunity", "recall"), ("predictive_parity", "precision")):
        rates = [m["value"] for g in groups for m in g["metrics"] if m["name"] == metric]
        assert numpy.isclose(fair[f"{name}_difference"]["value"], max(rates) - min(rates)), name
        assert numpy.isclose(fair[f"{name}_ratio"]["value"], min(rates) / max(rates)), name
        assert fair[f"{name}_difference"]["low"] <= max(rates) - min(rates) <= fair[f"{name}_difference"]["high"]
    assert fair["equalized_odds_difference"]["value"] >= fair["equal_opportunity_difference"]["value"]
    assert "fairness" not in performance(server, "--by", "version"), "of versions that is no question"


def test_outcomes_are_worth_what_is_said(server, served):
    truth, said, *_ = served
    report = performance(server, "--worth", "1:1=3", "--worth", "0:1=-20")
    want = numpy.mean(3.0 * ((truth == 1) & (said == 1)) - 20.0 * ((truth == 0) & (said == 1)))
    assert numpy.isclose(by_name(report["overall"])["worth", None]["value"], want)


def test_people_read_a_table_and_what_is_missing_is_said(server, served):
    truth, *_, every = served
    shown = server.cli("performance", NAME, "--label", "benign", "--by", "mean texture")
    assert "equalized_odds_difference" in shown and "BETWEEN GROUPS (1)" in shown
    assert "roc_auc" in shown and "in.mean texture" in shown and f"{len(truth)} of {len(every)} predictions" in shown
    assert "there is benign" in performance(server, label="lable", code=1)
    assert "TRUTH:PREDICTED=NUMBER" in performance(server, "--worth", "1=3", code=2)
    assert "no column" in performance(server, "--by", "mood", code=2)
    for share in ("95", "nan", "0"):
        assert "--confidence 0.95" in performance(server, "--confidence", share, code=2)


def test_a_label_that_changes_its_mind_counts_as_it_is_now(server, served):
    """The latest for one prediction and row."""
    truth, said, _, inputs, _ = served
    answer = post(server, f"/api/v1/deployments/{NAME}/predict", {"rows": inputs[:2].to_dict(orient="records")})
    for value in (int(1 - said[0]), int(said[0])):
        post(server, "/api/v1/feedback", {"predictionId": answer["id"], "row": 0, "name": "second look", "value": value})
    report = performance(server, label="second look")
    assert report["overall"]["labeled"] == 1 and by_name(report["overall"])["accuracy", None]["value"] == 1.0


def test_probabilities_alone_are_enough(server):
    """A network with one output, of three classes."""
    iris = datasets.load_iris()
    model = linear_model.LogisticRegression(C=0.01, max_iter=500).fit(iris.data[::2], iris.target[::2])
    graph = to_onnx(model, iris.data[:1].astype("float32"), options={"zipmap": False})
    # Only the probabilities come out.
    del graph.graph.output[0]
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment(NAME)
    with mlflow.start_run():
        mlflow.onnx.log_model(graph, name="model", registered_model_name="irises", pip_requirements=["onnxruntime"])
    server.deploy("irises", "models:/irises/1")
    x, y = iris.data[1::2].astype("float32"), iris.target[1::2]
    body = {"inputs": [{"name": graph.graph.input[0].name, "shape": list(x.shape), "datatype": "FP32", "data": x.ravel().tolist()}]}
    request = urllib.request.Request(
        f"{server.url}/v2/models/irises/infer", json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        prediction = answer.headers["mainspring-prediction-id"]
    post(server, "/api/v1/feedback", {"feedback": [
        {"predictionId": prediction, "row": i, "name": "species", "value": int(c)} for i, c in enumerate(y)]})
    report = json.loads(server.cli("performance", "irises", "--label", "species", "--output", "json"))
    given = model.predict_proba(x)
    found = {(m["name"], m.get("class")): m["value"] for m in report["overall"]["metrics"]}
    assert report["classes"] == ["0", "1", "2"] and not report["notes"]
    assert numpy.isclose(found["accuracy", None], metrics.accuracy_score(y, given.argmax(1)))
    assert numpy.isclose(found["log_loss", None], metrics.log_loss(y, given), rtol=1e-4)
    assert numpy.isclose(found["roc_auc", None], metrics.roc_auc_score(y, given, multi_class="ovr"))
