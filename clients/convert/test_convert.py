"""Models of the real frameworks, converted to ONNX by the command: the same answers, in the same form, faster."""

import json
import threading
import time

import convert_models
import mlflow
import numpy
import pandas
import pytest
import requests
import tritonclient.http
from tritonclient.utils import np_to_triton_dtype

SHARED = {"python": {"env": "shared"}}


def arrays(rows):
    if isinstance(rows, numpy.ndarray):
        return {"input": rows}
    return {name: rows[name].to_numpy(dtype=object if rows[name].dtype.kind not in "biuf" else None) for name in rows}


def infer(server, deployment, rows):
    with tritonclient.http.InferenceServerClient(server.base) as client:
        inputs = []
        for label, values in arrays(rows).items():
            inputs.append(tritonclient.http.InferInput(label, list(values.shape), np_to_triton_dtype(values.dtype)))
            inputs[-1].set_data_from_numpy(values)
        answer = client.infer(deployment, inputs)
        return {output["name"]: answer.as_numpy(output["name"]) for output in answer.get_response()["outputs"]}


def detail(server, deployment):
    return requests.get(f"{server.url}/api/v1/deployments/{deployment}").json()


def settled(server, deployment, version):
    """Waits until a version serves; gives the deployment."""
    until = time.monotonic() + 120
    while True:
        found = detail(server, deployment)
        if found["summary"].get("version") == version and found["summary"]["state"] == "READY":
            return found
        assert time.monotonic() < until, found
        time.sleep(0.02)


def near(got, expected):
    if isinstance(expected, float):
        return abs(got - expected) <= 1e-5 + 1e-4 * abs(expected)
    if isinstance(expected, list):
        return len(got) == len(expected) and all(map(near, got, expected))
    if isinstance(expected, dict):
        return got.keys() == expected.keys() and all(near(got[key], value) for key, value in expected.items())
    return type(got) is type(expected) and got == expected


@pytest.mark.parametrize("name", convert_models.CONVERTED)
def test_the_same_answers(server, registered, converted, name):
    rows = registered[name][:50]
    for kind, version in (("python", 1), ("onnx", 2)):
        server.deploy(f"convert-{name}-{kind}", f"models:/convert-{name}/{version}", engine=SHARED)
    engines = [detail(server, f"convert-{name}-{kind}")["versions"][0]["engine"] for kind in ("python", "onnx")]
    assert engines == ["python", "onnxruntime"]
    with tritonclient.http.InferenceServerClient(server.base) as client:
        takes = [client.get_model_metadata(f"convert-{name}-{kind}") for kind in ("python", "onnx")]
    assert takes[0]["inputs"] == takes[1]["inputs"] and takes[0]["outputs"] == takes[1]["outputs"]
    expected, got = infer(server, f"convert-{name}-python", rows), infer(server, f"convert-{name}-onnx", rows)
    assert list(expected) == list(got)
    for label, values in expected.items():
        assert values.dtype == got[label].dtype and values.shape == got[label].shape
        if values.dtype.kind == "f":
            numpy.testing.assert_allclose(got[label], values, rtol=1e-4, atol=1e-5)
        else:
            assert (got[label] == values).all()
    body = {"dataframe_split": rows.to_dict(orient="split")} if isinstance(rows, pandas.DataFrame) else {"inputs": rows.tolist()}
    answers = [requests.post(f"{server.url}/deployments/convert-{name}-{kind}/invocations", json=body) for kind in ("python", "onnx")]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert near(answers[1].json(), answers[0].json())


@pytest.mark.parametrize("name", convert_models.CONVERTED)
def test_the_new_version_says_where_it_is_from(server, registered, converted, name):
    model = f"convert-{name}"
    version = mlflow.MlflowClient().get_model_version(model, "2")
    assert version.tags["converted_from"] == f"models:/{model}/1"
    assert version.tags["mainspring.proof"] == "passed"
    count = len(registered[name])
    assert version.tags["mainspring.proof.agreeing"] == f"{count} of {count}"
    assert version.run_id == mlflow.MlflowClient().get_model_version(model, "1").run_id
    both = [mlflow.models.get_model_info(f"models:/{model}/{number}").signature for number in (1, 2)]
    assert both[0] == both[1]
    lineage = requests.get(f"{server.url}/api/v1/models/{model}/lineage").json()["versions"]
    assert {each["version"]["version"]: each.get("madeFrom") for each in lineage} == {"2": "1", "1": None}


def test_the_proof_is_printed(converted):
    said = converted["pipeline"]
    assert "scikit-learn: Pipeline(ColumnTransformer, LogisticRegression)" in said
    assert "300 from the input example" in said
    assert "1e-5 + 1e-4 × |value|" in said
    assert "300 of 300" in said and "in Python" in said and "×)" in said
    assert "worst row of float64" in converted["probabilities"] and "the model says" in converted["probabilities"]
    assert "registered as models:/convert-pipeline/2" in said


def test_rows_from_a_file(server, registered, tmp_path):
    rows = convert_models.people()[0].head(33)
    rows.to_parquet(tmp_path / "rows.parquet")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    rows.to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    for file in ("rows.parquet", "rows.csv", "rows.jsonl"):
        said = server.cli("convert", "convert-probabilities/1", "--env", "shared", "--data", tmp_path / file)
        assert f"33 from {file}" in said
    rows.drop(columns="age").to_csv(tmp_path / "less.csv")
    refused = server.cli("convert", "convert-probabilities/1", "--env", "shared", "--data", tmp_path / "less.csv", check=False)
    assert refused.returncode == 1 and "no column 'age'" in refused.stderr


def versions(name):
    return len(mlflow.MlflowClient().search_model_versions(f"name = 'convert-{name}'"))


def test_a_model_that_disagrees_is_refused(server, registered):
    refused = server.cli("convert", "convert-instants@champion", "--env", "shared", check=False)
    assert refused.returncode == 1
    assert "of 400 rows differ" in refused.stderr and "the model says" in refused.stderr
    assert "worst row of float32" in refused.stdout
    assert versions("instants") == 1


def test_a_part_that_cannot_be_exported_is_named(server, registered):
    refused = server.cli("convert", "convert-function@champion", "--env", "shared", check=False)
    assert refused.returncode == 1
    assert "step 'functiontransformer'" in refused.stderr and "log1p" in refused.stderr
    assert versions("function") == 1


def test_own_code_is_refused(server, registered):
    class Own(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input["x"] * 2

    rows = pandas.DataFrame({"x": [1.0, 2.0]})
    with mlflow.start_run():
        mlflow.pyfunc.log_model(name="model", python_model=Own(), input_example=rows, registered_model_name="convert-own")
    refused = server.cli("convert", "convert-own/1", "--env", "shared", check=False)
    assert refused.returncode == 1 and "PythonModel of your own" in refused.stderr


def test_what_is_not_there(server):
    refused = server.cli("convert", "no-such-model@champion", check=False)
    assert refused.returncode == 1 and "no-such-model" in refused.stderr
    refused = server.cli("optimize", "no-such-model/1", check=False)
    assert refused.returncode == 1 and "no-such-model" in refused.stderr


def test_optimize(server, registered, tmp_path):
    refused = server.cli("optimize", "convert-network@champion", "--env", "shared", check=False)
    assert refused.returncode == 1 and "mainspring convert convert-network/1" in refused.stderr
    server.cli("convert", "convert-network@champion", "--env", "shared")
    rows = registered["network"].assign(digit=convert_models.load_digits().target)
    rows.to_csv(tmp_path / "digits.csv", index=False)
    words = ["optimize", "convert-network@champion", "--env", "shared", "--data", tmp_path / "digits.csv", "--label", "digit"]
    job = json.loads(server.cli(*words, "--output", "json"))
    findings = job["findings"]
    # The newest conversion stands for the model that cannot be optimised itself.
    assert findings["source"] == "models:/convert-network/2" and findings["measure"] == "accuracy"
    assert findings["score"] > 0.9
    made = {each["name"]: each for each in findings["candidates"]}
    assert set(made) == {"graph", "int8-dynamic", "int8-static", "fp16"}, findings["failed"]
    for each in ("int8-dynamic", "int8-static", "fp16"):
        assert made[each]["speed"]["bytes"] < 0.7 * findings["before"]["bytes"]
    passing = {name for name, each in made.items() if "refused" not in each}
    assert passing == {name for name, each in made.items() if each["score"] >= findings["score"] - 0.005}
    if "chosen" in findings:
        assert findings["chosen"] in passing
        tags = mlflow.MlflowClient().get_model_version("convert-network", job["version"]).tags
        assert tags["optimized_from"] == "models:/convert-network/2" and tags["mainspring.optimization"] == findings["chosen"]
    else:
        assert "version" not in job and versions("network") == 2


@pytest.mark.parametrize("name", ["pipeline", "xgboost", "lightgbm"])
def test_optimize_prints_what_was_compared(server, registered, converted, name):
    """On the input example, without labels: a row counts when it has the same answer."""
    said = server.cli("optimize", f"convert-{name}/2", "--env", "shared")
    count = min(len(registered[name]), 10_000)
    assert f"{count} from the input example" in said and "the same answer in 99 % of the rows" in said
    assert "as it is" in said and f"{count} of {count}" in said and "graph" in said
    assert f"made from models:/convert-{name}/2" in said or "nothing was registered" in said


def test_prefer_onnx(server):
    """The conversion serves where there is one; no request fails while the alias goes to and fro."""
    client, model = mlflow.MlflowClient(), "convert-preferred"
    # A model of its own: whether another test's optimisation registered a version is a matter of the machine's speed.
    rows = convert_models.log("xgboost", model).head(4)
    client.set_registered_model_alias(model, "champion", "1")
    server.cli("convert", f"{model}@champion", "--env", "shared")
    server.deploy("convert-in-python", f"models:/{model}/1", engine=SHARED)
    expected = infer(server, "convert-in-python", rows)
    said = server.deploy("convert-preferred", f"models:/{model}@champion", engine=SHARED, prefer="onnx")
    assert "version 2 serves, which was made from version 1" in said
    failed, answered, done = [], [], threading.Event()

    def ask():
        while not done.is_set():
            try:
                answered.append(infer(server, "convert-preferred", rows))
            except Exception as error:
                failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        convert_models.log("xgboost", model)
        client.set_registered_model_alias(model, "champion", "3")
        found = settled(server, "convert-preferred", "3")
        assert found["versions"][0]["engine"] == "python" and "mainspring convert" in found["summary"]["choice"]
        server.cli("convert", f"{model}/3", "--env", "shared")
        found = settled(server, "convert-preferred", "4")
        assert found["versions"][0]["engine"] == "onnxruntime" and "made from version 3" in found["summary"]["choice"]
        client.set_registered_model_alias(model, "champion", "1")
        settled(server, "convert-preferred", "2")
    finally:
        done.set()
        thread.join()
    assert not failed and answered
    labels = next(iter(expected.values()))
    assert all((next(iter(each.values())) == labels).all() for each in answered)
