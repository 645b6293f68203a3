"""`mainspring estimate` on real models and real data: what it says without labels is what the labels say."""

import json
import subprocess

import pandas
import pytest
from mainspring_server import binary
from sklearn import datasets, ensemble, linear_model, metrics, model_selection, pipeline, preprocessing


def run(*args, code=0):
    done = subprocess.run([binary(), *map(str, args)], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def estimate(folder, reference, current, *more, code=0):
    files = folder / "reference.parquet", folder / "current.parquet"
    reference.to_parquet(files[0], index=False)
    current.drop(columns="label").to_parquet(files[1], index=False)
    return json.loads(run("estimate", *files, "--chunks", "4", "--output", "json", *more, code=code).stdout)


@pytest.fixture(scope="module")
def digits():
    """Which digits are even, by a model that cannot know it well."""
    images, digit = datasets.load_digits(return_X_y=True, as_frame=True)
    even = (digit % 2 == 0).astype(int)
    order = images.sample(frac=1, random_state=0).index
    train, rest = order[:600], order[600:]
    model = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression(C=0.01, max_iter=500))
    model.fit(images.loc[train].iloc[:, :24], even[train])
    frame = images.loc[rest].iloc[:, :24].copy()
    frame["score"] = model.predict_proba(frame)[:, 1]
    frame["prediction"] = (frame["score"] >= 0.5).astype(int)
    frame["label"] = even[rest]
    return frame.reset_index(drop=True)


def test_a_classifier_without_labels_is_as_good_as_its_labels_say(digits, tmp_path):
    reference, current = digits[:700], digits[700:]
    found = estimate(tmp_path, reference, current, "--score", "score")
    assert found["method"] == "cbpe" and found["classes"] == ["0", "1"] and found["rows"] == [700, len(current)]
    for chunk in found["chunks"][:4]:
        part = current.iloc[chunk["from"] : chunk["from"] + chunk["rows"]]
        told = {m["metric"]: m for m in chunk["metrics"]}
        for name, real in [("accuracy", metrics.accuracy_score(part["label"], part["prediction"])),
                           ("roc_auc", metrics.roc_auc_score(part["label"], part["score"])),
                           ("f1", metrics.f1_score(part["label"], part["prediction"]))]:
            assert told[name]["low"] <= real <= told[name]["high"], (name, real, told[name])
    # Rows of which the model is not sure, and nobody says so.
    unsure = current[(current["score"] - 0.5).abs() < 0.25]
    worse = estimate(tmp_path, reference, unsure, "--score", "score", "--fail-on-alert", code=1)
    accuracy = [m for c in worse["chunks"] for m in c["metrics"] if m["metric"] == "accuracy"]
    assert any(m["alert"] and m["value"] < m["lowerThreshold"] for m in accuracy)


def test_a_regression_without_labels_is_as_far_off_as_its_labels_say(tmp_path):
    inputs, target = datasets.make_friedman1(6000, n_features=6, noise=0.5, random_state=1)
    model = ensemble.RandomForestRegressor(20, max_depth=4, random_state=0).fit(inputs[:2000], target[:2000])
    frame = pandas.DataFrame(inputs[2000:], columns=list("abcdef"))
    frame["prediction"], frame["label"] = model.predict(inputs[2000:]), target[2000:]
    found = estimate(tmp_path, frame[:2500], frame[2500:])
    assert found["method"] == "dle" and found["features"] == list("abcdef")
    for chunk in found["chunks"]:
        part = frame.iloc[2500 + chunk["from"] : 2500 + chunk["from"] + chunk["rows"]]
        told = {m["metric"]: m for m in chunk["metrics"]}
        real = metrics.mean_absolute_error(part["label"], part["prediction"])
        assert told["mae"]["low"] <= real <= told["mae"]["high"], (real, told["mae"])
        real = metrics.root_mean_squared_error(part["label"], part["prediction"])
        assert told["rmse"]["low"] <= real <= told["rmse"]["high"], (real, told["rmse"])


def test_what_cannot_be_estimated_says_why(digits, tmp_path):
    estimate(tmp_path, digits[:700], digits[700:], "--score", "score")
    files = tmp_path / "reference.parquet", tmp_path / "current.parquet"
    assert 'no column "truth"' in run("estimate", *files, "--label", "truth", "--score", "score", code=2).stderr
    assert "2 classes" in run("estimate", *files, "--score", "score,prediction,score", code=2).stderr
    digits[:30].to_parquet(files[0])
    assert "at least 100 are needed" in run("estimate", *files, "--score", "score", code=2).stderr
    shown = run("estimate", files[1], files[1], "--label", "prediction", "--score", "score").stdout
    assert "ROC_AUC" in shown and "cbpe" in shown
