"""`ScoringServerClient` and what else MLflow's protocol has."""

import json

import mlflow
import numpy
import pytest
import requests
import scoring_models
from mlflow.pyfunc.scoring_server.client import ScoringServerClient


@pytest.fixture
def client(scored):
    return ScoringServerClient("127.0.0.1", scored.port)


def test_the_default_deployment_answers_at_the_root(client, folders):
    client.wait_server_ready(timeout=60)
    assert client.get_version() == mlflow.__version__
    frame, _ = scoring_models.iris()
    got = client.invoke(frame).get_predictions()
    expected = mlflow.pyfunc.load_model(folders["columns"]).predict(frame)
    assert list(got) == list(expected)
    numpy.testing.assert_allclose(got.values, expected.values, rtol=1e-6, atol=1e-6)


def test_arrays(client):
    frame, _ = scoring_models.iris()
    answer = client.invoke(frame.head(5).values)
    assert len(answer["predictions"]) == 5


def test_a_refusal_reaches_the_caller(client):
    with pytest.raises(Exception, match="column \\\\\"petal_width\\\\\" is missing"):
        client.invoke(scoring_models.iris()[0].drop(columns="petal_width"))


def test_ping_health_and_version(scored):
    for path in ("/ping", "/deployments/score-plain/ping", "/deployments/score-plain/health", "/health"):
        assert requests.get(scored.url + path).status_code == 200, path
    assert requests.get(f"{scored.url}/ping").json() == {"status": "Healthy"}
    assert requests.get(f"{scored.url}/deployments/score-plain/ping").text == "\n"
    for path in ("/version", "/deployments/score-plain/version"):
        assert requests.get(scored.url + path).text == mlflow.__version__
    assert requests.get(f"{scored.url}/deployments/nowhere/ping").status_code == 404


def test_an_unknown_deployment(scored):
    answer = requests.post(f"{scored.url}/deployments/score-plan/invocations", json={"inputs": [[1, 2, 3, 4]]})
    assert answer.status_code == 404
    assert answer.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert "did you mean \"score-plain\"?" in answer.json()["message"]


def test_a_v2_body_is_answered_as_such(scored):
    body = {"id": "v2", "inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]}]}
    for path in ("/invocations", "/deployments/score-plain/invocations"):
        answer = requests.post(scored.url + path, json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["id"] == "v2"
        assert answer.json()["outputs"][0]["shape"] == [1, 1]


def test_the_prediction_id_is_in_a_header(scored):
    answer = requests.post(f"{scored.url}/deployments/score-plain/invocations", json={"inputs": [[5.1, 3.5, 1.4, 0.2]]})
    assert len(answer.headers["mainspring-prediction-id"]) == 36
    assert answer.headers["mainspring-model-version"] == "1"
    assert list(answer.json()) == ["predictions"]


def test_a_passed_deadline(scored):
    rows = [[5.1, 3.5, 1.4, 0.2]] * 50_000
    answer = requests.post(f"{scored.url}/deployments/score-plain/invocations", data=json.dumps({"inputs": rows}),
                           headers={"Content-Type": "application/json", "mainspring-timeout-ms": "1"})
    assert answer.status_code == 504
    assert answer.json()["error_code"] == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b"\xff\xfe", b"{\"inputs\": " + b"[" * 1000, json.dumps({"inputs": [[1e400] * 4]}).encode()])
def test_bad_bodies(scored, body):
    answer = requests.post(f"{scored.url}/deployments/score-columns/invocations", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert answer.json()["error_code"] == "BAD_REQUEST"
