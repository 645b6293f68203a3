"""`mainspring validate` on real data, beside pandas."""

import json
import subprocess

import pandas
import pytest
import yaml
from mainspring_server import binary
from sklearn import datasets


def run(*args, code=0):
    done = subprocess.run([binary(), *map(str, args)], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def validate(file, suite, code=0):
    at = file.parent / "suite.yaml"
    at.write_text(yaml.safe_dump({"expectations": suite}))
    return json.loads(run("validate", file, "--suite", at, "--output", "json", code=code).stdout)


@pytest.fixture
def wine():
    frame = datasets.load_wine(as_frame=True).frame
    frame["grape"] = frame["target"].map({0: "barolo", 1: "grignolino", 2: "barbera"})
    frame["number"] = range(len(frame))
    return frame


def save(frame, file):
    write = {"parquet": frame.to_parquet, "csv": lambda f: frame.to_csv(f, index=False),
             "feather": lambda f: frame.to_feather(f, compression="uncompressed"),
             "jsonl": lambda f: frame.to_json(f, orient="records", lines=True)}
    write[file.suffix[1:]](file)
    return file


def test_counts_are_those_of_pandas_whatever_the_format(wine, tmp_path):
    wine.loc[::9, "alcohol"] = None
    wine.loc[3, "grape"] = "merlot"
    wine.loc[5, "number"] = 6
    between = ~wine["alcohol"].dropna().between(12, 14)
    suite = [
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "alcohol", "min_value": 12, "max_value": 14}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "alcohol", "mostly": 0.85}},
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "grape", "value_set": ["barolo", "grignolino", "barbera"]}},
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "number"}},
        {"type": "expect_column_pair_values_a_to_be_greater_than_b", "kwargs": {"column_A": "proline", "column_B": "magnesium"}},
        {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "grape", "regex": "ri"}, "severity": "warning"},
        {"type": "expect_column_median_to_be_between", "kwargs": {"column": "proline", "min_value": 600, "max_value": 750}},
        {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "hue", "min_value": 0, "max_value": 0.5}},
    ]
    for name in ("wine.parquet", "wine.csv", "wine.feather", "wine.jsonl"):
        found = validate(save(wine, tmp_path / name), suite, code=1)
        results = found["results"]
        assert not found["success"] and found["rows"] == len(wine)
        assert (results[0]["looked"], results[0]["unexpected"]) == (len(between), between.sum()), name
        assert results[1]["success"] and results[1]["unexpected"] == wine["alcohol"].isna().sum()
        assert results[2]["observed"] == {"outside": ["merlot"]} and results[2]["examples"][0]["row"] == 3
        assert results[3]["unexpected"] == wine["number"].duplicated(keep=False).sum()
        assert results[4]["unexpected"] == (wine["proline"] <= wine["magnesium"]).sum()
        assert results[5]["unexpected"] == (~wine["grape"].str.contains("ri")).sum() and results[5]["severity"] == "warning"
        assert results[6]["success"]
        assert abs(results[7]["observed"] - wine["hue"].mean()) < 1e-12 and not results[7]["success"]
        assert found["statistics"] == {"evaluated": 8, "successful": 3, "failed": 4, "warned": 1}


def test_a_suite_is_made_of_what_is_right_and_holds_what_is_not(wine, tmp_path):
    mixed = wine.sample(frac=1, random_state=1).reset_index(drop=True)
    right, later = mixed[:120].drop(columns="number"), mixed[120:].drop(columns="number")
    save(right, tmp_path / "right.parquet")
    run("validate", tmp_path / "right.parquet", "--infer", "-o", tmp_path / "suite.yaml")
    run("validate", tmp_path / "right.parquet", "--suite", tmp_path / "suite.yaml")
    wrong = later.assign(grape="merlot", alcohol=later["alcohol"] * 100)
    save(wrong, tmp_path / "wrong.csv")
    done = run("validate", tmp_path / "wrong.csv", "--suite", tmp_path / "suite.yaml", code=1)
    assert "merlot" in done.stdout and "alcohol" in done.stdout
    # From the profile alone, the same.
    run("profile", tmp_path / "right.parquet", "-o", tmp_path / "profile.json")
    run("validate", tmp_path / "right.parquet", "--profile", tmp_path / "profile.json")
    run("validate", tmp_path / "wrong.csv", "--profile", tmp_path / "profile.json", code=1)
    gone = right.drop(columns="hue").assign(hues=1.0)
    save(gone, tmp_path / "gone.parquet")
    shown = run("validate", tmp_path / "gone.parquet", "--suite", tmp_path / "suite.yaml", code=1).stdout
    assert "did you mean" in shown and "hues" in shown


def test_what_cannot_be_checked_is_refused(wine, tmp_path):
    file = save(wine, tmp_path / "wine.parquet")
    assert "--suite FILE" in run("validate", file, code=2).stderr
    suite = tmp_path / "suite.yaml"
    suite.write_text("expectations: [{type: expect_column_values_to_be_great, kwargs: {column: hue}}]")
    assert "expectation 1 is called" in run("validate", file, "--suite", suite, code=2).stderr
    assert "cannot read" in run("validate", file, "--suite", tmp_path / "none.yaml", code=1).stderr
    assert "is no profile" in run("validate", file, "--profile", suite, code=2).stderr
    assert pandas.read_parquet(file).equals(wine)
