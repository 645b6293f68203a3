"""What a conversion takes its rows from when nobody names any, and what becomes of one whose server is killed."""

import os
import signal
import subprocess
import time

import convert_models
import mlflow
import pytest
import requests
from mainspring_server import binary
from mlflow.models import infer_signature


def dataset_logged(name, rows, kept, source):
    """A model without an input example, whose run has a dataset."""
    _, model, _ = convert_models.probabilities()
    with mlflow.start_run() as run:
        kept(rows)
        frame = mlflow.data.from_pandas(rows, source=source(run), name="held-out")
        mlflow.log_input(frame, context="evaluation")
        mlflow.sklearn.log_model(
            model, name="model", signature=infer_signature(rows, model.predict(rows)), serialization_format="cloudpickle",
            registered_model_name=name, pip_requirements=["scikit-learn"],
        )


def test_a_dataset_of_the_run_is_what_is_compared(server, registered, tmp_path):
    rows = convert_models.people()[0].head(77)

    def kept(data):
        data.to_parquet(tmp_path / "held-out.parquet")
        mlflow.log_artifact(tmp_path / "held-out.parquet", "data")

    def address(run):
        path = mlflow.get_artifact_uri("data/held-out.parquet").removeprefix("mlflow-artifacts:/")
        return f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{path}"

    dataset_logged("convert-dataset", rows, kept, address)
    said = server.cli("convert", "convert-dataset/1", "--env", "shared")
    assert "77 from the run's dataset held-out" in said and "77 of 77" in said
    tags = mlflow.MlflowClient().get_model_version("convert-dataset", "2").tags
    assert tags["mainspring.proof.rows"] == "77 of the run's dataset held-out"


def test_a_dataset_that_is_elsewhere_is_not_read(server, registered, tmp_path):
    """Neither the server's own disk nor what only it can reach is read for a client."""
    rows = convert_models.people()[0].head(10)
    dataset_logged("convert-elsewhere", rows, lambda data: data.to_csv(tmp_path / "rows.csv", index=False), lambda run: str(tmp_path / "rows.csv"))
    refused = server.cli("convert", "convert-elsewhere/1", "--env", "shared", check=False)
    assert refused.returncode == 1
    assert "without an input example" in refused.stderr and "--data FILE" in refused.stderr


def waiting(condition, what):
    # The first conversion of a server builds an environment.
    until = time.monotonic() + 300
    while not (found := condition()):
        assert time.monotonic() < until, what
        time.sleep(0.01)
    return found


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_conversion_whose_server_stops_is_said_to_be_interrupted(start, tmp_path, end):
    first = start(data=tmp_path / "data")
    mlflow.set_tracking_uri(first.url)
    mlflow.set_experiment("convert")
    convert_models.log("probabilities")
    done = requests.post(f"{first.url}/api/v1/conversions", json={"model": "convert-probabilities/1", "task": "convert", "env": "shared"}).json()
    waiting(lambda: job(first, done["id"])["state"] == "done", "the first one ends")
    words = [binary(), "--server", first.url, "convert", "convert-probabilities/1", "--env", "shared"]
    command = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=first.env)
    running = waiting(lambda: [j for j in jobs(first) if j["state"] == "running" and j["steps"]], "the second one runs")
    os.kill(first.process.pid, end)
    first.process.wait()
    assert command.wait() != 0, command.stderr.read()
    again = start(data=tmp_path / "data")
    # What ended before is as it was, and what did not says so, at once.
    assert [j["state"] for j in jobs(again)] == ["interrupted", "done"]
    assert job(again, done["id"])["version"] == "2"
    cut = job(again, running[0]["id"])
    assert cut["error"]["kind"] == "unavailable" and "stopped before it was done" in cut["error"]["message"]
    assert cut["error"]["hint"] == "start it again: mainspring convert convert-probabilities/1"
    assert "registered as models:/convert-probabilities/3" in again.cli("convert", "convert-probabilities/1", "--env", "shared")


def jobs(server):
    return requests.get(f"{server.url}/api/v1/conversions").json()["conversions"]


def job(server, id):
    return requests.get(f"{server.url}/api/v1/conversions/{id}").json()
