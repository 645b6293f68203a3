"""What an earlier version left is there, and goes on, under this one: `fill.py` made each backup with the binary of its time."""

import pathlib
import re
import subprocess
import tarfile

import mlflow
import pytest
import requests
from mainspring_server import binary

NAME = "doubled"
BACKUPS = sorted(pathlib.Path(__file__).parent.glob("*.tar.xz"))
# What the earlier version wrote is to be looked at however long ago that was.
KEPT = ("--journal-keep", "36500d", "--artifacts-keep", "36500d")


@pytest.fixture(params=BACKUPS, ids=lambda file: file.name.removesuffix(".tar.xz"))
def upgraded(request, start, tmp_path):
    with tarfile.open(request.param) as tar:
        tar.extractall(tmp_path, filter="data")
    data = tmp_path / "data"
    done = subprocess.run([binary(), "restore", str(tmp_path / "backup"), "--data", str(data)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return start(*KEPT, data=data)


def infer(server, *numbers):
    answer = requests.post(f"{server.url}/v2/models/{NAME}/infer", json={
        "inputs": [{"name": "x", "shape": [len(numbers), 1], "datatype": "FP32", "data": numbers}]})
    assert answer.status_code == 200, answer.text
    return answer.json()["outputs"][0]["data"]


def test_what_an_earlier_version_left_goes_on(upgraded):
    mlflow.set_tracking_uri(upgraded.url)
    client = mlflow.MlflowClient(upgraded.url)
    # Runs with all that was logged, and what was deleted can come back.
    experiment = client.get_experiment_by_name("upgrades")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"times-2", "times-3"}
    run = runs["times-2"]
    assert run.data.params["by"] == "2" and run.data.tags["team"] == "ranking" and run.data.metrics["loss"] == 0.25
    assert [m.value for m in client.get_metric_history(run.info.run_id, "loss")] == [0.5, 0.25]
    assert [m.value for m in client.get_metric_history(run.info.run_id, "wave")] == [float(i % 7) for i in range(3000)]
    assert run.inputs.dataset_inputs[0].dataset.name == "ones"
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes/thoughts.txt") == "what was thought\n"
    (gone,) = client.search_runs([experiment.experiment_id], run_view_type=mlflow.entities.ViewType.DELETED_ONLY)
    client.restore_run(gone.info.run_id)
    # The registry, whose versions answer as they did.
    assert client.get_model_version_by_alias(NAME, "champion").version == "1"
    assert client.get_model_version(NAME, "2").tags == {"checked": "yes"}
    assert infer(upgraded, 1, 2.5) == [2, 5]
    # The journal, sealed and with what comes now; and feedback for what was answered then.
    count = lambda: upgraded.query("select count(*) as rows, count(distinct event_id) as events from predictions")[0]
    assert count() == {"rows": 42, "events": 21}
    labelled = "select count(*) as n from labeled where feedback_name = 'y'"
    assert upgraded.query(labelled) == [{"n": 10}]
    late = {"deployment": NAME, "id": "order-19", "row": 1, "name": "y", "value": 39.0}
    assert requests.post(f"{upgraded.url}/api/v1/feedback", json={"feedback": [late]}).status_code == 200
    assert upgraded.query(labelled) == [{"n": 11}]
    # What was declared, with its history; what was decided can be read, and decided anew.
    monitors = requests.get(f"{upgraded.url}/api/v1/monitors").json()["monitors"]
    assert [m["name"] for m in monitors] == ["doubled-drift"], monitors
    told = upgraded.cli("rollout", "decisions", "thrice")
    assert "is loaded beside models:/doubled/1" in told and "loopback aborted it" in told, told
    # That the candidate is unloaded is decided now, and may have been already.
    assert re.search(r"([23]) of \1 decisions follow", upgraded.cli("rollout", "replay", "thrice"))
    # Who did what is still known, and what is done now is told with its detail.
    before = requests.get(f"{upgraded.url}/api/v1/audit?limit=200").json()["entries"]
    assert any(e["action"] == "key.create" and e["resourceName"] == "ci of last month" for e in before), before
    client.set_registered_model_alias(NAME, "champion", "2")
    newest = requests.get(f"{upgraded.url}/api/v1/audit?limit=1").json()["entries"][0]
    assert newest["detail"] == "champion is version 2, was 1", newest
    assert "ci of last month" in upgraded.cli("key", "list")
