"""Artifacts through the proxy: up, down, listed, deleted, and never outside the store."""

import hashlib
import http.client
import os
import urllib.parse

import mlflow
import pytest
from mlflow.exceptions import MlflowException

PROXY = "/api/2.0/mlflow-artifacts/"


@pytest.fixture
def run(client, experiment):
    return client.create_run(experiment).info


def test_files_and_folders_go_up_and_come_back(client, run, tmp_path):
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "a.txt").write_text("hello")
    (tmp_path / "d" / "e" / "ü b.bin").write_bytes(bytes(range(256)))
    (tmp_path / "d" / "empty").write_bytes(b"")
    client.log_artifacts(run.run_id, str(tmp_path / "d"), "top")
    client.log_text(run.run_id, "text", "notes/n.md")
    client.log_dict(run.run_id, {"a": 1}, "notes/d.json")
    assert [(f.path, f.is_dir) for f in client.list_artifacts(run.run_id)] == [("notes", True), ("top", True)]
    assert [(f.path, f.is_dir, f.file_size or 0) for f in client.list_artifacts(run.run_id, "top")] == [
        ("top/a.txt", False, 5),
        ("top/e", True, 0),
        ("top/empty", False, 0),
    ]
    assert client.list_artifacts(run.run_id, "nowhere") == []
    (tmp_path / "back").mkdir()
    client.download_artifacts(run.run_id, "", str(tmp_path / "back"))
    assert (tmp_path / "back" / "top" / "a.txt").read_text() == "hello"
    assert (tmp_path / "back" / "top" / "e" / "ü b.bin").read_bytes() == bytes(range(256))
    assert (tmp_path / "back" / "top" / "empty").read_bytes() == b""
    assert mlflow.artifacts.load_dict(f"{run.artifact_uri}/notes/d.json") == {"a": 1}


def test_fifty_megabytes(client, run, tmp_path):
    content = os.urandom(1 << 20) * 50
    (tmp_path / "big.bin").write_bytes(content)
    client.log_artifact(run.run_id, str(tmp_path / "big.bin"))
    (listed,) = client.list_artifacts(run.run_id)
    assert listed.file_size == len(content)
    (tmp_path / "back").mkdir()
    back = client.download_artifacts(run.run_id, "big.bin", str(tmp_path / "back"))
    with open(back, "rb") as f:
        assert hashlib.file_digest(f, "sha256").hexdigest() == hashlib.sha256(content).hexdigest()


def test_a_client_that_wants_multipart_falls_back(client, run, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "true")
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", str(5 << 20))
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE", str(5 << 20))
    (tmp_path / "m.bin").write_bytes(b"x" * (6 << 20))
    client.log_artifact(run.run_id, str(tmp_path / "m.bin"))
    assert client.list_artifacts(run.run_id)[0].file_size == 6 << 20


def test_deleting(client, run, tmp_path):
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    client.log_text(run.run_id, "a", "d/a.txt")
    client.log_text(run.run_id, "b", "d/b.txt")
    client.log_text(run.run_id, "c", "dd.txt")
    repo = get_artifact_repository(run.artifact_uri, client.tracking_uri)
    repo.delete_artifacts("d/a.txt")
    assert [f.path for f in client.list_artifacts(run.run_id, "d")] == ["d/b.txt"]
    repo.delete_artifacts("d")
    assert [f.path for f in client.list_artifacts(run.run_id)] == ["dd.txt"]


def test_headers_of_a_download(raw, client, run):
    client.log_text(run.run_id, "<script>", "page.html")
    client.log_text(run.run_id, "k: v", "MLmodel")
    client.log_text(run.run_id, "x", "grün.txt")
    for path, kind, disposition in [
        ("page.html", "text/html", "attachment; filename=page.html"),
        ("MLmodel", "text/plain; charset=utf-8", "attachment; filename=MLmodel"),
        ("grün.txt", "text/plain; charset=utf-8", "attachment; filename=grn.txt; filename*=UTF-8''gr%C3%BCn.txt"),
    ]:
        for answer in (
            raw.get("artifacts/" + run.artifact_uri.removeprefix("mlflow-artifacts:/") + "/" + path, api=PROXY),
            raw.call("GET", "/get-artifact", params={"run_id": run.run_id, "path": path}),
            raw.call("GET", "/get-artifact", params={"run_uuid": run.run_id, "path": path}),
        ):
            assert answer.status_code == 200
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Content-Type"] == kind
            assert answer.headers["Content-Disposition"] == disposition
            assert int(answer.headers["Content-Length"]) == len(answer.content)


def test_parts_of_a_file(raw, client, run, tmp_path):
    content = os.urandom(300_000)
    (tmp_path / "b.bin").write_bytes(content)
    client.log_artifact(run.run_id, str(tmp_path / "b.bin"))
    through_proxy = (PROXY + "artifacts/" + run.artifact_uri.removeprefix("mlflow-artifacts:/") + "/b.bin", {})
    by_run = ("/get-artifact", {"run_id": run.run_id, "path": "b.bin"})
    for path, params in (through_proxy, by_run):
        get = lambda method="GET", **headers: raw.call(method, path, params=params, headers=headers)  # noqa: E731, B023
        whole = get()
        etag = whole.headers["ETag"]
        assert (whole.status_code, whole.headers["Accept-Ranges"], whole.content) == (200, "bytes", content)
        for asked, start, end in [("0-0", 0, 1), ("1000-1999", 1000, 2000), ("299990-", 299_990, 300_000), ("-7", 299_993, 300_000), ("299990-999999", 299_990, 300_000)]:
            part = get(Range=f"bytes={asked}")
            assert (part.status_code, part.content) == (206, content[start:end]), asked
            assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/300000"
            assert int(part.headers["Content-Length"]) == end - start
            assert (part.headers["ETag"], part.headers["X-Content-Type-Options"]) == (etag, "nosniff")
        outside = get(Range="bytes=300000-")
        assert (outside.status_code, outside.headers["Content-Range"]) == (416, "bytes */300000")
        assert outside.json()["error_code"] == "INVALID_PARAMETER_VALUE"
        assert get(Range="bytes=0-1,5-6").content == content
        head = get("HEAD")
        assert (head.status_code, head.headers["Content-Length"], head.headers["ETag"]) == (200, "300000", etag)
        known = get(**{"If-None-Match": etag})
        assert (known.status_code, known.content) == (304, b"")
        assert get(**{"If-Range": etag, "Range": "bytes=0-1"}).status_code == 206
    # A download that broke off does not go on in another file.
    (tmp_path / "b.bin").write_bytes(content[::-1])
    client.log_artifact(run.run_id, str(tmp_path / "b.bin"))
    other = get(**{"If-Range": etag, "Range": "bytes=0-1"})
    assert (other.status_code, other.content) == (200, content[::-1])
    assert other.headers["ETag"] != etag and get(**{"If-None-Match": etag}).status_code == 200


OUTSIDE = [
    "../x",
    "a/../../x",
    "%2e%2e/x",
    "%252e%252e/x",
    "a/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "..%2f..%2fx",
    "..%5cx",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "C:%5cx",
    "a%00b",
    "file:/etc/passwd",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_paths_do_not_leave_the_store(raw, run, path):
    host = urllib.parse.urlparse(raw.url)
    for method in ("GET", "PUT", "DELETE"):
        # As written: the requests library would tidy the path up first.
        connection = http.client.HTTPConnection(host.hostname, host.port, timeout=30)
        connection.request(method, PROXY + "artifacts/" + path, body=b"x" if method == "PUT" else None)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status in (400, 404), (method, path, answer.status, body)
        assert b"root:" not in body
        connection.close()
    plain = urllib.parse.unquote(path)
    for answer in (
        raw.get("artifacts/list", run_id=run.run_id, path=plain),
        raw.call("GET", "/get-artifact", params={"run_id": run.run_id, "path": plain}),
        raw.call("POST", "/ajax-api/2.0/mlflow/upload-artifact", params={"run_uuid": run.run_id, "path": plain}, data=b"x"),
        raw.get("artifacts", api=PROXY, path=plain),
    ):
        assert answer.status_code == 400, (answer.url, answer.text)
        assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"


def test_the_page_s_upload(raw, client, run):
    put = lambda data, **params: raw.call("POST", "/ajax-api/2.0/mlflow/upload-artifact", params=params, data=data)  # noqa: E731
    assert put(b"hello", run_uuid=run.run_id, path="up/a.txt").status_code == 200
    assert raw.call("GET", "/get-artifact", params={"run_id": run.run_id, "path": "up/a.txt"}).content == b"hello"
    assert "Request must specify run_uuid." in put(b"x", path="a").text
    assert "Request must specify path." in put(b"x", run_uuid=run.run_id).text
    assert "Request must specify data." in put(b"", run_uuid=run.run_id, path="a").text
    assert "Max size is 10MB" in put(b"x" * (10 << 20) + b"x", run_uuid=run.run_id, path="a").text


def test_files_of_logged_models_and_versions(raw, client, experiment, name):
    model = client.create_logged_model(experiment, name="m")
    root = model.artifact_location.removeprefix("mlflow-artifacts:/")
    assert root == f"{experiment}/models/{model.model_id}/artifacts"
    assert raw.call("PUT", PROXY + f"artifacts/{root}/sub/f.txt", data=b"hi").json() == {}
    listed = raw.get(f"logged-models/{model.model_id}/artifacts/directories").json()
    assert listed == {"root_uri": model.artifact_location, "files": [{"path": "sub", "is_dir": True}]}
    listed = raw.get(f"logged-models/{model.model_id}/artifacts/directories", artifact_directory_path="sub").json()
    assert listed["files"] == [{"path": "sub/f.txt", "is_dir": False, "file_size": 2}]
    got = raw.get(f"logged-models/{model.model_id}/artifacts/files", api="/ajax-api/2.0/mlflow/", artifact_file_path="sub/f.txt")
    assert got.content == b"hi"
    client.create_registered_model(name)
    client.create_model_version(name, f"models:/{model.model_id}", model_id=model.model_id)
    got = raw.call("GET", "/model-versions/get-artifact", params={"name": name, "version": "1", "path": "sub/f.txt"})
    assert got.content == b"hi"
    # The proxy lists names, the run's route paths.
    listed = raw.get("artifacts", api=PROXY, path=f"{root}/sub").json()
    assert listed == {"files": [{"path": "f.txt", "is_dir": False, "file_size": 2}]}


def test_artifacts_elsewhere_are_not_pretended(raw, client, name):
    exp = client.create_experiment(name, artifact_location="s3://bucket/somewhere")
    run = client.create_run(exp).info
    assert run.artifact_uri == f"s3://bucket/somewhere/{run.run_id}/artifacts"
    answer = raw.get("artifacts/list", run_id=run.run_id)
    assert answer.status_code == 501 and "s3://bucket/somewhere" in answer.json()["message"]


def test_a_missing_file_is_404(raw, client, run):
    for answer in (
        raw.get(f"artifacts/{run.experiment_id}/{run.run_id}/artifacts/none", api=PROXY),
        raw.call("GET", "/get-artifact", params={"run_id": run.run_id, "path": "none"}),
        raw.call("GET", "/get-artifact", params={"run_id": "0" * 32, "path": "none"}),
    ):
        assert answer.status_code == 404
        assert answer.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    with pytest.raises(MlflowException):
        client.download_artifacts(run.run_id, "none")
