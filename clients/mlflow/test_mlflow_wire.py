"""The rules of the wire that break naive servers, one by one, with plain HTTP."""

import json

import pytest
import requests


def test_integers_are_numbers(client, raw, experiment):
    run = client.create_run(experiment, start_time=1_700_000_000_123).info
    info = raw.get("runs/get", run_id=run.run_id).json()["run"]["info"]
    assert info["start_time"] == 1_700_000_000_123
    found = raw.get("experiments/get", experiment_id=experiment).json()["experiment"]
    assert isinstance(found["creation_time"], int) and isinstance(found["experiment_id"], str)


def test_a_run_has_both_its_ids_and_text_for_its_experiment(client, raw, experiment):
    run = client.create_run(experiment).info
    info = raw.get("runs/get", run_uuid=run.run_id).json()["run"]["info"]
    assert info["run_id"] == info["run_uuid"] == run.run_id
    assert info["experiment_id"] == experiment
    assert "end_time" not in info


def test_a_version_is_text(client, raw, name):
    client.create_registered_model(name)
    assert raw.post("model-versions/create", {"name": name, "source": "s3://b/1"}).json()["model_version"]["version"] == "1"
    got = raw.get("model-versions/get", name=name, version=1).json()["model_version"]
    assert (got["version"], got["status"], got["current_stage"]) == ("1", "READY", "None")


def test_unknown_fields_are_ignored(raw, name):
    answer = raw.post("experiments/create", {"name": name, "colour": "red", "more": {"x": [1]}})
    assert answer.status_code == 200
    assert raw.get("experiments/get-by-name", experiment_name=name, colour="red").status_code == 200


@pytest.mark.parametrize("prefix", ["/api/2.0", "/api/3.0", "/ajax-api/2.0", "/ajax-api/3.0"])
def test_every_prefix(raw, prefix):
    assert raw.get("experiments/get", api=prefix + "/mlflow/", experiment_id="0").status_code == 200
    assert raw.get("artifacts", api=prefix + "/mlflow-artifacts/").status_code == 200


@pytest.mark.parametrize("path,list_name", [("experiments/search", "experiments"), ("registered-models/search", "registered_models"), ("model-versions/search", "model_versions")])
def test_searches_answer_get_and_post(client, raw, name, path, list_name):
    client.create_experiment(name)
    client.create_registered_model(name)
    client.create_model_version(name, "s3://b/1")
    text = f"name = '{name}'"
    got = raw.get(path, filter=text, max_results=5, order_by=["name ASC"]).json()
    posted = raw.post(path, {"filter": text, "max_results": 5, "order_by": ["name ASC"]}).json()
    assert got == posted and len(got[list_name]) == 1


def test_latest_versions_answer_get_and_post(client, raw, name):
    client.create_registered_model(name)
    client.create_model_version(name, "s3://b/1")
    assert raw.get("registered-models/get-latest-versions", name=name, stages=["None", "Staging"]).json() == raw.post("registered-models/get-latest-versions", {"name": name}).json()


def test_what_has_no_answer_answers_braces(client, raw, experiment):
    run = client.create_run(experiment).info.run_id
    for path, body in [
        ("runs/log-metric", {"run_id": run, "key": "m", "value": 1, "timestamp": 1}),
        ("runs/log-parameter", {"run_id": run, "key": "p", "value": "1"}),
        ("runs/set-tag", {"run_id": run, "key": "t", "value": "1"}),
        ("runs/log-batch", {"run_id": run}),
        ("runs/delete", {"run_id": run}),
        ("runs/restore", {"run_id": run}),
        ("experiments/delete", {"experiment_id": experiment}),
        ("experiments/restore", {"experiment_id": experiment}),
    ]:
        answer = raw.post(path, body)
        assert (answer.status_code, answer.text, answer.headers["Content-Type"]) == (200, "{}", "application/json"), path


def test_errors_have_mlflows_shape(client, raw, experiment, name):
    for answer, status, code in [
        (raw.get("experiments/get", experiment_id="99999999"), 404, "RESOURCE_DOES_NOT_EXIST"),
        (raw.get("experiments/get", experiment_id="x"), 400, "INVALID_PARAMETER_VALUE"),
        (raw.get("experiments/get-by-name", experiment_name=name), 400, "INVALID_PARAMETER_VALUE") if False else (raw.get("experiments/get-by-name", experiment_name=name + "-none"), 404, "RESOURCE_DOES_NOT_EXIST"),
        (raw.post("experiments/create", {"name": "Default"}), 400, "RESOURCE_ALREADY_EXISTS"),
        (raw.post("experiments/create"), 400, "INVALID_PARAMETER_VALUE"),
        (raw.post("experiments/create", {"name": 3}), 400, "INVALID_PARAMETER_VALUE"),
        (raw.post("runs/search", {"experiment_ids": ["0"], "max_results": 50001}), 400, "INVALID_PARAMETER_VALUE"),
        (raw.post("runs/search", {"experiment_ids": ["0"], "page_token": "!"}), 400, "INVALID_PARAMETER_VALUE"),
        (raw.post("registered-models/search", {"max_results": 1001}), 400, "INVALID_PARAMETER_VALUE"),
        (raw.post("model-versions/search", {"max_results": 200001}), 400, "INVALID_PARAMETER_VALUE"),
        (raw.post("experiments/search", {}), 400, "INVALID_PARAMETER_VALUE"),
        (raw.get("nothing/here"), 404, "ENDPOINT_NOT_FOUND"),
        (raw.call("POST", "/api/2.0/mlflow/runs/create", data="{", headers={"Content-Type": "application/json"}), 400, "BAD_REQUEST"),
        (raw.call("POST", "/api/2.0/mlflow/runs/create", data={"a": "b"}), 400, "INVALID_PARAMETER_VALUE"),
    ]:
        assert answer.status_code == status, answer.text
        assert answer.headers["Content-Type"] == "application/json"
        assert set(answer.json()) == {"error_code", "message"}
        assert answer.json()["error_code"] == code


@pytest.mark.parametrize(
    "method,path",
    [
        ("POST", "/api/3.0/mlflow/traces"),
        ("GET", "/api/3.0/mlflow/traces/tr-1"),
        ("POST", "/api/2.0/mlflow/traces"),
        ("PATCH", "/api/2.0/mlflow/traces/tr-1/tags"),
        ("POST", "/v1/traces"),
        ("GET", "/api/2.0/mlflow/webhooks"),
        ("POST", "/api/3.0/mlflow/datasets/create"),
        ("GET", "/api/3.0/mlflow/scorers/list"),
        ("POST", "/api/3.0/mlflow/issues"),
        ("GET", "/api/3.0/mlflow/gateway/secrets/list"),
        ("POST", "/api/3.0/mlflow/prompt-optimization/jobs"),
        ("GET", "/api/3.0/mlflow/workspaces"),
        ("POST", "/graphql"),
        ("POST", "/api/2.0/mlflow/artifacts/presigned-upload-url"),
        ("POST", "/api/2.0/mlflow-artifacts/mpu/create/a/b"),
        ("GET", "/api/2.0/mlflow-artifacts/presigned/a/b"),
    ],
)
def test_what_is_not_built_says_so(raw, method, path):
    answer = raw.call(method, path, json={})
    assert answer.status_code == 501, answer.text
    assert answer.json()["error_code"] == "NOT_IMPLEMENTED"


def test_the_view_may_be_a_word_or_a_number(client, raw, experiment):
    run = client.create_run(experiment).info.run_id
    client.delete_run(run)
    for view, count in [(None, 0), ("ACTIVE_ONLY", 0), (1, 0), ("DELETED_ONLY", 1), (2, 1), ("ALL", 1), (3, 1)]:
        body = {"experiment_ids": [experiment]} | ({} if view is None else {"run_view_type": view})
        assert len(raw.post("runs/search", body).json().get("runs", [])) == count, view


def test_runs_without_another_order_come_newest_first_then_by_id(client, raw, experiment):
    ids = [client.create_run(experiment, start_time=t).info.run_id for t in (5, 9, 5, 7)]
    found = [r["info"]["run_id"] for r in raw.post("runs/search", {"experiment_ids": [experiment]}).json()["runs"]]
    assert found == [ids[1], ids[3], *sorted([ids[0], ids[2]])]


def test_numbers_may_be_text_and_nan_is_text(client, raw, experiment):
    run = client.create_run(experiment).info.run_id
    body = {"run_id": run, "metrics": [{"key": "m", "value": "NaN", "timestamp": "5", "step": "3"}, {"key": "n", "value": 0.9099999999999999, "timestamp": 1}]}
    assert raw.post("runs/log-batch", body).json() == {}
    assert raw.post("runs/log-metric", {"run_uuid": run, "key": "o", "value": "1.5", "timestamp": "7"}).json() == {}
    metrics = {m["key"]: m for m in raw.get("runs/get", run_id=run).json()["run"]["data"]["metrics"]}
    assert metrics["m"] == {"key": "m", "value": "NaN", "timestamp": 5, "step": 3}
    assert metrics["n"]["value"] == 0.9099999999999999
    assert metrics["o"]["value"] == 1.5


def test_tokens_are_those_of_mlflow(client, raw, experiment):
    import base64

    for _ in range(3):
        client.create_run(experiment)
    first = raw.post("runs/search", {"experiment_ids": [experiment], "max_results": 2}).json()
    assert json.loads(base64.b64decode(first["next_page_token"])) == {"offset": 2}
    token = base64.b64encode(b'{"offset": 2}').decode()
    second = raw.post("runs/search", {"experiment_ids": [experiment], "max_results": 2, "page_token": token}).json()
    assert len(second["runs"]) == 1 and "next_page_token" not in second
    found = {r["info"]["run_id"] for r in first["runs"] + second["runs"]}
    assert len(found) == 3


def test_a_page_of_models_has_a_hundred_unless_said(raw, name):
    for n in range(101):
        assert raw.post("registered-models/create", {"name": f"{name}-{n:03}"}).status_code == 200
    like = f"name LIKE '{name}-%'"
    page = raw.get("registered-models/search", filter=like).json()
    assert len(page["registered_models"]) == 100
    rest = raw.get("registered-models/search", filter=like, page_token=page["next_page_token"]).json()
    assert [m["name"] for m in rest["registered_models"]] == [f"{name}-100"] and "next_page_token" not in rest


def test_a_state_that_forbids_is_500(client, raw, experiment, name):
    client.delete_experiment(experiment)
    answer = raw.post("experiments/update", {"experiment_id": experiment, "new_name": name + "-new"})
    assert (answer.status_code, answer.json()["error_code"]) == (500, "INVALID_STATE")


def test_what_is_left_out_is_not_changed(client, raw, experiment, name):
    run = client.create_run(experiment, run_name="before").info.run_id
    raw.post("runs/update", {"run_id": run, "end_time": 7})
    info = raw.post("runs/update", {"run_id": run, "status": "FINISHED"}).json()["run_info"]
    assert (info["run_name"], info["status"], info["end_time"]) == ("before", "FINISHED", 7)


def test_histories_in_bulk(client, raw, experiment):
    from mlflow.entities import Metric

    runs = sorted(client.create_run(experiment).info.run_id for _ in range(2))
    for run in runs:
        client.log_batch(run, [Metric("m", float(i), 100 - i, i) for i in range(10)])
    bulk = raw.get("metrics/get-history-bulk", api="/ajax-api/2.0/mlflow/", run_id=runs, metric_key="m", max_results=15).json()["metrics"]
    assert [(m["run_id"], m["step"]) for m in bulk] == [(runs[0], i) for i in range(9, -1, -1)] + [(runs[1], i) for i in range(9, 4, -1)]
    assert raw.get("metrics/get-history-bulk", api="/ajax-api/2.0/mlflow/", run_id=runs, metric_key="none").json() == {"metrics": []}
    assert raw.get("metrics/get-history-bulk", api="/ajax-api/2.0/mlflow/", metric_key="m").status_code == 400
    assert raw.get("metrics/get-history-bulk", api="/ajax-api/2.0/mlflow/", run_id=["x"] * 101, metric_key="m").status_code == 400
    sampled = raw.get("metrics/get-history-bulk-interval", run_ids=runs, metric_key="m", max_results=4).json()["metrics"]
    assert [m["step"] for m in sampled] == [0, 3, 6, 9] * 2
    part = raw.get("metrics/get-history-bulk-interval", run_ids=runs[:1], metric_key="m", start_step=2, end_step=4).json()["metrics"]
    assert [m["step"] for m in part] == [2, 3, 4]
    for bad in ({"max_results": 0}, {"max_results": 2501}, {"start_step": 1}, {"start_step": 3, "end_step": 1}):
        assert raw.get("metrics/get-history-bulk-interval", run_ids=runs, metric_key="m", **bad).status_code == 400
    assert raw.get("metrics/get-history", run_id=runs[0], metric_key="m", max_results=0).status_code == 400


def test_datasets_are_found_by_both_spellings_of_the_path(client, raw, experiment):
    from mlflow.entities import Dataset, DatasetInput, InputTag

    run = client.create_run(experiment).info.run_id
    client.log_inputs(run, [DatasetInput(Dataset("d", "x", "local", "{}"), [InputTag("mlflow.data.context", "train")])])
    expected = {"dataset_summaries": [{"experiment_id": experiment, "name": "d", "digest": "x", "context": "train"}]}
    for api in ("/api/2.0/mlflow/", "/ajax-api/2.0/mlflow/", "/api/2.0mlflow/"):
        assert raw.post("experiments/search-datasets", {"experiment_ids": [experiment]}, api=api).json() == expected
    assert raw.post("experiments/search-datasets", {"experiment_ids": []}).status_code == 400


def test_health_version_and_server_info(raw):
    answer = raw.call("GET", "/health")
    assert (answer.status_code, answer.text) == (200, "OK")
    from packaging.version import Version

    assert Version(raw.call("GET", "/version").text) >= Version("3.4")
    for prefix in ("/api/3.0", "/ajax-api/3.0"):
        info = raw.call("GET", prefix + "/mlflow/server-info").json()
        assert info["store_type"] == "SqlStore" and info["workspaces_enabled"] is False


def test_a_body_encoded_twice(raw, name):
    answer = requests.post(raw.url + "/api/2.0/mlflow/experiments/create", json=json.dumps({"name": name}), timeout=30)
    assert answer.status_code == 200


def test_tags_with_slashes_in_their_keys(client, raw, experiment):
    model = client.create_logged_model(experiment, name="m", tags={"a/b": "1", "c": "2"})
    client.delete_logged_model_tag(model.model_id, "a/b")
    assert client.get_logged_model(model.model_id).tags == {"c": "2"}
    client.delete_logged_model(model.model_id)
    assert raw.get(f"logged-models/{model.model_id}").status_code == 404
    assert raw.get(f"logged-models/{model.model_id}", allow_deleted="true").status_code == 200
