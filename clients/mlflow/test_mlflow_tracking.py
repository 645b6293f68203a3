"""Experiments, runs, params, metrics, tags and inputs through the real client."""

import math
import time

import mlflow
import pandas as pd
import pytest
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException


def code(error):
    return error.value.error_code


def test_the_default_experiment_exists(client):
    default = client.get_experiment("0")
    assert (default.name, default.artifact_location, default.lifecycle_stage) == ("Default", "mlflow-artifacts:/0", "active")


def test_experiment_life(client, name):
    id_ = client.create_experiment(name, tags={"team": "a"})
    found = client.get_experiment_by_name(name)
    assert (found.experiment_id, found.tags, found.artifact_location) == (id_, {"team": "a"}, f"mlflow-artifacts:/{id_}")
    client.set_experiment_tag(id_, "team", "b")
    client.set_experiment_tag(id_, "more", "x")
    client.delete_experiment_tag(id_, "more")
    client.rename_experiment(id_, name + "-2")
    found = client.get_experiment(id_)
    assert (found.name, found.tags) == (name + "-2", {"team": "b"})
    assert found.last_update_time >= found.creation_time
    assert client.get_experiment_by_name(name) is None
    with pytest.raises(MlflowException) as error:
        client.create_experiment(name + "-2")
    assert code(error) == "RESOURCE_ALREADY_EXISTS"
    with pytest.raises(MlflowException) as error:
        client.delete_experiment_tag(id_, "more")
    assert code(error) == "RESOURCE_DOES_NOT_EXIST"


def test_deleting_and_restoring_an_experiment_takes_its_runs_along(client, experiment):
    run = client.create_run(experiment).info.run_id
    client.delete_experiment(experiment)
    assert client.get_experiment(experiment).lifecycle_stage == "deleted"
    assert client.get_run(run).info.lifecycle_stage == "deleted"
    for call in (lambda: client.create_run(experiment), lambda: client.log_metric(run, "m", 1)):
        with pytest.raises(MlflowException) as error:
            call()
        assert code(error) == "INVALID_PARAMETER_VALUE"
    with pytest.raises(MlflowException) as error:
        client.delete_experiment(experiment)
    assert code(error) == "RESOURCE_DOES_NOT_EXIST"
    with pytest.raises(MlflowException) as error:
        client.create_experiment(client.get_experiment(experiment).name)
    assert code(error) == "RESOURCE_ALREADY_EXISTS"
    client.restore_experiment(experiment)
    assert client.get_run(run).info.lifecycle_stage == "active"


def test_the_fluent_calls(client, name):
    mlflow.set_experiment(name)
    with mlflow.start_run(run_name="outer", tags={"k": "v"}) as outer:
        mlflow.log_params({"a": 1, "b": "two"})
        mlflow.log_metrics({"m": 1.0, "n": 2.0}, step=1)
        mlflow.log_metric("m", 3.0, step=2)
        mlflow.set_tags({"t": "u"})
        with mlflow.start_run(nested=True, run_name="inner") as inner:
            mlflow.log_metric("m", 9)
    run = client.get_run(outer.info.run_id)
    assert run.info.status == "FINISHED" and run.info.end_time >= run.info.start_time
    assert run.info.run_name == "outer"
    assert run.data.params == {"a": "1", "b": "two"}
    assert run.data.metrics == {"m": 3.0, "n": 2.0}
    assert run.data.tags["t"] == "u" and run.data.tags["k"] == "v"
    assert client.get_run(inner.info.run_id).data.tags["mlflow.parentRunId"] == outer.info.run_id
    children = mlflow.search_runs(filter_string=f"tags.mlflow.parentRunId = '{outer.info.run_id}'")
    assert list(children["run_id"]) == [inner.info.run_id]
    frame = mlflow.search_runs(order_by=["metrics.m DESC"])
    assert list(frame["tags.mlflow.runName"]) == ["inner", "outer"]


def test_run_life(client, experiment):
    run = client.create_run(experiment, tags={"x": "y"}).info
    assert run.run_name and run.status == "RUNNING" and run.end_time is None
    assert run.artifact_uri == f"mlflow-artifacts:/{experiment}/{run.run_id}/artifacts"
    client.update_run(run.run_id, status="FAILED", name="renamed")
    found = client.get_run(run.run_id)
    assert (found.info.status, found.info.run_name, found.data.tags["mlflow.runName"]) == ("FAILED", "renamed", "renamed")
    client.set_tag(run.run_id, "mlflow.runName", "again")
    assert client.get_run(run.run_id).info.run_name == "again"
    client.delete_tag(run.run_id, "x")
    assert "x" not in client.get_run(run.run_id).data.tags
    with pytest.raises(MlflowException) as error:
        client.delete_tag(run.run_id, "x")
    assert code(error) == "RESOURCE_DOES_NOT_EXIST"
    client.delete_run(run.run_id)
    assert client.search_runs([experiment]) == []
    assert len(client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY)) == 1
    assert len(client.search_runs([experiment], run_view_type=ViewType.ALL)) == 1
    with pytest.raises(MlflowException) as error:
        client.log_param(run.run_id, "p", "1")
    assert code(error) == "INVALID_PARAMETER_VALUE"
    client.restore_run(run.run_id)
    assert len(client.search_runs([experiment])) == 1
    for call in (client.get_run, client.delete_run, client.restore_run):
        with pytest.raises(MlflowException) as error:
            call("0" * 32)
        assert code(error) == "RESOURCE_DOES_NOT_EXIST"


def test_a_name_said_twice_differently_is_refused(client, experiment):
    with pytest.raises(MlflowException) as error:
        client.create_run(experiment, run_name="a", tags={"mlflow.runName": "b"})
    assert code(error) == "INVALID_PARAMETER_VALUE"


def test_params_do_not_change(client, experiment):
    run = client.create_run(experiment).info.run_id
    client.log_param(run, "p", "1")
    client.log_param(run, "p", "1")
    with pytest.raises(MlflowException, match="Changing param values is not allowed"):
        client.log_param(run, "p", "2")
    with pytest.raises(MlflowException, match="Changing param values is not allowed"):
        client.log_batch(run, params=[Param("q", "1"), Param("p", "2")])
    # All or nothing: the good half of the batch is not there either.
    assert client.get_run(run).data.params == {"p": "1"}
    with pytest.raises(MlflowException, match="Duplicate parameter keys"):
        client.log_batch(run, params=[Param("r", "1"), Param("r", "2")])


def test_tags_are_overwritten_and_the_last_of_a_batch_wins(client, experiment):
    run = client.create_run(experiment).info.run_id
    client.log_batch(run, tags=[RunTag("t", "1"), RunTag("t", "2")])
    assert client.get_run(run).data.tags["t"] == "2"
    client.set_tag(run, "t", "3")
    assert client.get_run(run).data.tags["t"] == "3"


def history(client, run, key="m"):
    return [(x.timestamp, x.step, "nan" if math.isnan(x.value) else x.value) for x in client.get_metric_history(run, key)]


LOGGED = [
    [(1.0, 1, 1), (2.0, 2, 2)],
    [(5.0, 3, 1), (4.0, 3, 1), (4.0, 3, 1)],
    [(float("nan"), 4, 2), (0.5, 4, 2)],
    [(float("inf"), 5, 0), (float("-inf"), 6, 0)],
    [(-3.0, 0, 2)],
    [(7.0, 9, 2), (7.0, 9, 2)],
]


def test_history_and_latest_values_are_those_of_mlflow(client, oracle, name):
    sides = []
    for side in (client, oracle):
        exp = side.create_experiment(name)
        run = side.create_run(exp).info.run_id
        latest = []
        for batch in LOGGED:
            side.log_batch(run, [Metric("m", value, timestamp, step) for value, timestamp, step in batch])
            value = side.get_run(run).data.metrics["m"]
            latest.append("nan" if math.isnan(value) else value)
        sides.append((history(side, run), latest))
    assert sides[0] == sides[1]


def test_a_history_in_pages(client, raw, experiment):
    run = client.create_run(experiment).info.run_id
    client.log_batch(run, [Metric("m", float(i), i, i) for i in range(95)])
    seen, token = [], None
    while True:
        query = {"run_id": run, "metric_key": "m", "max_results": 40} | ({"page_token": token} if token else {})
        page = raw.get("metrics/get-history", **query).json()
        seen += [m["value"] for m in page["metrics"]]
        token = page.get("next_page_token")
        if not token:
            break
    assert seen == [float(i) for i in range(95)]


def test_a_long_history(client, experiment):
    run = client.create_run(experiment).info.run_id
    for start in range(0, 20_000, 1000):
        client.log_batch(run, [Metric("m", i / 2, i, i) for i in range(start, start + 1000)])
    points = client.get_metric_history(run, "m")
    assert [p.step for p in points] == list(range(20_000))
    assert client.get_run(run).data.metrics["m"] == 19_999 / 2


def test_dataset_inputs(client, name):
    mlflow.set_experiment(name)
    frame = pd.DataFrame({"x": [1, 2, 3]})
    dataset = mlflow.data.from_pandas(frame, name="numbers", source="s3://bucket/numbers.csv")
    with mlflow.start_run() as run:
        mlflow.log_input(dataset, context="training", tags={"v": "1"})
        mlflow.log_input(dataset, context="training")
    (found,) = client.get_run(run.info.run_id).inputs.dataset_inputs
    assert found.dataset.name == "numbers" and found.dataset.digest == dataset.digest
    assert {t.key: t.value for t in found.tags} == {"v": "1", "mlflow.data.context": "training"}
    assert "x" in found.dataset.schema and "num_rows" in found.dataset.profile
    loaded = mlflow.data.get_source(found.dataset)
    assert loaded.uri == "s3://bucket/numbers.csv"


def test_old_clients_record_models_in_a_tag(client, raw, experiment):
    run = client.create_run(experiment).info.run_id
    model = '{"artifact_path": "m", "flavors": {}, "utc_time_created": "now", "run_id": "%s"}' % run
    assert raw.post("runs/log-model", {"run_id": run, "model_json": model}).json() == {}
    assert raw.post("runs/log-model", {"run_id": run, "model_json": model}).json() == {}
    assert client.get_run(run).data.tags["mlflow.log-model.history"].count("artifact_path") == 2
    assert raw.post("runs/log-model", {"run_id": run, "model_json": "{}"}).status_code == 400


def test_limits_of_a_batch(client, raw, experiment):
    run = client.create_run(experiment).info.run_id

    def post(**body):
        return raw.post("runs/log-batch", {"run_id": run, **body})

    metric = {"key": "m", "value": 1, "timestamp": 1, "step": 0}
    for body, says in [
        ({"metrics": [metric] * 1001}, "at most 1000 metrics"),
        ({"params": [{"key": f"p{i}", "value": "1"} for i in range(101)]}, "at most 100 params"),
        ({"tags": [{"key": f"p{i}", "value": "1"} for i in range(101)]}, "at most 100 tags"),
        ({"metrics": [metric] * 950, "params": [{"key": f"p{i}", "value": "1"} for i in range(51)]}, "at most 1000 metrics, params, and tags"),
        ({"metrics": [{**metric, "key": "a" * 251}]}, "exceeds the maximum length of 250"),
        ({"metrics": [{**metric, "key": "a\tb"}]}, "Names may only contain"),
        ({"metrics": [{**metric, "key": "../x"}]}, "must not resolve to other names"),
        ({"metrics": [{**metric, "timestamp": -1}]}, "nonnegative long"),
        ({"metrics": [{"key": "m", "value": 1}]}, "Missing value for required parameter 'metrics[0].timestamp'"),
        ({"metrics": [{"key": "m", "timestamp": 1}]}, "Missing value for required parameter 'metrics[0].value'"),
        ({"tags": [{"value": "x"}]}, "Missing value for required parameter 'tags[0].key'"),
        ({"metrics": "x"}, "Value was of type 'str'"),
    ]:
        answer = post(**body)
        assert answer.status_code == 400, says
        assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
        assert says in answer.json()["message"]
    assert post(params=[{"key": "long", "value": "x" * 7000}], tags=[{"key": "long", "value": "y" * 9000}]).status_code == 200
    data = client.get_run(run).data
    assert len(data.params["long"]) == 6000 and len(data.tags["long"]) == 8000


def test_asynchronous_logging(client, name):
    mlflow.set_experiment(name)
    with mlflow.start_run() as run:
        for step in range(50):
            mlflow.log_metric("m", step, step=step, synchronous=False)
        mlflow.flush_async_logging()
    assert len(client.get_metric_history(run.info.run_id, "m")) == 50


def test_eight_writers_at_once_lose_nothing(client, experiment):
    from concurrent.futures import ThreadPoolExecutor

    run = client.create_run(experiment).info.run_id

    def write(writer):
        for i in range(20):
            client.log_batch(run, [Metric("m", i, i, writer * 20 + i)], [Param(f"p{writer}-{i}", "1")], [RunTag("last", str(writer))])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    data = client.get_run(run).data
    assert len(data.params) == 160
    assert len(client.get_metric_history(run, "m")) == 160
    assert data.metrics["m"] == 19
