"""`rules` of a deployment on live rows: refused, flagged and counted at every door, in the journal, in metrics, as an alert."""

import json
import time

import boto3
import mlflow
import numpy
import pandas
import pytest
import requests
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from botocore.config import Config
from botocore.exceptions import ClientError
from mlflow.models import infer_signature
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression
from tritonclient.utils import InferenceServerException
from websockets.sync.client import connect

LENGTH = "expect_column_values_to_be_between"


def rule(column, kind=LENGTH, **more):
    action = more.pop("action", None)
    made = {"type": kind, "kwargs": {"column": column, **more}}
    return made | ({"action": action} if action else {})


RULES = {
    "expectations": [
        rule("sepal_length", min_value=0, max_value=8.1, action="reject"),
        rule("petal_length", "expect_column_values_to_not_be_null"),
        {"type": "expect_column_pair_values_a_to_be_greater_than_b", "kwargs": {"column_A": "sepal_length", "column_B": "petal_length"},
         "name": "longer", "action": "flag"},
        rule("petal_width", max_value=0.2, action="count"),
    ],
    "alert": {"over": "10%", "window": "5m", "minimum": 3},
}
GOOD = [5.0, 3.0, 1.5, 0.2]
BROKEN = [9.0, 3.0, 1.5, 0.2]
FLAGGED = [5.0, 3.0, 6.0, 0.2]
NAN = float("nan")


def iris():
    data = load_iris(as_frame=True)
    return data.data.rename(columns=lambda name: name.removesuffix(" (cm)").replace(" ", "_")).astype("float32"), data.target


def people():
    """A number and a text that may be missing, passed through."""
    nodes = [helper.make_node("Add", ["age", "age"], ["doubled"]), helper.make_node("Identity", ["city"], ["where"])]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "people", [info("age", TensorProto.DOUBLE, [None, 1]), info("city", TensorProto.STRING, [None, 1])],
                              [info("doubled", TensorProto.DOUBLE, [None, 1]), info("where", TensorProto.STRING, [None, 1])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture(scope="module")
def ruled(server):
    frame, target = iris()
    fitted = LinearRegression().fit(frame.values, target)
    graph = to_onnx(fitted, initial_types=[("X", FloatTensorType([None, 4]))], target_opset=17)
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("rules")
    with mlflow.start_run():
        mlflow.onnx.log_model(graph, name="model", signature=infer_signature(frame), registered_model_name="ruled", pip_requirements=["onnxruntime"])
    with mlflow.start_run():
        mlflow.onnx.log_model(people(), name="model", registered_model_name="ruled-people", pip_requirements=["onnxruntime"])
    return server


@pytest.fixture
def deployed(ruled, request):
    """A deployment of its own for each test, so that counts are its own."""
    name = f"ruled-{request.node.name.split('[')[0].replace('_', '-')}"[:60]
    ruled.deploy(name, "models:/ruled/1", rules=RULES)
    return name


def columns(row):
    return pandas.DataFrame([row], columns=list(iris()[0].columns))


def counts(server, deployment):
    return {r["name"]: (r["rows"], r["broken"], r["requests"]) for r in json.loads(server.cli("rules", deployment, "--output", "json"))["rules"]}


def told(message):
    assert "row 0" in message and 'column "sepal_length" is above 8.1' in message and '"sepal_length:between"' in message, message
    assert "9" not in message.replace("sepal_length", ""), "the value itself is not told"


def test_mlflow_scoring(ruled, deployed):
    url = f"{ruled.url}/deployments/{deployed}/invocations"
    ask = lambda row: requests.post(url, json={"dataframe_split": columns(row).to_dict("split")})
    refused = ask(BROKEN)
    assert refused.status_code == 400 and refused.json()["error_code"] == "BAD_REQUEST"
    told(refused.json()["message"])
    flagged = ask(FLAGGED)
    assert flagged.status_code == 200 and flagged.headers["mainspring-flags"] == "longer"
    good = ask(GOOD)
    assert good.status_code == 200 and "mainspring-flags" not in good.headers
    missing = ask([5.0, 3.0, None, 0.2])
    assert missing.status_code == 200 and missing.headers["mainspring-flags"] == "petal_length:not_be_null,longer", missing.headers


def test_v2_rest(ruled, deployed):
    with triton_http.InferenceServerClient(ruled.base) as client:
        def ask(*rows, binary=True):
            given = triton_http.InferInput("X", [len(rows), 4], "FP32")
            given.set_data_from_numpy(numpy.array(rows, numpy.float32), binary_data=binary)
            return client.infer(deployed, [given])
        for binary in (True, False):
            with pytest.raises(InferenceServerException) as refused:
                ask(BROKEN, binary=binary)
            told(refused.value.message())
            assert refused.value.status() in ("400", "StatusCode.INVALID_ARGUMENT")
            assert ask(GOOD, GOOD, binary=binary).as_numpy("variable").shape == (2, 1)
    answer = requests.post(f"{ruled.url}/v2/models/{deployed}/infer", json={
        "inputs": [{"name": "X", "shape": [3, 4], "datatype": "FP32", "data": [GOOD, FLAGGED, GOOD]}]})
    assert answer.status_code == 200 and answer.headers["mainspring-flags"] == "longer"
    rows = ruled.query(f"SELECT \"row\", flags FROM predictions WHERE event_id = '{answer.headers['mainspring-prediction-id']}' ORDER BY 1")
    assert [row["flags"] for row in rows] == [None, "longer", None], rows


def test_v2_grpc(ruled, deployed):
    with triton_grpc.InferenceServerClient(ruled.base) as client:
        def ask(row):
            given = triton_grpc.InferInput("X", [1, 4], "FP32")
            given.set_data_from_numpy(numpy.array([row], numpy.float32))
            return client.infer(deployed, [given])
        with pytest.raises(InferenceServerException) as refused:
            ask(BROKEN)
        told(refused.value.message())
        assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"
        assert ask(FLAGGED).as_numpy("variable").shape == (1, 1)
    assert counts(ruled, deployed)["longer"] == (2, 1, 1)


def test_v2_websocket(ruled, deployed):
    with connect(f"ws://{ruled.base}/v2/models/{deployed}/ws") as socket:
        def ask(row):
            socket.send(json.dumps({"id": "1", "inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": row}]}))
            return json.loads(socket.recv(timeout=60))
        told(ask(BROKEN)["error"])
        assert ask(FLAGGED)["parameters"]["flags"] == "longer"
        assert "flags" not in ask(GOOD)["parameters"]


def test_kserve_v1_and_native(ruled, deployed):
    ask = lambda row: requests.post(f"{ruled.url}/v1/models/{deployed}:predict", json={"instances": [row]})
    refused = ask(BROKEN)
    assert refused.status_code == 400
    told(refused.json()["error"])
    assert ask(FLAGGED).headers["mainspring-flags"] == "longer"
    native = lambda row: requests.post(f"{ruled.url}/api/v1/deployments/{deployed}/predict", json={"rows": columns(row).to_dict("records")})
    refused = native(BROKEN)
    assert refused.status_code == 400 and refused.headers["content-type"] == "application/problem+json"
    told(refused.json()["detail"])
    assert "mainspring rules" in refused.text
    assert native(FLAGGED).json()["flags"] == ["longer"] and "flags" not in native(GOOD).json()


def test_sagemaker(ruled, deployed):
    once = Config(retries={"max_attempts": 1, "mode": "standard"})
    client = boto3.client("sagemaker-runtime", endpoint_url=ruled.url, region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b", config=once)
    ask = lambda row: client.invoke_endpoint(EndpointName=deployed, Body=columns(row).to_csv(index=False), ContentType="text/csv")
    with pytest.raises(ClientError) as refused:
        ask(BROKEN)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 424)
    told(refused.value.response["Error"]["Message"])
    assert ask(FLAGGED)["ResponseMetadata"]["HTTPHeaders"]["mainspring-flags"] == "longer"


def test_what_was_broken_is_in_the_journal_in_metrics_and_an_alert(start):
    server = start()
    frame, target = iris()
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("rules")
    graph = to_onnx(LinearRegression().fit(frame.values, target), initial_types=[("X", FloatTensorType([None, 4]))], target_opset=17)
    with mlflow.start_run():
        mlflow.onnx.log_model(graph, name="model", signature=infer_signature(frame), registered_model_name="ruled", pip_requirements=["onnxruntime"])
    server.deploy("told", "models:/ruled/1", rules=RULES)
    for row in (BROKEN, GOOD, GOOD, FLAGGED, [5.0, 3.0, 1.5, 0.3]):
        requests.post(f"{server.url}/deployments/told/invocations", json={"dataframe_split": columns(row).to_dict("split")})
    assert counts(server, "told") == {
        "sepal_length:between": (5, 1, 1), "petal_length:not_be_null": (5, 0, 0), "longer": (5, 1, 1), "petal_width:between": (5, 1, 1)}
    (refused,) = server.query("SELECT * FROM predictions WHERE flags = 'sepal_length:between'")
    assert refused["outcome"] == "failed" and refused["error_kind"] == "invalid_input" and "sepal_length" in refused["error"]
    assert len(server.query("SELECT * FROM predictions WHERE flags = 'longer' AND outcome = 'ok'")) == 1
    assert server.query("SELECT count(*) AS n FROM predictions WHERE flags IS NULL") == [{"n": 3}], "what is only counted is not said"
    metrics = requests.get(f"{server.url}/metrics").text
    assert 'mainspring_rule_broken_total{deployment="told",rule="longer",action="flag"} 1' in metrics
    assert 'mainspring_rule_rows_total{deployment="told",rule="petal_width:between",action="count"} 5' in metrics
    assert "20.00 %" in server.cli("rules", "told")
    end = time.monotonic() + 240
    while True:
        alerts = {a["labels"]["rule"]: a for a in json.loads(server.cli("alert", "list", "--output", "json"))["alerts"] if a["name"] == "RuleBroken"}
        if len(alerts) == 3:
            break
        assert time.monotonic() < end, alerts
        time.sleep(1)
    longer = alerts["longer"]
    assert longer["source"] == "quality" and "1 of 5 rows of told broke the rule longer in 5m, 20 %; 10 % may" in longer["summary"]
    assert len(server.query(longer["query"])) == 1


def test_texts_sets_lengths_and_conditions(ruled):
    rules = {"action": "reject", "expectations": [
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "city", "value_set": ["Ulm", "Zürich"]}, "name": "known"},
        {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "city", "regex": "^Z"}, "when": [{"column": "age", "in": [7]}], "name": "seven"},
        {"type": "expect_column_value_lengths_to_be_between", "kwargs": {"column": "city", "max_value": 6}, "name": "short"},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "city"}, "name": "there"},
        {"type": "expect_column_values_to_be_of_type", "kwargs": {"column": "age", "type_": "number"}},
    ]}
    ruled.deploy("ruled-people", "models:/ruled-people/1", rules=rules)
    def ask(age, city):
        body = {"inputs": [{"name": "age", "shape": [1, 1], "datatype": "FP64", "data": [age]},
                           {"name": "city", "shape": [1, 1], "datatype": "BYTES", "data": [city]}]}
        answer = requests.post(f"{ruled.url}/v2/models/ruled-people/infer", json=body)
        return answer.json().get("error", "")
    assert ask(7, "Zürich") == "" and ask(8, "Ulm") == ""
    assert '"seven"' in ask(7, "Ulm")
    assert '"known"' in ask(8, "Bonn") and "Bonn" not in ask(8, "Bonn")
    assert '"short"' in ask(8, "Nürnberg") and "above 6 characters" in ask(8, "Nürnberg")
    assert '"there"' in ask(8, "") and "is missing" in ask(8, "")


def test_rules_that_cannot_hold_are_refused_with_the_reason(ruled):
    def apply(expectations, **more):
        document = {"apiVersion": "mainspring/v1", "kind": "Deployment", "name": "ruled-wrong", "model": "models:/ruled/1", "rules": {"expectations": expectations, **more}}
        return ruled.cli("apply", "-f", "-", stdin=json.dumps(document), check=False)
    for expectation, said in [
        ({"type": "expect_column_mean_to_be_between", "kwargs": {"column": "sepal_length", "max_value": 5}}, "Monitor"),
        ({"type": "expect_column_values_to_be_unique", "kwargs": {"column": "sepal_length"}}, "together"),
        ({"type": "expect_column_values_to_be_betwen", "kwargs": {"column": "sepal_length"}}, "did you mean"),
        (rule("sepal_length", max_value=5, mostly=0.9, action="reject"), "mostly"),
        (rule("sepal_length"), "min_value"),
        ({"type": "expect_multicolumn_sum_to_equal", "kwargs": {"column_list": [], "sum_total": 1}}, "column_list is empty"),
    ]:
        done = apply([expectation])
        assert done.returncode != 0 and said in done.stderr + done.stdout, done
    assert "ruled-wrong" not in ruled.cli("get", "deployment")
    assert apply([rule("sepal_length", max_value=5)], alert={"over": "5%", "window": "7m"}).returncode != 0
    # A column is known once there is a model.
    done = apply([rule("sepal_lenght", max_value=5)])
    view = requests.get(f"{ruled.url}/api/v1/deployments/ruled-wrong").json()
    assert view["summary"]["state"] == "FAILED" and 'did you mean "sepal_length"' in view["summary"]["reason"], (done, view)


def test_what_infer_makes_of_a_file_can_be_pasted(ruled, tmp_path):
    frame, _ = iris()
    frame.to_parquet(tmp_path / "iris.parquet")
    ruled.cli("validate", tmp_path / "iris.parquet", "--infer", "-o", tmp_path / "suite.yaml")
    import yaml
    rules = yaml.safe_load((tmp_path / "suite.yaml").read_text())["expectations"]
    document = {"apiVersion": "mainspring/v1", "kind": "Deployment", "name": "ruled-pasted", "model": "models:/ruled/1", "rules": {"expectations": rules}}
    done = ruled.cli("apply", "-f", "-", stdin=json.dumps(document), check=False)
    assert done.returncode != 0 and "together" in done.stderr + done.stdout
    document["rules"]["expectations"] = [r for r in rules if r["type"].startswith("expect_column_values") and "unique" not in r["type"]]
    assert document["rules"]["expectations"]
    ruled.apply(json.dumps(document))
    answer = requests.post(f"{ruled.url}/deployments/ruled-pasted/invocations", json={"dataframe_split": columns([50.0, 3.0, 1.5, 0.2]).to_dict("split")})
    assert answer.status_code == 200 and "sepal_length:between" in answer.headers["mainspring-flags"]
