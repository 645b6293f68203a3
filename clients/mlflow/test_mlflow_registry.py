"""Registered models, versions, aliases and stages through the real client."""

import warnings

import pytest
from mlflow.exceptions import MlflowException

warnings.simplefilter("ignore", FutureWarning)


def code(error):
    return error.value.error_code


@pytest.fixture
def model(client, name):
    client.create_registered_model(name, tags={"a": "1"}, description="what it does")
    return name


def versions(client, name, n):
    return [client.create_model_version(name, f"s3://bucket/{i}").version for i in range(n)]


def test_life_of_a_registered_model(client, model):
    found = client.get_registered_model(model)
    assert (found.name, found.tags, found.description) == (model, {"a": "1"}, "what it does")
    client.update_registered_model(model, description="more")
    client.set_registered_model_tag(model, "b", "2")
    client.delete_registered_model_tag(model, "a")
    client.delete_registered_model_tag(model, "never there")
    found = client.get_registered_model(model)
    assert (found.tags, found.description) == ({"b": "2"}, "more")
    versions(client, model, 2)
    client.set_registered_model_alias(model, "best", "2")
    client.set_model_version_tag(model, "2", "k", "v")
    client.rename_registered_model(model, model + "-new")
    version = client.get_model_version_by_alias(model + "-new", "best")
    assert (version.name, int(version.version), version.tags) == (model + "-new", 2, {"k": "v"})
    with pytest.raises(MlflowException) as error:
        client.get_registered_model(model)
    assert code(error) == "RESOURCE_DOES_NOT_EXIST"
    client.delete_registered_model(model + "-new")
    with pytest.raises(MlflowException) as error:
        client.get_model_version(model + "-new", "2")
    assert code(error) == "RESOURCE_DOES_NOT_EXIST"


def test_names(client, model):
    for bad in ("", "a/b", "a:b", "..", "."):
        with pytest.raises(MlflowException) as error:
            client.create_registered_model(bad)
        assert code(error) == "INVALID_PARAMETER_VALUE"
    with pytest.raises(MlflowException) as error:
        client.create_registered_model(model)
    assert code(error) == "RESOURCE_ALREADY_EXISTS"
    client.create_registered_model(model + " with space")
    with pytest.raises(MlflowException) as error:
        client.rename_registered_model(model, model + " with space")
    assert code(error) == "RESOURCE_ALREADY_EXISTS"


def test_life_of_a_version(client, model):
    assert [int(v) for v in versions(client, model, 3)] == [1, 2, 3]
    client.update_model_version(model, "2", description="second")
    client.set_model_version_tag(model, "2", "k", "v")
    found = client.get_model_version(model, "2")
    assert (found.description, found.tags, found.status, found.current_stage) == ("second", {"k": "v"}, "READY", "None")
    client.delete_model_version_tag(model, "2", "k")
    assert client.get_model_version(model, "2").tags == {}
    assert client.get_model_version_download_uri(model, "2") == "s3://bucket/1"
    client.set_registered_model_alias(model, "x", "3")
    client.delete_model_version(model, "3")
    assert client.get_registered_model(model).aliases == {}
    # The number is not given again.
    assert int(client.create_model_version(model, "s3://bucket/z").version) == 4
    for call in (client.get_model_version, client.delete_model_version):
        with pytest.raises(MlflowException) as error:
            call(model, "3")
        assert code(error) == "RESOURCE_DOES_NOT_EXIST"
    with pytest.raises(MlflowException) as error:
        client.get_model_version(model, "one")
    assert code(error) == "INVALID_PARAMETER_VALUE"


def test_aliases(client, model):
    versions(client, model, 2)
    client.set_registered_model_alias(model, "champion", "1")
    client.set_registered_model_alias(model, "challenger", "1")
    client.set_registered_model_alias(model, "champion", "2")
    assert {k: int(v) for k, v in client.get_registered_model(model).aliases.items()} == {"champion": 2, "challenger": 1}
    assert client.get_model_version(model, "2").aliases == ["champion"]
    assert int(client.get_model_version_by_alias(model, "latest").version) == 2
    client.delete_registered_model_alias(model, "champion")
    client.delete_registered_model_alias(model, "champion")
    with pytest.raises(MlflowException) as error:
        client.get_model_version_by_alias(model, "champion")
    assert code(error) == "INVALID_PARAMETER_VALUE"
    for bad in ("latest", "LATEST", "v1", "V12", "a b", "a/b", "x" * 256):
        with pytest.raises(MlflowException) as error:
            client.set_registered_model_alias(model, bad, "1")
        assert code(error) == "INVALID_PARAMETER_VALUE", bad
    with pytest.raises(MlflowException) as error:
        client.set_registered_model_alias(model, "champion", "9")
    assert code(error) == "RESOURCE_DOES_NOT_EXIST"


def test_stages(client, model):
    versions(client, model, 3)
    client.transition_model_version_stage(model, "1", "production")
    client.transition_model_version_stage(model, "2", "Production", archive_existing_versions=True)
    client.transition_model_version_stage(model, "3", "Staging")
    assert [client.get_model_version(model, str(v)).current_stage for v in (1, 2, 3)] == ["Archived", "Production", "Staging"]
    latest = {v.current_stage: int(v.version) for v in client.get_latest_versions(model)}
    assert latest == {"Archived": 1, "Production": 2, "Staging": 3}
    assert [int(v.version) for v in client.get_latest_versions(model, ["production"])] == [2]
    for stage, archive in (("nowhere", False), ("Archived", True)):
        with pytest.raises(MlflowException):
            client.transition_model_version_stage(model, "1", stage, archive_existing_versions=archive)


def test_pages(client, name):
    for i in range(5):
        client.create_registered_model(f"{name}-{i}")
    seen, token = [], None
    while True:
        page = client.search_registered_models(f"name LIKE '{name}%'", max_results=2, page_token=token)
        seen += [m.name for m in page]
        token = page.token
        if not token:
            break
    assert seen == [f"{name}-{i}" for i in range(5)]


def test_where_a_version_may_come_from(client, raw, model, experiment):
    run = client.create_run(experiment).info
    other = client.create_run(experiment).info
    logged = client.create_logged_model(experiment, name="m", source_run_id=run.run_id)

    def post(source, **more):
        return raw.post("model-versions/create", {"name": model, "source": source, **more})

    root = run.artifact_uri
    good = [
        (f"{root}/model", {"run_id": run.run_id}),
        (f"runs:/{run.run_id}/model", {"run_id": run.run_id}),
        (f"models:/{logged.model_id}", {"model_id": logged.model_id}),
        (f"{logged.artifact_location}", {"model_id": logged.model_id}),
        ("s3://bucket/model", {}),
    ]
    for source, more in good:
        answer = post(source, **more)
        assert answer.status_code == 200, (source, answer.text)
    assert client.get_model_version(model, "3").run_id == run.run_id
    bad = [
        ("/etc/passwd", {}),
        ("/etc/passwd", {"run_id": run.run_id}),
        ("file:///etc/passwd", {"run_id": run.run_id}),
        ("FILE:/etc", {"run_id": run.run_id}),
        ("relative/path", {"run_id": run.run_id}),
        ("C:\\models", {"run_id": run.run_id}),
        (f"{root}/../../x", {"run_id": run.run_id}),
        (f"{root}/%2e%2e/%2e%2e/x", {"run_id": run.run_id}),
        (f"{root}/%252e%252e/x", {"run_id": run.run_id}),
        ("s3://bucket/../x", {}),
        (f"{root}/model", {}),
        (f"{root}/model", {"run_id": other.run_id}),
        (f"{root}/model", {"run_id": "0" * 32}),
        (f"{root}/model", {"model_id": logged.model_id}),
        (f"{root}-evil/model", {"run_id": run.run_id}),
        (f"http://x/api/2.0/mlflow-artifacts/artifacts/{experiment}", {"run_id": run.run_id}),
        (f"runs:/{other.run_id}/model", {"run_id": run.run_id}),
        (f"runs:/{run.run_id}/model", {}),
        (f"models:/{logged.model_id}", {}),
        (f"models:/{logged.model_id}", {"model_id": "m-other"}),
        ("models:/", {"model_id": logged.model_id}),
    ]
    for source, more in bad:
        answer = post(source, **more)
        assert answer.status_code == 400, (source, more, answer.text)
        assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
        assert "Invalid model version source" in answer.json()["message"]
    assert post("models:/no-such-model/1").status_code == 404
    assert len(client.search_model_versions(f"name = '{model}'")) == len(good)


def test_prompts_are_kept_apart(client, name):
    client.register_prompt(name, "Say {{what}}", commit_message="first")
    assert client.get_prompt_version(name, 1).template == "Say {{what}}"
    assert name not in [m.name for m in client.search_registered_models(max_results=1000)]
    assert [p.name for p in client.search_prompts(f"name = '{name}'")] == [name]
    with pytest.raises(MlflowException) as error:
        client.create_registered_model(name)
    assert code(error) == "RESOURCE_ALREADY_EXISTS"
