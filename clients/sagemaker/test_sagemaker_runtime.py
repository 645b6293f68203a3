"""boto3's `sagemaker-runtime`, and the contract of a container with several models."""

import io
import json
import urllib.error
import urllib.request

import boto3
import mlflow
import numpy
import pandas
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression


def iris():
    data = load_iris(as_frame=True)
    return data.data.rename(columns=lambda name: name.removesuffix(" (cm)").replace(" ", "_")), data.target


@pytest.fixture(scope="module")
def model(server):
    """A regression over iris, deployed as an endpoint; and the same model here."""
    frame, target = iris()
    fitted = LinearRegression().fit(frame.values.astype(numpy.float32), target)
    graph = to_onnx(fitted, initial_types=[("X", FloatTensorType([None, 4]))], target_opset=17)
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("sagemaker")
    with mlflow.start_run():
        mlflow.onnx.log_model(graph, name="model", signature=infer_signature(frame), registered_model_name="aws-iris", pip_requirements=["onnxruntime"])
    with mlflow.start_run():
        mlflow.onnx.log_model(graph, name="model", registered_model_name="aws-bare", pip_requirements=["onnxruntime"])
    server.deploy("aws-iris", "models:/aws-iris/1")
    server.deploy("aws-bare", "models:/aws-bare/1")
    return fitted


def runtime(url, token=None):
    once = Config(retries={"max_attempts": 1, "mode": "standard"})
    return boto3.client("sagemaker-runtime", endpoint_url=url, region_name="eu-central-1", aws_access_key_id="anybody",
                        aws_secret_access_key="anything", aws_session_token=token, config=once)


def npy(array):
    out = io.BytesIO()
    numpy.save(out, array)
    return out.getvalue()


def bodies():
    frame, _ = iris()
    head = frame.head(5)
    return {
        "csv with a header": ("text/csv", head.to_csv(index=False)),
        "csv without": ("text/csv", head.to_csv(index=False, header=False)),
        "csv that says so": ("text/csv; header=present", head[list(reversed(head.columns))].to_csv(index=False)),
        "json, a list": ("application/json", json.dumps(head.values.tolist())),
        "json, records": ("application/json", json.dumps(head.to_dict(orient="records"))),
        "json, instances": ("application/json", json.dumps({"instances": head.values.tolist()})),
        "json, split": ("application/json", json.dumps({"dataframe_split": head.to_dict(orient="split")})),
        "json lines": ("application/jsonlines", head.to_json(orient="records", lines=True)),
        "json lines of lists": ("application/jsonlines", "\n".join(map(json.dumps, head.values.tolist()))),
        "json lines of features": ("application/jsonlines", "\n".join(json.dumps({"features": row}) for row in head.values.tolist())),
        "numpy": ("application/x-npy", npy(head.values)),
        "numpy, 32 bits": ("application/x-npy", npy(head.values.astype(numpy.float32))),
    }


def values(accept, answer):
    body = answer["Body"].read()
    if accept == "text/csv":
        return pandas.read_csv(io.BytesIO(body), header=None)[0].tolist()
    if accept == "application/jsonlines":
        return [json.loads(line)["variable"][0] for line in body.splitlines()]
    if accept == "application/x-npy":
        return numpy.load(io.BytesIO(body)).ravel().tolist()
    found = json.loads(body)["predictions"]
    return [row["variable"] for row in found] if isinstance(found, list) else numpy.ravel(found["variable"]).tolist()


@pytest.mark.parametrize("accept", [None, "application/json", "text/csv", "application/jsonlines", "application/x-npy"])
@pytest.mark.parametrize("body", bodies())
def test_every_form_is_read_and_answered(server, model, body, accept):
    media, data = bodies()[body]
    more = {"Accept": accept} if accept else {}
    answer = runtime(server.url).invoke_endpoint(EndpointName="aws-iris", ContentType=media, Body=data, **more)
    assert answer["ContentType"] == (accept or "application/json")
    assert answer["InvokedProductionVariant"] == "stable"
    frame, _ = iris()
    numpy.testing.assert_allclose(values(accept, answer), model.predict(frame.head(5).values), rtol=1e-5, atol=1e-5)


def test_a_model_without_a_signature_takes_arrays(server, model):
    frame, _ = iris()
    for media, data in [("application/x-npy", npy(frame.head(5).values)), ("text/csv", frame.head(5).to_csv(index=False, header=False)),
                        ("application/json", json.dumps(frame.head(5).values.tolist()))]:
        answer = runtime(server.url).invoke_endpoint(EndpointName="aws-bare", ContentType=media, Body=data, Accept="application/x-npy")
        numpy.testing.assert_allclose(values("application/x-npy", answer), model.predict(frame.head(5).values), rtol=1e-5, atol=1e-5)


def test_attributes_come_back_and_the_inference_id_is_kept(server, model):
    frame, _ = iris()
    answer = runtime(server.url).invoke_endpoint(EndpointName="aws-iris", ContentType="text/csv", Body=frame.head(1).to_csv(index=False),
                                                 CustomAttributes="trace=7", InferenceId="mine-1", TargetVariant="stable")
    assert answer["CustomAttributes"] == "trace=7"
    id = answer["ResponseMetadata"]["HTTPHeaders"]["mainspring-prediction-id"]
    rows = server.query(f"SELECT client_id, protocol, \"in.sepal_length\" FROM predictions WHERE event_id = '{id}'")
    assert rows == [{"client_id": "mine-1", "protocol": "sagemaker", "in.sepal_length": pytest.approx(5.1)}]


def refused(call, **more):
    with pytest.raises(ClientError) as raised:
        call(**({"EndpointName": "aws-iris", "ContentType": "text/csv", "Body": b"1,2,3,4\n"} | more))
    return raised.value.response


def test_errors_are_the_ones_that_botocore_knows(server, model):
    client = runtime(server.url)
    nobody = refused(client.invoke_endpoint, EndpointName="nobody")
    assert (nobody["Error"]["Code"], nobody["ResponseMetadata"]["HTTPStatusCode"]) == ("ValidationError", 400)
    assert "nobody" in nobody["Error"]["Message"]
    bad = refused(client.invoke_endpoint, Body=b"1,2,3,many\n")
    assert (bad["Error"]["Code"], bad["ResponseMetadata"]["HTTPStatusCode"], bad["OriginalStatusCode"]) == ("ModelError", 424, 400)
    assert "many" in bad["OriginalMessage"] and bad["OriginalMessage"] in bad["Error"]["Message"]
    for more, said in [({"ContentType": "image/png"}, "image/png"), ({"Accept": "image/png"}, "image/png"),
                       ({"ContentType": "application/x-npy", "Body": b"PK"}, "magic"), ({"ContentType": "application/jsonlines", "Body": b"{\n"}, "line 1")]:
        answer = refused(client.invoke_endpoint, **more)
        assert answer["Error"]["Code"] == "ModelError" and said in answer["OriginalMessage"], answer
    for more, said in [({"TargetModel": "x.tar.gz"}, "target-model"), ({"TargetVariant": "blue"}, "blue"), ({"SessionId": "NEW_SESSION"}, "session")]:
        answer = refused(client.invoke_endpoint, **more)
        assert answer["Error"]["Code"] == "ValidationError" and said in answer["Error"]["Message"], answer
    stream = refused(client.invoke_endpoint_with_response_stream)
    assert stream["Error"]["Code"] == "NotImplemented" and "not built" in stream["Error"]["Message"]


def test_the_session_token_is_the_key(start):
    own = start()
    key = json.loads(own.cli("key", "create", "aws", "--role", "infer", "--output", "json"))["key"]
    # A wrong key is refused even where none is asked for.
    wrong = refused(runtime(own.url, "nonsense").invoke_endpoint)
    assert (wrong["Error"]["Code"], wrong["ResponseMetadata"]["HTTPStatusCode"]) == ("UnrecognizedClientException", 403)
    right = refused(runtime(own.url, key).invoke_endpoint, EndpointName="nobody")
    assert right["Error"]["Code"] == "ValidationError"


def ask(server, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, {"content-type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_models_are_loaded_listed_invoked_and_unloaded(server, model):
    load = {"model_name": "aws-loaded", "url": "models:/aws-iris/1"}
    assert ask(server, "POST", "/models", load) == (200, None)
    assert ask(server, "POST", "/models", load)[0] == 409
    assert ask(server, "GET", "/models/aws-loaded") == (200, {"modelName": "aws-loaded", "modelUrl": "models:/aws-iris/1"})
    assert {"modelName": "aws-loaded", "modelUrl": "models:/aws-iris/1"} in ask(server, "GET", "/models")[1]["models"]
    frame, _ = iris()
    status, answer = ask(server, "POST", "/models/aws-loaded/invoke", frame.head(3).values.tolist())
    assert status == 200
    numpy.testing.assert_allclose([row["variable"] for row in answer["predictions"]], model.predict(frame.head(3).values), rtol=1e-5)
    # It is a deployment like any other.
    assert "aws-loaded" in server.cli("get", "deployment")
    assert ask(server, "DELETE", "/models/aws-loaded") == (200, None)
    assert ask(server, "GET", "/models/aws-loaded")[0] == 404
    assert ask(server, "DELETE", "/models/aws-loaded")[0] == 404
    assert ask(server, "POST", "/models/aws-loaded/invoke", [])[0] == 404
    status, why = ask(server, "POST", "/models", {"model_name": "aws-broken", "url": "models:/nobody/1"})
    assert status >= 400 and "nobody" in why["error"]
    assert ask(server, "GET", "/models/aws-broken")[0] == 404
    assert ask(server, "POST", "/models", {"model_name": "../x", "url": "models:/aws-iris/1"})[0] == 400


def test_the_container_answers_for_the_default_deployment(start):
    own = start()
    frame, target = iris()
    fitted = LinearRegression().fit(frame.values.astype(numpy.float32), target)
    graph = to_onnx(fitted, initial_types=[("X", FloatTensorType([None, 4]))], target_opset=17)
    mlflow.set_tracking_uri(own.url)
    mlflow.set_experiment("container")
    with mlflow.start_run():
        mlflow.onnx.log_model(graph, name="model", signature=infer_signature(frame), registered_model_name="only", pip_requirements=["onnxruntime"])
    own.deploy("only", "models:/only/1", default=True)
    with urllib.request.urlopen(own.url + "/ping") as answer:
        assert answer.status == 200
    four = frame.head(4)
    plain = four.to_csv(index=False, header=False).encode()
    for media, data, accept in [("application/x-npy", npy(four.values), "application/x-npy"),
                                ("application/jsonlines", four.to_json(orient="records", lines=True).encode(), "text/csv"),
                                # As CSVSerializer and JSONSerializer write rows, and as MLflow's clients do.
                                ("text/csv", plain, "text/csv"),
                                ("text/csv; header=absent", plain, "text/csv"),
                                ("text/csv", four.to_csv(index=False).encode(), "text/csv"),
                                ("application/json", json.dumps(four.values.tolist()).encode(), "application/x-npy")]:
        request = urllib.request.Request(own.url + "/invocations", data, {"content-type": media, "accept": accept})
        with urllib.request.urlopen(request) as answer:
            assert answer.headers["content-type"] == accept and answer.headers["mainspring-prediction-id"]
            body = answer.read()
        got = numpy.load(io.BytesIO(body)).ravel() if accept.endswith("npy") else pandas.read_csv(io.BytesIO(body), header=None)[0]
        numpy.testing.assert_allclose(got, fitted.predict(frame.head(4).values), rtol=1e-5, atol=1e-5)
    one = urllib.request.Request(own.url + "/invocations", json.dumps(frame.values[7].tolist()).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(one) as answer:
        ((value,),) = [row.values() for row in json.loads(answer.read())["predictions"]]
        numpy.testing.assert_allclose(numpy.ravel(value), fitted.predict(frame.values[7:8]), rtol=1e-5)
    wide = urllib.request.Request(own.url + "/invocations", b"1,2,3\n", {"content-type": "text/csv"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(wide)
    assert refused.value.code == 400 and "the model takes 4 columns" in refused.value.read().decode()
