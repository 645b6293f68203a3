"""`mainspring predict` beside scikit-learn: the same rows, the same answers, also after kill -9."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request

import boto3
import mlflow
import numpy
import pandas
import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest
from mainspring_server import binary, onnxruntime
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

COLUMNS = ["age", "income", "visits", "score"]


def frame(rows, seed=0):
    made = numpy.random.default_rng(seed)
    return pandas.DataFrame({
        "customer": [f"c-{i:06}" for i in range(rows)],
        **{name: made.normal(size=rows).astype(numpy.float32).astype(numpy.float64) for name in COLUMNS},
        "note": [f'said "{i}", then\nleft' if i % 7 == 0 else None for i in range(rows)],
    })


@pytest.fixture(scope="module")
def models(server):
    """A booster as ONNX and a pipeline as scikit-learn left it; by name, what predicts the same here."""
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("batch")
    data = frame(2_000, seed=1)
    target = data["age"] * 2 + data["income"] - data["visits"] * data["score"]
    booster = GradientBoostingRegressor(n_estimators=100, random_state=0).fit(data[COLUMNS].values, target)
    graph = to_onnx(booster, initial_types=[("X", FloatTensorType([None, 4]))], target_opset=17)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(data[COLUMNS], (target > 0).astype(numpy.int64))
    signature = infer_signature(data[COLUMNS], booster.predict(data[COLUMNS].values))
    with mlflow.start_run():
        mlflow.onnx.log_model(graph, name="model", signature=signature, registered_model_name="batch-onnx", pip_requirements=["onnxruntime"])
    with mlflow.start_run():
        signature = infer_signature(data[COLUMNS], pipeline.predict(data[COLUMNS]))
        mlflow.sklearn.log_model(pipeline, name="model", signature=signature, registered_model_name="batch-sklearn")
    client = mlflow.MlflowClient()
    for name in ("batch-onnx", "batch-sklearn"):
        client.set_registered_model_alias(name, "champion", 1)
    return {"batch-onnx": lambda rows: booster.predict(rows[COLUMNS].values), "batch-sklearn": lambda rows: pipeline.predict(rows[COLUMNS])}


def words(server, model, source, to, *more):
    return [binary(), "--server", server.url, "predict", model, str(source), "-o", str(to), "--onnxruntime", str(onnxruntime()),
            "--python", sys.executable, "--environment", "shared", *map(str, more)]


def predict(server, model, source, to, *more, env=None, check=True):
    done = subprocess.run(words(server, model, source, to, *more), capture_output=True, text=True, env=server.env | (env or {}), cwd=server.folder)
    if check:
        assert done.returncode == 0, done.stderr
    return done


WRITE = {
    "parquet": lambda data, path: data.to_parquet(path, row_group_size=3_000),
    "csv": lambda data, path: data.to_csv(path, index=False),
    # pandas itself writes 15 digits at most.
    "jsonl": lambda data, path: path.write_text("".join(json.dumps(row) + "\n" for row in data.astype(object).where(data.notna(), None).to_dict(orient="records"))),
    "arrow": lambda data, path: pyarrow.feather.write_feather(data, path, compression="uncompressed", chunksize=4_000),
}
READ = {
    "parquet": pandas.read_parquet,
    "csv": pandas.read_csv,
    "jsonl": lambda path: pandas.DataFrame(json.loads(line) for line in path.read_text().splitlines()),
    "arrow": pyarrow.feather.read_feather,
}


@pytest.mark.parametrize("name", ["batch-onnx", "batch-sklearn"])
@pytest.mark.parametrize(("source", "to"), [("parquet", "parquet"), ("csv", "csv"), ("jsonl", "jsonl"), ("arrow", "arrow"), ("csv", "parquet")])
def test_the_answers_are_scikit_learns_own(server, models, tmp_path, name, source, to):
    data = frame(10_000)
    given, got = tmp_path / f"in.{source}", tmp_path / f"out.{to}"
    WRITE[source](data, given)
    predict(server, f"{name}@champion", given, got)
    out = READ[to](got)
    assert len(out) == len(data)
    assert list(out.columns[:6]) == list(data.columns)
    assert list(out.columns[-2:]) == ["prediction_id", "prediction_row"]
    assert out["prediction_row"].tolist() == list(range(len(data)))
    assert out["customer"].tolist() == data["customer"].tolist()
    assert out["note"].fillna("").tolist() == data["note"].fillna("").tolist()
    for column in COLUMNS:
        numpy.testing.assert_array_equal(out[column], data[column])
    numpy.testing.assert_allclose(out[out.columns[6]], models[name](data), rtol=1e-4, atol=1e-4)
    assert not got.with_name(got.name + ".run").exists()


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_a_run_that_is_killed_at_any_point_goes_on(server, models, tmp_path, kind):
    """kill -9 at random moments, until the run ends by itself: no row is lost or doubled."""
    data = frame(120_000)
    given, whole, got = (tmp_path / f"{stem}.{kind}" for stem in ("in", "whole", "out"))
    WRITE[kind](data, given)
    began = time.monotonic()
    predict(server, "batch-onnx/1", given, whole, "--batch-rows", 512)
    took = time.monotonic() - began
    luck, kills = random.Random(7), 0
    while True:
        command = words(server, "batch-onnx/1", given, got, "--batch-rows", 512)
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=server.env, cwd=server.folder)
        folder = tmp_path / f"out.{kind}.run"
        try:
            if kills == 0:
                # The first dies in its first shard, however fast the machine is by now.
                while process.poll() is None and not any(folder.glob("*.next")):
                    time.sleep(0.001)
            # Of the others some die at once, some with their last shard.
            code = process.wait(0 if kills == 0 else took * luck.uniform(0.15, 1.1) if kills < 8 else None)
            assert code == 0, process.stderr.read()
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            assert not got.exists() or folder.exists()
    assert kills > 0
    expected, out = READ[kind](whole), READ[kind](got)
    assert len(out) == len(data)
    assert out["prediction_id"].nunique() == 1
    # But for the id of the run, it is the same file.
    pandas.testing.assert_frame_equal(out.drop(columns="prediction_id"), expected.drop(columns="prediction_id"))
    assert not (tmp_path / f"out.{kind}.run").exists()


def test_a_run_is_one_event_of_the_journal(server, models, tmp_path):
    data = frame(1_500)
    given, got = tmp_path / "in.parquet", tmp_path / "out.parquet"
    WRITE["parquet"](data, given)
    predict(server, "models:/batch-onnx@champion", given, got)
    id = pandas.read_parquet(got, columns=["prediction_id"])["prediction_id"].iloc[0]
    rows = server.query(f'SELECT * FROM predictions WHERE event_id = \'{id}\'')
    assert len(rows) == 1
    event = rows[0]
    assert (event["protocol"], event["model"], event["version"], event["outcome"]) == ("batch", "batch-onnx", "1", "ok")
    assert (event["in.rows"], event["in.file"], event["out.file"]) == (1_500, str(given), str(got))
    assert event["out.bytes"] == got.stat().st_size and event["engine_us"] > 0
    # Feedback about one of its rows is taken, and is no orphan.
    body = json.dumps({"predictionId": id, "row": 7, "name": "label", "value": 1.5}).encode()
    request = urllib.request.Request(server.url + "/api/v1/feedback", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer) == {"accepted": 1, "duplicates": 0, "orphans": 0}


def test_a_bad_row_is_named_and_what_is_done_is_kept(server, models, tmp_path):
    data = frame(20_000)
    given, got = tmp_path / "in.csv", tmp_path / "out.csv"
    data.to_csv(given, index=False)
    lines = data.astype({"income": object})
    lines.loc[15_003, "income"] = "plenty"
    lines.to_csv(given, index=False)
    done = predict(server, "batch-onnx@champion", given, got, check=False)
    assert done.returncode == 2
    assert 'row 15003, column "income": the model takes double, the row has "plenty"' in done.stderr, done.stderr
    assert not got.exists()


def spoilt(rows, path, **cells):
    """Rows with cells that are no numbers: `income=[3, 7]`."""
    data = frame(rows)
    lines = data.astype({name: object for name in cells})
    for name, places in cells.items():
        lines.loc[places, name] = "plenty"
    lines.to_csv(path, index=False)
    return data, sorted(place for places in cells.values() for place in places)


@pytest.mark.parametrize("name", ["batch-onnx", "batch-sklearn"])
def test_rows_that_fail_are_skipped_and_told(server, models, tmp_path, name):
    given, got = tmp_path / "in.csv", tmp_path / "out.csv"
    data, bad = spoilt(20_000, given, income=[0, 15_003], score=[15_004, 19_999])
    done = predict(server, f"{name}@champion", given, got, "--on-error", "skip")
    assert "4 rows have no answer" in done.stderr and "out.csv.errors.jsonl" in done.stderr, done.stderr
    out, left = pandas.read_csv(got), data.drop(index=bad)
    assert out["prediction_row"].tolist() == left.index.tolist()
    assert out["customer"].tolist() == left["customer"].tolist()
    numpy.testing.assert_allclose(out[out.columns[6]], models[name](left), rtol=1e-4, atol=1e-4)
    told = pandas.read_json(tmp_path / "out.csv.errors.jsonl", lines=True)
    assert told["row"].tolist() == bad and told["column"].tolist() == ["income", "income", "score", "score"]
    assert 'the model takes double, the row has "plenty"' == told["error"][0]


@pytest.mark.parametrize("to", ["parquet", "csv", "jsonl", "arrow"])
def test_rows_that_fail_are_kept_without_an_answer(server, models, tmp_path, to):
    given, got = tmp_path / "in.csv", tmp_path / f"out.{to}"
    data, bad = spoilt(3_000, given, age=[17, 1_999])
    predict(server, "batch-onnx@champion", given, got, "--on-error", "keep")
    out = READ[to](got)
    assert out["prediction_row"].tolist() == list(range(3_000)) and out.columns[-1] == "prediction_error"
    failed = out["prediction_error"].notna()
    assert out.index[failed].tolist() == bad and out[out.columns[6]].isna().tolist() == failed.tolist()
    assert out["prediction_error"][17] == 'column "age": the model takes double, the row has "plenty"'
    numpy.testing.assert_allclose(out[out.columns[6]][~failed].astype(float), models["batch-onnx"](data.drop(index=bad)), rtol=1e-4, atol=1e-4)


def test_more_rows_than_may_fail_end_the_run(server, models, tmp_path):
    given, got = tmp_path / "in.csv", tmp_path / "out.csv"
    spoilt(3_000, given, age=[17, 18, 1_999])
    done = predict(server, "batch-onnx@champion", given, got, "--on-error", "skip", "--max-errors", 2, check=False)
    assert done.returncode == 2 and "3 rows failed, and 2 may; row 1999" in done.stderr, done.stderr
    assert not got.exists()
    done = predict(server, "batch-onnx@champion", given, got, "--max-errors", 2, check=False)
    assert done.returncode == 2 and "--on-error skip" in done.stderr, done.stderr
    predict(server, "batch-onnx@champion", given, got, "--on-error", "skip", "--max-errors", 3)


def test_a_row_that_the_model_refuses_costs_that_row(server, tmp_path):
    """The model's own exception, in a call of thousands of rows."""
    class Picky(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            if (model_input["x"] < 0).any():
                raise ValueError("negative")
            return (model_input["x"] * 2).rename("double")

    mlflow.set_tracking_uri(server.url)
    with mlflow.start_run():
        example = pandas.DataFrame({"x": [1.0, 2.0]})
        mlflow.pyfunc.log_model(name="model", python_model=Picky(), input_example=example, registered_model_name="batch-picky")
    data = pandas.DataFrame({"x": numpy.arange(5_000.0)})
    data.loc[[0, 1234, 1235, 4999], "x"] = -1.0
    data.to_parquet(tmp_path / "in.parquet")
    predict(server, "batch-picky/1", tmp_path / "in.parquet", tmp_path / "out.parquet", "--on-error", "skip", "--python-models", "allow")
    out = pandas.read_parquet(tmp_path / "out.parquet")
    good = data[data["x"] >= 0]
    assert out["prediction_row"].tolist() == good.index.tolist()
    numpy.testing.assert_allclose(out["double"], good["x"] * 2)
    told = pandas.read_json(tmp_path / "out.parquet.errors.jsonl", lines=True)
    assert told["row"].tolist() == [0, 1234, 1235, 4999] and told["error"].str.contains("ValueError: negative").all()


def test_a_slow_model_gets_the_time_and_the_memory_that_it_is_given(server, tmp_path):
    class Slow(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            import time

            time.sleep(0.004 * len(model_input))
            held = bytearray(1200 << 20) if (model_input["x"] < 0).any() else b"x"
            return (model_input["x"] * 2).rename("double") if held else None

    mlflow.set_tracking_uri(server.url)
    with mlflow.start_run():
        example = pandas.DataFrame({"x": [1.0, 2.0]})
        mlflow.pyfunc.log_model(name="model", python_model=Slow(), input_example=example, registered_model_name="batch-slow")
    data = pandas.DataFrame({"x": numpy.arange(1_000.0)})
    given, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    data.to_parquet(given)
    more = ("--threads", 1, "--python-models", "allow")
    done = predict(server, "batch-slow/1", given, out, *more, "--batch-rows", 1_000, "--timeout", "1s", check=False)
    assert done.returncode == 1 and "--timeout 10m" in done.stderr and "1s" in done.stderr, done.stderr
    predict(server, "batch-slow/1", given, out, *more, "--batch-rows", 50, "--timeout", "10s", "--restart")
    numpy.testing.assert_allclose(pandas.read_parquet(out)["double"], 2 * data["x"])
    pandas.DataFrame({"x": [-1.0]}).to_parquet(given)
    for size, said in [("1GiB", "MemoryError"), ("8GiB", None)]:
        done = predict(server, "batch-slow/1", given, tmp_path / f"{size}.parquet", *more, "--memory", size, check=False)
        assert (said in done.stderr) if said else done.returncode == 0, (size, done.stderr)
    for flag, value, said in [
        ("--timeout", "soon", "is not a duration"),
        ("--timeout", "0s", "--timeout must be longer than 0ms"),
        ("--start-timeout", "25h", "--start-timeout must be longer than 0ms, and at most 24h"),
        ("--memory", "1MiB", "--memory must be at least 64MiB"),
    ]:
        done = predict(server, "batch-slow/1", given, out, flag, value, check=False)
        assert done.returncode == 2 and said in done.stderr, done.stderr


def test_what_is_not_there_is_said(server, models, tmp_path):
    given = tmp_path / "in.csv"
    frame(10).to_csv(given, index=False)
    for model, source, said in [
        ("batch-onnx@nobody", given, "nobody"),
        ("batch-onnx", given, "does not say which version"),
        ("batch-onnx/1", tmp_path / "none.csv", "none.csv"),
        ("batch-onnx/1", "s3:///x", "names no object"),
    ]:
        done = predict(server, model, source, tmp_path / "out.csv", check=False)
        assert done.returncode != 0 and said in done.stderr, done.stderr
    done = predict(server, "batch-onnx/1", given, tmp_path / "out.xls", check=False)
    assert done.returncode == 2 and "--output-format" in done.stderr, done.stderr


def test_a_bucket_is_read_and_written(server, models, tmp_path):
    at = os.environ.get("MAINSPRING_TEST_S3")
    if not at:
        pytest.skip("MAINSPRING_TEST_S3 names no bucket; make test starts one")
    endpoint, bucket = at.rstrip("/").rsplit("/", 1)
    env = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    store = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    data = frame(5_000)
    given = tmp_path / "in.parquet"
    WRITE["parquet"](data, given)
    store.upload_file(str(given), bucket, "batch/in.parquet")
    predict(server, "batch-onnx/1", f"s3://{bucket}/batch/in.parquet", f"s3://{bucket}/batch/out.parquet", "--overwrite", env=env)
    store.download_file(bucket, "batch/out.parquet", str(tmp_path / "out.parquet"))
    out = pandas.read_parquet(tmp_path / "out.parquet")
    numpy.testing.assert_allclose(out[out.columns[6]], models["batch-onnx"](data), rtol=1e-4, atol=1e-4)
