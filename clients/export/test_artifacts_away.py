"""A bucket that does not answer: the server goes on, and says so where people and Prometheus look."""

import subprocess
import sys
import time

import mlflow
import pytest
import requests
from mainspring_server import ROOT, Mainspring
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(ROOT / "tools"))
import services

# The store is asked twice a minute, and its answer may take ten seconds.
PATIENCE = 120


def found(server):
    """Whether the server is ready, what it says of the store, and its metric of it."""
    answer = requests.get(f"{server.url}/readyz")
    check = next(c for c in answer.json()["checks"] if c["name"] == "artifacts")
    line = next(line for line in requests.get(f"{server.url}/metrics").text.splitlines() if line.startswith('mainspring_check{check="artifacts"}'))
    return answer.status_code, check["ok"], check.get("message", ""), float(line.rpartition(" ")[2])


def until(server, ok):
    end = time.monotonic() + PATIENCE
    while (now := found(server))[1] != ok:
        assert time.monotonic() < end, now
        time.sleep(0.5)
    return now


@pytest.fixture
def bucket(tmp_path):
    """The server of a bucket, which a test may stop and start again on the same port."""
    port = services.free_port()
    started = []

    def start():
        log = (tmp_path / "moto.log").open("ab")
        process = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
        started.append(process)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                assert requests.put(f"http://127.0.0.1:{port}/models", timeout=5).ok
                return process
            except requests.ConnectionError:
                assert process.poll() is None and time.monotonic() < end
                time.sleep(0.2)

    yield f"http://127.0.0.1:{port}", start
    for process in started:
        process.kill()
        process.wait()


def test_a_bucket_that_is_away_is_said_and_ends_no_prediction(bucket):
    endpoint, start = bucket
    moto = start()
    env = {"AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    server = Mainspring("--artifacts", "s3://models/house", env=env)
    try:
        assert found(server) == (200, True, "", 1.0)
        x, y = load_iris(return_X_y=True)
        mlflow.set_tracking_uri(server.url)
        mlflow.set_experiment("away")
        with mlflow.start_run():
            model = LogisticRegression(max_iter=500).fit(x, y)
            mlflow.sklearn.log_model(model, name="model", registered_model_name="iris", pip_requirements=["scikit-learn"], input_example=x[:2])
        server.deploy("iris", "models:/iris/1", engine={"python": {"env": "shared"}})
        ask = lambda: requests.post(f"{server.url}/deployments/iris/invocations", json={"inputs": x[:2].tolist()})
        assert ask().json()["predictions"] == [0, 0]
        moto.kill()
        moto.wait()
        status, _, why, gauge = until(server, ok=False)
        # A balancer that took it out of service would end what still works.
        assert (status, gauge) == (200, 0.0) and why == "the artifact store does not answer; the server's log says why", why
        assert ask().json()["predictions"] == [0, 0]
        start()
        assert until(server, ok=True) == (200, True, "", 1.0)
        said = server.log.read_text()
        assert "the artifact store does not answer; deployed models go on" in said and "the artifact store answers again" in said
    finally:
        server.stop()
