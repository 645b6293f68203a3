"""`kind: Monitor` on a real model's real traffic: the profile of its training data, drift, its events, a crash, an order."""

import json
import time

import mlflow
import numpy
import pandas
import pytest
import requests
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# What is looked at together has to end, and five seconds more.
EVERY = 5
PATIENCE = 240


def data():
    frame = load_breast_cancer(as_frame=True).frame
    frame.columns = [name.replace(" ", "_") for name in frame.columns]
    names = list(frame.columns[:8])
    frame[names] = frame[names].astype("float32")
    return frame[[*names, "target"]].sample(frac=1, random_state=0).reset_index(drop=True), names


def trained(server, name, folder=None, versions=1):
    """Registers a model whose signature names its columns; with `folder`, its training data is the run's dataset."""
    frame, names = data()
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("monitors")
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(frame[names].to_numpy(), frame["target"])
    graph = to_onnx(model, frame[names].to_numpy()[:1], options={"zipmap": False}, target_opset=17)
    for _ in range(versions):
        with mlflow.start_run():
            if folder:
                file = folder / "train.parquet"
                frame.to_parquet(file)
                mlflow.log_artifact(str(file), "data")
                path = mlflow.get_artifact_uri("data/train.parquet").removeprefix("mlflow-artifacts:/")
                source = f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{path}"
                mlflow.log_input(mlflow.data.from_pandas(frame, source=source, name="tumours"), context="training")
            mlflow.onnx.log_model(graph, name="model", signature=infer_signature(frame[names]), registered_model_name=name, pip_requirements=["onnxruntime"])
    return frame, names


def ask(server, deployment, frame, rows=40):
    """Requests of many rows each, columns by name."""
    for start in range(0, len(frame), rows):
        part = frame[start:start + rows]
        answer = requests.post(f"{server.url}/deployments/{deployment}/invocations", json={"dataframe_split": part.to_dict("split")})
        assert answer.status_code == 200, answer.text


def monitor(server, name):
    return json.loads(server.cli("monitor", "show", name, "--output", "json"))


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, what()
        time.sleep(1)
    return found


def declare(server, deployment, **more):
    document = {"apiVersion": "mainspring/v1", "kind": "Monitor", "name": f"{deployment}-drift", "deployment": deployment, "minRows": 100, "every": f"{EVERY}s"}
    server.apply(json.dumps(document | more))


def columns(view):
    return {c["name"]: c for c in view["columns"] if "segment" not in c}


def events(server, name):
    return json.loads(server.cli("monitor", "events", name, "--output", "json"))["events"]


@pytest.fixture(scope="module")
def labelled(server, tmp_path_factory):
    """Predictions and what was true, asked for before anything else: their wait passes while others are looked at."""
    trained(server, "early", folder=tmp_path_factory.mktemp("early"))
    frame, names = trained(server, "glands")
    file = tmp_path_factory.mktemp("glands") / "train.parquet"
    frame.to_parquet(file)
    server.cli("profile", file, "--version", "glands/1")
    server.deploy("glands", "models:/glands/1")
    declare(server, "glands", columns=["in.*"], label={"name": "diagnosis", "column": "target", "wait": "10s"})
    for first in range(0, len(frame), 40):
        part = frame[names][first:first + 40]
        answer = requests.post(f"{server.url}/v2/models/glands/infer", json={"id": f"glands-{first}", "inputs": [
            {"name": "X", "shape": [len(part), len(names)], "datatype": "FP32", "data": part.to_numpy().ravel().tolist()}]})
        assert answer.status_code == 200, answer.text
        # Far more are well than the model was trained on.
        pieces = [{"deployment": "glands", "id": answer.json()["id"], "row": row, "name": "diagnosis", "value": 1} for row in range(len(part))]
        sent = requests.post(f"{server.url}/api/v1/feedback", json={"feedback": pieces})
        assert sent.status_code == 200, sent.text
    return frame


@pytest.fixture(scope="module")
def rolling(server, tmp_path_factory):
    """A rollout of a deployment whose rows move, asked for beforehand, too."""
    frame, names = trained(server, "lumps", folder=tmp_path_factory.mktemp("lumps"), versions=2)
    mlflow.MlflowClient().set_registered_model_alias("lumps", "champion", "1")
    server.deploy("lumps", "models:/lumps@champion", journal={"redact": ["mean_texture"]})
    rollout = {
        "apiVersion": "mainspring/v1", "kind": "Rollout", "name": "lumps-v2", "deployment": "lumps",
        "candidates": [{"name": "v2", "model": "models:/lumps/2"}], "assignment": {"unit": "header:x-user-id"},
        "steps": [{"canary": {"weight": 1, "minExposures": 100000, "minDuration": "1h"}}], "decision": {"ship": "noHarm"},
    }
    server.apply(json.dumps(rollout))
    declare(server, "lumps", onDrift={"rollout": "abort"}, columns=["in.*"])
    server.apply(json.dumps({"apiVersion": "mainspring/v1", "kind": "AlertChannel", "name": "brake", "matching": ["monitor=lumps-drift"], "freeze": {}}))
    phase = lambda: requests.get(f"{server.url}/api/v1/rollouts/lumps-v2").json().get("phase")
    until(lambda: phase() == "step", phase)
    moved = frame[names] + numpy.float32(100)
    ask(server, "lumps", moved)
    return phase


def test_drift_from_the_training_data_is_seen_told_and_kept(labelled, rolling, start, tmp_path):
    data_folder = tmp_path / "data"
    server = start(data=data_folder)
    frame, names = trained(server, "tumour")
    frame.to_parquet(tmp_path / "train.parquet")
    server.cli("profile", tmp_path / "train.parquet", "--version", "tumour/1")
    server.deploy("tumour", "models:/tumour/1")
    declare(server, "tumour", segments=["out.label"])
    # The same women, but one measure is in another unit.
    moved = frame[names].copy()
    moved["mean_radius"] *= numpy.float32(2.54)
    began = time.time()
    # In two requests: whichever of them is looked at first has enough rows to ask again about.
    ask(server, "tumour", pandas.concat([moved, moved]), rows=len(frame))
    looks = int(time.time() / EVERY) - int(began / EVERY) + 1
    whole = lambda: (v := monitor(server, "tumour-drift"))["state"] == "drifting" and v["rows"] == 2 * len(frame) and v
    view = until(whole, lambda: monitor(server, "tumour-drift"))
    found = columns(view)
    assert found["in.mean_radius"]["standing"] == "drift" and found["in.mean_radius"]["reference"] == "profile", view
    assert found["in.mean_radius"]["drift"] == "covariate" and found["in.mean_radius"]["distance"] > 0.5
    assert {found[f"in.{n}"]["standing"] for n in names[1:]} <= {"steady", "waiting"}, view
    assert view["version"] == "1" and view["sampled"] <= 256 * looks
    (told,) = events(server, "tumour-drift")
    assert told["kind"] == "drifted" and "in.mean_radius" in told["sentence"] and "version 1" in told["sentence"]
    # What it does to the answers: the very model was asked again, and nobody's request was it.
    why = json.loads(server.cli("monitor", "why", "tumour-drift", "--output", "json"))
    (cause,) = why["causes"]
    assert cause["name"] == "in.mean_radius" and cause["weight"] == pytest.approx(cause["moved"] * cause["importance"]), why
    assert why["output"] == "out.probabilities" and why["unit"] == "probability" and why["rows"] == 128
    expected = shift(frame, names)
    assert cause["shift"] == pytest.approx(expected, abs=0.1), (cause, expected)
    assert "by drift and importance: in.mean_radius (moves the mean of out.probabilities by" in told["sentence"]
    assert why["sentences"][-1].startswith("What to do:") and "version 1" in why["sentences"][0]
    assert "MOVED × IMPORTANCE" in server.cli("monitor", "why", "tumour-drift")
    assert server.query("SELECT count(*) AS n FROM predictions")[0]["n"] == 2 * len(frame)
    # How it came about.
    looks = json.loads(server.cli("monitor", "history", "tumour-drift", "--column", "in.mean_radius", "--output", "json"))["points"]
    assert looks[-1]["columns"][0]["standing"] == "drift" and looks[-1]["columns"][0]["distance"] > 0.5
    # The query that goes with it shows the rows.
    rows = server.query(told["numbers"]["query"])
    assert rows and min(row["in.mean_radius"] for row in rows) > 15
    heard = lambda: server.query("SELECT sentence FROM decisions WHERE decided_by = 'Monitor/tumour-drift' ORDER BY at")
    decisions = until(heard, lambda: "the journal did not hear of it")
    assert [d["sentence"] for d in decisions] == [told["sentence"]]
    shown = server.cli("monitor", "list")
    assert "tumour-drift" in shown and "drifting" in shown
    assert "in.mean_radius" in server.cli("monitor", "show", "tumour-drift")
    beside = requests.get(f"{server.url}/api/v1/monitors/tumour-drift/distribution", params={"column": "in.mean_radius"}).json()
    assert sum(beside["referenceCounts"]) > 500 and len(beside["edges"]) + 2 == len(beside["windowCounts"])
    # Sketches of all rows say the same, from a version's profile and from a window.
    said = json.loads(server.cli("drift", "models:/tumour/1", "deployment:tumour?last=10m", "--output", "json"))
    verdicts = {c["name"]: c["finding"]["verdict"] for c in said["columns"] if "finding" in c}
    assert verdicts.pop("in.mean_radius") == "drift" and set(verdicts.values()) == {"steady"} and len(verdicts) == 7, said
    assert said["rows"] == [len(frame), 2 * len(frame)]
    refused = server.cli("drift", "models:/tumour/1", "deployment:tumour", "--profile", "sequential", check=False)
    assert refused.returncode == 2 and "reads rows" in refused.stderr and "a window of a deployment" in refused.stderr
    assert "in.mean_radius" in server.cli("drift", tmp_path / "train.parquet", "deployment:tumour")
    # A power cut: what was told stays told, and no row counts twice.
    server.kill()
    again = start(data=data_folder)
    # It has read the journal again once it knows a later minute.
    later = lambda: (v := monitor(again, "tumour-drift")).get("seenUntil", "") > view["seenUntil"] and v
    after = until(later, lambda: monitor(again, "tumour-drift"))
    assert (after["state"], after["rows"]) == ("drifting", 2 * len(frame)) and len(events(again, "tumour-drift")) == 1


def shift(frame, names):
    """How far the mean probability of the second class is from where it is without the other unit, by scikit-learn."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(frame[names].to_numpy(), frame["target"])
    moved = frame[names].copy()
    moved["mean_radius"] *= numpy.float32(2.54)
    return model.predict_proba(moved.to_numpy())[:, 1].mean() - model.predict_proba(frame[names].to_numpy())[:, 1].mean()


def test_labels_are_watched_apart_when_their_wait_is_over(server, labelled):
    frame = labelled
    view = until(lambda: (v := monitor(server, "glands-drift"))["state"] == "drifting" and v["label"]["rows"] == len(frame) and v, lambda: monitor(server, "glands-drift"))
    found = columns(view)
    label = found["label.diagnosis"]
    assert (label["standing"], label["drift"], label["reference"]) == ("drift", "label", "profile"), view
    assert found["error.diagnosis"]["drift"] == "concept" and found["error.diagnosis"]["standing"] == "learning"
    assert view["label"]["rows"] == len(frame) and view["label"]["wait"] == "10s"
    # Who was asked has not changed.
    assert not [c for name, c in found.items() if name.startswith("in.") and c["standing"] == "drift"], view
    (told,) = events(server, "glands-drift")
    assert "label.diagnosis" in told["sentence"] and "what is true" in told["sentence"]
    rows = server.query(told["numbers"]["query"])
    assert rows and {row["feedback_value"] for row in rows} == {"1"}


def test_the_runs_dataset_is_the_reference_and_a_rollout_is_stopped(server, rolling):
    phase = rolling
    until(lambda: phase() == "rolledBack", lambda: (phase(), monitor(server, "lumps-drift")))
    view = monitor(server, "lumps-drift")
    assert {c["reference"] for c in view["columns"]} == {"profile"}
    # What is redacted is not what came, and no drift; nor can the model be asked again without it.
    assert len(view["columns"]) == 7 and "in.mean_texture" not in columns(view)
    assert "in.mean_texture is redacted" in server.cli("monitor", "why", "lumps-drift")
    profile = requests.get(f"{server.url}/api/v1/profiles", params={"model": "lumps@champion"}).json()
    assert profile["savedBy"] == "the server" and "tumours" in profile["source"] and profile["version"] == "1"
    said = [d["sentence"] for d in server.query("SELECT sentence FROM decisions WHERE decided_by = 'Rollout/lumps-v2' ORDER BY sequence")]
    assert any("the reason given: " in s and "has drifted" in s for s in said), said
    # The watched version is frozen, too, since a channel asks for it.
    tag = lambda: mlflow.MlflowClient(server.url).get_model_version("lumps", "1").tags.get("mainspring.frozen", "")
    until(lambda: "alert Drift (deployment lumps, monitor lumps-drift, variant stable)" in tag(), tag)


def test_a_new_version_has_its_profile_before_anybody_asks(server, labelled):
    made = lambda: [e for e in requests.get(f"{server.url}/api/v1/audit", params={"limit": 1000}).json()["entries"]
                    if (e["action"], e["resourceName"]) == ("profile.save", "early")]
    until(made, made)
    assert [e["subject"] for e in made()] == ["system"]
    # What it was made of may go. Others' tests have moved the process's own address since.
    client = mlflow.MlflowClient(server.url)
    run = client.get_run(client.get_model_version("early", "1").run_id)
    path = f"{run.info.artifact_uri}/data/train.parquet".removeprefix("mlflow-artifacts:/")
    gone = requests.delete(f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{path}")
    assert gone.status_code == 200, gone.text
    kept = requests.get(f"{server.url}/api/v1/profiles", params={"model": "early/1"}).json()
    assert (kept["source"], kept["savedBy"], kept["profile"]["rows"]) == ("the run's dataset tumours", "the server", len(labelled)), kept


def test_what_makes_no_sense_is_refused(server, tmp_path):
    refused = lambda **more: server.cli("apply", "-f", "-", check=False, stdin=json.dumps(
        {"apiVersion": "mainspring/v1", "kind": "Monitor", "name": "x", "deployment": "x"} | more))
    for more, why in [({"level": 2}, "level"), ({"label": {"name": "y", "wait": "1s"}}, "label.wait"), ({"every": "7s"}, "every"), ({"segments": ["plan"]}, "segments[0]"), ({"colums": ["*"]}, "columns"),
                      ({"reference": {"profile": "churn"}}, "reference.profile")]:
        done = refused(**more)
        assert done.returncode == 2 and why in done.stderr, done.stderr
    (tmp_path / "a.csv").write_text("a\n1\n2\n")
    done = server.cli("profile", tmp_path / "a.csv", "--version", "nobody@x", check=False)
    assert done.returncode == 1 and "nobody" in done.stderr
    done = server.cli("monitor", "show", "nobody", check=False)
    assert done.returncode == 1 and "kind: Monitor" in done.stderr
    answer = requests.post(f"{server.url}/api/v1/profiles", json={"model": "nobody/1", "profile": {"rows": 1}})
    assert answer.status_code in (400, 404)
