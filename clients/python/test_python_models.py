"""Models as their frameworks log them, answered by workers: the same answers as the model itself gives."""

import json
import os
import pathlib
import time

import mlflow
import numpy
import pandas
import pytest
import python_models
import requests
import tritonclient.http
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from tritonclient.utils import np_to_triton_dtype

SHARED = {"python": {"env": "shared"}}


@pytest.fixture(scope="session")
def loaded(models):
    """By name, the model as mlflow loads it."""
    return {name: mlflow.pyfunc.load_model(folder) for name, (folder, _) in models.items()}


def arrays(rows):
    """An array for each input of the protocol."""
    if isinstance(rows, numpy.ndarray):
        return {"input": rows}
    if isinstance(rows, pandas.DataFrame):
        return {name: rows[name].to_numpy(dtype=object if rows[name].dtype.kind not in "biuf" else None) for name in rows}
    return rows


def infer(server, name, rows):
    with tritonclient.http.InferenceServerClient(server.base) as client:
        inputs = []
        for label, array in arrays(rows).items():
            inputs.append(tritonclient.http.InferInput(label, list(array.shape), np_to_triton_dtype(array.dtype)))
            inputs[-1].set_data_from_numpy(array)
        answer = client.infer(f"python-{name}", inputs)
        return {output["name"]: answer.as_numpy(output["name"]) for output in answer.get_response()["outputs"]}


def logged(server, text):
    """Waits until the log has it: what a worker wrote comes there by a way of its own, and may come after the answer."""
    until = time.monotonic() + 60
    while text not in server.log.read_text():
        assert time.monotonic() < until, f"{text} is not in the log"
        time.sleep(0.1)


def same(got, expected):
    got = numpy.array([each.decode() for each in got.ravel()]).reshape(got.shape) if got.dtype == object else got
    expected = numpy.asarray(expected)
    assert got.shape == expected.shape
    # Equal to the last bit: it is the same library on the same rows.
    assert (got == expected.astype(got.dtype)).all(), f"{got}\n{expected}"


@pytest.mark.parametrize("name", python_models.LOGGED)
def test_v2(server, models, loaded, name):
    rows = models[name][1]
    got, expected = infer(server, name, rows), loaded[name].predict(rows if name != "words" else list(rows["0"]))
    if isinstance(expected, (dict, pandas.DataFrame)):
        assert list(got) == list(expected)
        for label in got:
            same(got[label], expected[label])
    else:
        assert len(got) == 1
        same(*got.values(), expected)


def cases():
    """Every model with each form of MLflow's that can hold its rows."""
    for name in python_models.LOGGED:
        frame = name not in ("xgboost", "words", "pair")
        for form in ("dataframe_split", "dataframe_records", "inputs") if frame else ("inputs",):
            yield name, form


@pytest.mark.parametrize("name, form", cases())
def test_scoring(server, models, loaded, name, form):
    rows = models[name][1]
    if name == "words":
        held = list(rows["0"])
    elif isinstance(rows, pandas.DataFrame):
        held = rows.to_dict(orient={"dataframe_split": "split", "dataframe_records": "records", "inputs": "list"}[form])
    else:
        held = {label: array.tolist() for label, array in rows.items()} if isinstance(rows, dict) else rows.tolist()
    body = json.dumps({form: held})
    schema = loaded[name].metadata.get_input_schema()
    theirs = scoring_server.invocations(body, "application/json", loaded[name], schema)
    assert theirs.status == 200
    answer = requests.post(f"{server.url}/deployments/python-{name}/invocations", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert answer.json() == json.loads(theirs.response)


@pytest.fixture
def track(start, monkeypatch):
    """Starts a server and lets mlflow log to it for the time of the test."""
    before = mlflow.get_tracking_uri()
    monkeypatch.setattr("mlflow.tracking.fluent._active_experiment_id", None)

    def begin(**more):
        server = start(**more)
        mlflow.set_tracking_uri(server.url)
        mlflow.set_experiment("python")
        return server

    yield begin
    mlflow.set_tracking_uri(before)


def test_scoring_client(loaded, track):
    mine = track()
    with mlflow.start_run():
        frame = python_models.log_pipeline()
    mine.deploy("only", "models:/python-pipeline/1", engine=SHARED, default=True)
    client = ScoringServerClient("127.0.0.1", mine.port)
    client.wait_server_ready(timeout=60)
    assert list(client.invoke(frame).get_predictions()[0]) == list(loaded["pipeline"].predict(frame))


def test_values_that_the_model_refuses(server, models, loaded):
    """An unknown category: MLflow answers with 400, and with the exception's text; here the text stays in the log."""
    frame = models["pipeline"][1].assign(city="Atlantis")
    body = json.dumps({"dataframe_split": frame.to_dict(orient="split")})
    with pytest.raises(MlflowException) as theirs:
        scoring_server.invocations(body, "application/json", loaded["pipeline"], loaded["pipeline"].metadata.get_input_schema())
    assert theirs.value.get_http_status_code() == 400
    answer = requests.post(f"{server.url}/deployments/python-pipeline/invocations", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "ValueError" in answer.json()["message"] and "Atlantis" not in answer.text
    logged(server, "Atlantis")


def test_rows_of_several_requests_share_calls(server, models):
    states = requests.get(f"{server.url}/api/v1/deployments/python-pipeline").json()
    assert states["versions"][0]["engine"] == "python" and states["versions"][0]["execution"]["batched"], states
    assert states["versions"][0]["execution"]["inlineRows"] == 0
    assert states["versions"][0]["memoryBytes"] > 10e6


@pytest.fixture
def told(track):
    server = track()
    frame = pandas.DataFrame({"order": ["work"]})
    with mlflow.start_run():
        mlflow.pyfunc.log_model(name="model", python_model=python_models.Told(), input_example=frame, registered_model_name="told")
    server.deploy("told", "models:/told/1", engine={"python": {"env": "shared", "timeout": "5s"}})
    return server


def ask(server, order, **headers):
    body = {"dataframe_records": [{"order": order}]}
    return requests.post(f"{server.url}/deployments/told/invocations", json=body, headers=headers)


def workers(server):
    """Ids of the server's worker processes."""
    found = []
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            text, line = status.read_text(), (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if f"PPid:\t{server.process.pid}\n" in text and b"mainspring-worker" in line:
            found.append(int(status.parent.name))
    return found


def test_a_worker_that_dies_or_hangs_costs_its_own_call(told):
    assert ask(told, "work").json() == {"predictions": [4]}
    first = workers(told)
    died = ask(told, "die")
    assert died.status_code == 500 and "exited with code 7" in died.json()["message"]
    assert ask(told, "work").json() == {"predictions": [4]}
    hung = ask(told, "loop")
    assert hung.status_code == 504 and "5s" in hung.json()["message"]
    # The log shows where it was, though the model wrote nothing.
    logged(told, "Fatal Python error: Aborted")
    assert ask(told, "work").json() == {"predictions": [4]}
    assert len(workers(told)) == 1 and workers(told) != first


def test_workers_go_with_the_server_however_it_ends(told):
    pids = workers(told)
    assert len(pids) == 1
    told.kill()
    until = time.monotonic() + 60
    while any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < until, "the worker outlives its server"


def test_an_environment_that_cannot_be_built_names_the_requirement(track):
    # No package index is asked, so nothing can be found.
    server = track(env={"PIP_NO_INDEX": "1", "UV_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull})
    frame = pandas.DataFrame({"order": ["work"]})
    with mlflow.start_run():
        mlflow.pyfunc.log_model(name="model", python_model=python_models.Told(), input_example=frame, registered_model_name="told")
    document = "apiVersion: mainspring/v1\nkind: Deployment\nname: told\nmodel: models:/told/1\n"
    done = server.cli("apply", "-f", "-", check=False, stdin=document)
    assert done.returncode != 0
    assert f"its requirement mlflow=={mlflow.__version__} cannot be installed" in done.stdout + done.stderr, done.stdout + done.stderr
    assert not list((server.data / "python" / "environments").glob("*.part"))


def test_a_model_that_says_nothing_of_itself_is_refused_with_the_way_out(track):
    server = track()
    with mlflow.start_run():
        mlflow.pyfunc.log_model(name="model", python_model=python_models.Told(), registered_model_name="told")
    document = f"apiVersion: mainspring/v1\nkind: Deployment\nname: told\nmodel: models:/told/1\nengine: {json.dumps(SHARED)}\n"
    done = server.cli("apply", "-f", "-", check=False, stdin=document)
    assert done.returncode != 0 and "infer_signature" in done.stdout + done.stderr
