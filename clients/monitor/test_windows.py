"""Windows of live rows as tables: drift by every profile and test, and performance without labels."""

import io
import json

import mlflow
import numpy
import pandas
import pyarrow
import pyarrow.ipc
import pytest
import requests
from onnx import TensorProto, helper, numpy_helper

NAME = "windows"
WORDS = {"before": ["cheap", "quick", "blue", "small"], "now": ["broken", "late", "refund", "angry"]}


def model():
    """Says whether somebody leaves, and how probable that is, from the age alone."""
    value = helper.make_tensor_value_info
    half = numpy_helper.from_array(numpy.array([0.5], dtype="float32"), "half")
    graph = helper.make_graph(
        [helper.make_node("Sigmoid", ["age"], ["probability"]), helper.make_node("Greater", ["probability", "half"], ["above"]),
         helper.make_node("Cast", ["above"], ["leaves"], to=TensorProto.INT64), helper.make_node("Identity", ["phase"], ["of"]),
         helper.make_node("Identity", ["note"], ["noted"]), helper.make_node("ReduceMean", ["seen"], ["mean"], axes=[1], keepdims=0)],
        NAME,
        [value("age", TensorProto.FLOAT, [None]), value("phase", TensorProto.STRING, [None]),
         value("note", TensorProto.STRING, [None]), value("seen", TensorProto.FLOAT, [None, 4])],
        [value("leaves", TensorProto.INT64, [None]), value("probability", TensorProto.FLOAT, [None]),
         value("of", TensorProto.STRING, [None]), value("noted", TensorProto.STRING, [None]), value("mean", TensorProto.FLOAT, [None])],
        [half])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def rows(phase, n, seed):
    """Before, ages are tenths around 0 and probabilities are right; now, ages are near where nobody can tell."""
    dice = numpy.random.default_rng(seed)
    age = dice.normal(0, 2, n) if phase == "before" else dice.normal(0.4, 0.4, n)
    age = numpy.round(age, 1)
    notes = [" ".join(dice.choice(WORDS[phase], 3)) + f" {seed} {i}" for i in range(n)]
    seen = dice.normal(0 if phase == "before" else 1, 1, (n, 4))
    truth = dice.random(n) < 1 / (1 + numpy.exp(-age))
    return pandas.DataFrame({"age": age, "phase": phase, "note": notes, "seen": list(seen), "leaves": truth.astype(int)})


def ask(server, deployment, frame):
    n = len(frame)
    body = {"inputs": [{"name": "age", "shape": [n], "datatype": "FP32", "data": frame["age"].tolist()},
                       {"name": "phase", "shape": [n], "datatype": "BYTES", "data": frame["phase"].tolist()},
                       {"name": "note", "shape": [n], "datatype": "BYTES", "data": frame["note"].tolist()},
                       {"name": "seen", "shape": [n, 4], "datatype": "FP32", "data": numpy.stack(frame["seen"]).ravel().tolist()}]}
    answer = requests.post(f"{server.url}/v2/models/{deployment}/infer", json=body)
    assert answer.status_code == 200, answer.text
    return answer.headers["mainspring-prediction-id"]


def tell(server, prediction, labels):
    feedback = [{"predictionId": prediction, "row": i, "name": "leaves", "value": int(v)} for i, v in enumerate(labels)]
    sent = requests.post(f"{server.url}/api/v1/feedback", json={"feedback": feedback})
    assert sent.status_code == 200, sent.text


def known(folder):
    """A file of predictions with labels, whose columns are called otherwise than the model's."""
    frame = pandas.concat([rows("before", 600, seed) for seed in range(10, 14)])
    frame["p"] = 1 / (1 + numpy.exp(-frame["age"]))
    frame["said"] = (frame["p"] > 0.5).astype(int)
    frame[["said", "p", "leaves"]].to_parquet(folder / "known.parquet", index=False)
    return folder / "known.parquet"


@pytest.fixture(scope="module")
def served(server, tmp_path_factory):
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment(NAME)
    with mlflow.start_run():
        mlflow.log_artifact(known(tmp_path_factory.mktemp("reference")))
        mlflow.onnx.log_model(model(), name="model", registered_model_name=NAME, pip_requirements=["onnxruntime"])
    server.deploy(NAME, f"models:/{NAME}/1")
    for seed in range(4):
        frame = rows("before", 600, seed)
        tell(server, ask(server, NAME, frame), frame["leaves"])
    for seed in range(4, 6):
        frame = rows("now", 600, seed)
        prediction = ask(server, NAME, frame)
        if seed == 4:
            tell(server, prediction, frame["leaves"])
    return server


BEFORE, NOW = f"deployment:{NAME}?in.phase=before", f"deployment:{NAME}?in.phase=now"


def drift(server, reference, current, *more, code=0):
    done = server.cli("drift", reference, current, *more, "--output", "json", check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if code == 0 else done.stderr


def verdicts(report):
    return {c["name"]: c["finding"]["verdict"] for c in report["columns"] if "finding" in c}


@pytest.mark.parametrize("profile", ["sequential", "nannyml", "evidently", "whylogs"])
def test_windows_are_compared_by_every_profile_as_files_are(served, profile):
    report = drift(served, BEFORE, NOW, "--profile", profile, "--rows")
    found = verdicts(report)
    assert report["rows"] == [2400, 1200] and found["in.age"] == "drift" and "in.phase" not in found, report
    if profile == "sequential":
        alike = verdicts(drift(served, BEFORE, BEFORE, "--profile", profile))
        assert set(alike.values()) == {"steady"}, alike


def test_texts_vectors_and_rows_as_wholes_are_seen_in_windows(served):
    report = drift(served, BEFORE, NOW, "--profile", "sequential")
    found = verdicts(report)
    assert found["in.note"] == found["in.seen"] == "drift", report
    note = next(c for c in report["columns"] if c["name"] == "in.note")
    assert {w["name"] for w in note["apart"]["by"]} & set(WORDS["now"]), note
    assert report["together"][0]["finding"]["verdict"] == "drift", report["together"]
    ratio = drift(served, BEFORE, NOW, "--profile", "evidently", "--vectors", "ratio")
    assert next(c for c in ratio["columns"] if c["name"] == "in.seen")["finding"]["verdict"] == "drift"
    tested = drift(served, BEFORE, NOW, "--profile", "evidently", "--test", "anderson")
    assert next(c for c in tested["columns"] if c["name"] == "in.age")["finding"]["method"].startswith("Anderson"), tested
    # Without any of it, sketches are compared, which have neither.
    sketched = drift(served, BEFORE, NOW)
    assert "in.seen" not in verdicts(sketched) and "in.note" not in verdicts(sketched), sketched


def test_a_window_beside_a_file_is_called_as_its_columns(served, tmp_path):
    file = tmp_path / "train.parquet"
    pandas.concat([rows("before", 600, seed) for seed in range(4)]).assign(paid=1).to_parquet(file, index=False)
    report = drift(served, file, f"deployment:{NAME}?in.phase=before", "--profile", "sequential")
    found = verdicts(report)
    # Tenths of 64 bits beside tenths of 32: each is the same number. Labels and what nobody asks for are not gone.
    assert found["age"] == found["note"] == found["seen"] == "steady", report
    assert report["broken"] == [] and "paid" in report["removed"], report
    assert verdicts(drift(served, file, NOW, "--profile", "sequential"))["age"] == "drift"
    turned = drift(served, NOW, file, "--profile", "nannyml")
    assert verdicts(turned)["age"] == "drift", turned


def test_rows_come_as_arrow_and_say_what_is_missing(served, tmp_path):
    place = f"{served.url}/api/v1/deployments/{NAME}/rows"
    answer = requests.get(place, params={"segment": json.dumps({"in.phase": "now"}), "label": "leaves"})
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.stream", answer.text
    table = pyarrow.ipc.open_stream(io.BytesIO(answer.content)).read_all()
    about = json.loads(table.schema.metadata[b"mainspring"])
    assert (table.num_rows, about["partial"], about["unkept"]) == (1200, False, 0)
    frame = table.to_pandas()
    assert frame["at"].is_monotonic_increasing and frame["label"].notna().sum() == 600
    assert set(frame["in.note"]) == set(rows("now", 600, 4)["note"]) | set(rows("now", 600, 5)["note"])

    served.deploy("windows-hidden", f"models:/{NAME}/1", journal={"redact": ["age", "note"]})
    served.deploy("windows-unkept", f"models:/{NAME}/1", journal={"sample": 0.0})
    frame = rows("before", 200, 9)
    for name in ("windows-hidden", "windows-unkept"):
        ask(served, name, frame)
    hidden = drift(served, BEFORE, "deployment:windows-hidden", "--profile", "sequential")
    skipped = {c["name"]: c["skipped"] for c in hidden["columns"] if "skipped" in c}
    assert "redacted" in skipped["in.age"] and "redacted" in skipped["in.note"] and hidden["broken"] == [], hidden
    nothing = drift(served, BEFORE, "deployment:windows-unkept", "--profile", "sequential", code=1)
    assert "no row" in nothing and "the payload of 200 rows was not kept" in nothing, nothing
    frame.to_parquet(tmp_path / "frame.parquet", index=False)
    served.cli("profile", tmp_path / "frame.parquet", "-o", tmp_path / "profile.json")
    refused = drift(served, tmp_path / "profile.json", NOW, "--profile", "nannyml", code=2)
    assert "nannyml reads rows, and a profile keeps sketches" in refused, refused


NAMES = ["--label", "leaves", "--prediction", "said=leaves", "--score", "p=probability", "--chunks", "4"]


def estimate(server, reference, current, *more, code=0):
    done = server.cli("estimate", reference, current, *more, "--output", "json", check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


def test_a_window_is_estimated_and_its_labels_say_the_same(served, tmp_path):
    found = estimate(served, known(tmp_path), NOW, *NAMES, "--fail-on-alert", code=1)
    whole = found["whole"]
    assert (found["method"], found["rows"], whole["labeled"]) == ("cbpe", [2400, 1200], 600)
    # Parts are as long as the reference's, however many rows the window has.
    assert [c["rows"] for c in found["chunks"]] == [600, 600] and [c["labeled"] for c in found["chunks"]] == [600, 0]
    told = {m["metric"]: m for m in whole["metrics"]}
    really = {m["metric"]: m["value"] for m in whole["realized"]}
    assert 0.5 < really["accuracy"] < 0.75 and told["accuracy"]["low"] < really["accuracy"] < told["accuracy"]["high"]
    assert told["roc_auc"]["low"] < really["roc_auc"] < told["roc_auc"]["high"], (told, really)
    accuracy = [m for c in found["chunks"] for m in c["metrics"] if m["metric"] == "accuracy"]
    assert all(m["alert"] and m["value"] < m["lowerThreshold"] for m in accuracy), accuracy
    alike = estimate(served, known(tmp_path), BEFORE, *NAMES)
    assert not alike["alert"] and alike["whole"]["labeled"] == 2400, alike


def test_labelled_rows_are_a_reference_for_later_ones(served):
    # However many rows without a label came after those with one.
    path = f"{served.url}/api/v1/deployments/{NAME}/rows"
    of = lambda **more: requests.get(path, params={"segment": json.dumps({"in.phase": "now"}), **more})
    rows_of = lambda **more: pyarrow.ipc.open_stream(of(**more).content).read_all()
    labelled = rows_of(label="leaves", labelled="true")
    assert labelled.num_rows == 600 and labelled["label"].null_count == 0 and rows_of(label="leaves").num_rows == 1200
    assert of(labelled="true").status_code == 400 and "none is named" in of(labelled="true").text
    none = estimate(served, NOW, NOW, "--label", "stays", code=1)
    assert 'has feedback called "stays"' in none, none
    one = ["--label", "leaves", "--prediction", "leaves", "--chunks", "4"]
    found = estimate(served, BEFORE, NOW, *one)
    assert (found["method"], found["alert"], found["rows"]) == ("cbpe", True, [2400, 1200]), found
    which = estimate(served, BEFORE, NOW, "--label", "leaves", code=2)
    assert "has no output called \"prediction\"; there are out.leaves, out.mean" in which, which
    # A number that is said of a number that comes.
    errors = estimate(served, BEFORE, NOW, "--label", "leaves", "--prediction", "probability", "--chunks", "4")
    mae = next(m for m in errors["whole"]["metrics"] if m["metric"] == "mae")
    real = next(m["value"] for m in errors["whole"]["realized"] if m["metric"] == "mae")
    assert errors["method"] == "dle" and "in.age" in errors["features"] and mae["low"] < real < mae["high"], errors

    path = f"{served.url}/api/v1/deployments/{NAME}/estimate"
    body = {"window": {"segment": {"in.phase": "now"}}, "reference": {"rows": {"segment": {"in.phase": "before"}}},
            "label": "leaves", "prediction": "leaves", "chunks": 4}
    report = requests.post(path, json=body).json()
    same = {m["name"]: (m["value"], m.get("realized")) for m in report["whole"]["metrics"]}
    realized = {m["metric"]: m["value"] for m in found["whole"]["realized"]}
    assert same == {m["metric"]: (m["value"], realized.get(m["metric"])) for m in found["whole"]["metrics"]}
    assert report["alert"] and report["parts"][0]["since"] < report["parts"][1]["until"]
    # Before today there are no rows.
    none = requests.post(path, json={"label": "leaves"})
    assert none.status_code == 404 and "name another reference" in none.json()["detail"] + none.json().get("hint", ""), none.text


def test_a_version_names_the_file_that_is_its_reference(served, tmp_path):
    client = mlflow.MlflowClient()
    none = estimate(served, f"models:/{NAME}/1", NOW, *NAMES, code=1)
    assert "names no file of predictions" in none and "mainspring.reference_data" in none, none
    for wrong, why in [("/etc/known.csv", "not in this server's store"), ("../../known.parquet", "leaves the folder"),
                       ("model/MLmodel", "is no table"), ("other.parquet", "is not there")]:
        client.set_model_version_tag(NAME, "1", "mainspring.reference_data", wrong)
        refused = estimate(served, f"models:/{NAME}/1", NOW, *NAMES, code=1)
        assert why in refused, refused
    client.set_model_version_tag(NAME, "1", "mainspring.reference_data", "known.parquet")
    report = estimate(served, f"models:/{NAME}/1", NOW, *NAMES)
    here = estimate(served, known(tmp_path), NOW, *NAMES)
    assert [m["value"] for m in report["whole"]["metrics"]] == [m["value"] for m in here["whole"]["metrics"]]
    assert report["reference"] == f"known.parquet of {NAME} version 1"
    shown = served.cli("estimate", f"models:/{NAME}/1", NOW, *NAMES)
    assert "really 0." in shown and "2 of 2 parts are beyond" in shown, shown


def test_a_tag_names_what_a_version_was_trained_on(served):
    client, place = mlflow.MlflowClient(), f"{served.url}/api/v1/profiles"
    for wrong, why in [("/srv/train.csv", "names /srv/train.csv, which is not in this server's store"),
                       ("model/MLmodel", "which is no table"), ("other.csv", "which is not there"),
                       ("runs:/nobody/train.csv", "which is not there")]:
        client.set_model_version_tag(NAME, "1", "mainspring.training_data", wrong)
        none = requests.get(place, params={"model": f"{NAME}/1"})
        assert none.status_code == 404 and "the tag mainspring.training_data names" in none.text and why in none.text, none.text
    # The version's own tag comes before its run's, and a path is one of the run's artifacts.
    client.set_tag(client.get_model_version(NAME, "1").run_id, "mainspring.training_data", "known.parquet")
    assert requests.get(place, params={"model": f"{NAME}/1"}).status_code == 404
    client.delete_model_version_tag(NAME, "1", "mainspring.training_data")
    made = requests.get(place, params={"model": f"{NAME}/1"}).json()
    assert (made["source"], made["savedBy"]) == (f"known.parquet of {NAME} version 1", "the server"), made
    assert [c["name"] for c in made["profile"]["columns"]] == ["said", "p", "leaves"] and made["profile"]["rows"] == 2400
