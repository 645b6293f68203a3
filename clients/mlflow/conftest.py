"""The server under test, and MLflow's own SQL store beside it as the oracle.

MAINSPRING_URL names a running server; without it, one is started (see clients/conftest.py).
"""

import os
import uuid

import mlflow
import pytest
import requests
from mlflow import MlflowClient

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"


@pytest.fixture(scope="session")
def url(request):
    given = os.environ.get("MAINSPRING_URL")
    return given or request.getfixturevalue("server").url


@pytest.fixture
def client(url):
    """The real client; fluent calls go to the same server."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(url)
    yield MlflowClient(url, url)
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="session")
def oracle(tmp_path_factory):
    """MLflow's own store on SQLite, in this process."""
    folder = tmp_path_factory.mktemp("oracle")
    uri = f"sqlite:///{folder}/mlflow.db"
    return MlflowClient(uri, uri)


@pytest.fixture
def name():
    """A name that nobody else uses."""
    return f"t-{uuid.uuid4().hex[:12]}"


class Raw:
    """HTTP without MLflow's client in between."""

    def __init__(self, url):
        self.url = url

    def call(self, method, path, **more):
        return requests.request(method, self.url + path, timeout=60, **more)

    def post(self, path, body=None, api="/api/2.0/mlflow/"):
        return self.call("POST", api + path, json={} if body is None else body)

    def get(self, path, /, api="/api/2.0/mlflow/", **params):
        return self.call("GET", api + path, params=params)


@pytest.fixture
def raw(url):
    return Raw(url)


@pytest.fixture
def experiment(client, name):
    return client.create_experiment(name)
