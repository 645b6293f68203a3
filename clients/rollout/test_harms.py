"""What a rollout catches by its statistics, with real models and real requests: a slow candidate by its 99th percentile,
traffic that does not have the parts that were declared, and labels that come after a promotion and speak against it."""

import itertools
import json
import random
import time

import mlflow
import numpy
import requests
from mlflow.models import infer_signature
from test_rollouts import PATIENCE, Traffic, begin, decisions, declared, deployed, models, until, view

__all__ = ["models"]


def test_a_slow_candidate_is_rolled_back_by_its_99th_percentile(server, models):
    # Classes of a function travel with the model, those of a module by its name.
    class Slow(mlflow.pyfunc.PythonModel):
        def __init__(self, seconds):
            self.seconds = seconds

        def predict(self, context, model_input, params=None):
            import time

            time.sleep(self.seconds)
            return model_input.sum(axis=1)

    rows = numpy.zeros((5, 3), dtype=numpy.float32)
    for seconds in (0.0, 0.05):
        with mlflow.start_run():
            mlflow.pyfunc.log_model(name="model", python_model=Slow(seconds), signature=infer_signature(rows, rows.sum(axis=1)), registered_model_name="slow", pip_requirements=["numpy"])
    server.deploy("slow", "models:/slow/1", engine={"python": {"env": "shared"}})
    metrics = {"guardrails": [{"name": "p99", "kind": "quantile", "source": "latency", "q": 0.99, "margin": 2.0}]}
    document = json.loads(declared("slow", 2, [{"canary": {"weight": 10, "minExposures": 100000, "minDuration": "1h"}}], metrics=metrics))
    begin(server, json.dumps(document | {"candidates": [{"name": "v2", "model": "models:/slow/2"}]}))
    until(server, "slow-v2", "step")
    body = {"inputs": [{"name": "input", "shape": [1, 3], "datatype": "FP32", "data": [7, 0, 0]}]}
    session, end, met, users = requests.Session(), time.monotonic() + PATIENCE, 0, itertools.count()
    while view(server, "slow-v2")["phase"] != "rolledBack":
        assert time.monotonic() < end, view(server, "slow-v2")
        for _ in range(50):
            answer = session.post(f"{server.url}/v2/models/slow/infer", json=body, headers={"x-user-id": f"user-{next(users)}"})
            assert answer.ok, answer.text
            met += answer.headers["mainspring-variant"] == "v2"
    told = next(d for d in decisions(server, "slow-v2") if d["kind"] == "rolledBack")
    assert told["because"] == ["p99"], told
    asked = next(users)
    # A tenth of them, until the statistics were sure.
    assert met < 0.2 * asked, (met, asked)


def test_traffic_without_the_parts_that_were_declared_is_not_decided_on(server, models):
    deployed(server, "biased")
    metrics = {"success": [{"name": "correct", "kind": "mean", "source": "label:correct"}]}
    steps = [{"abTest": {"weight": 50, "minExposures": 200, "minDuration": "1s", "maxDuration": "1h"}}]
    begin(server, declared("biased", 2, steps, metrics=metrics))
    until(server, "biased-v2", "step")
    x, y = models
    session, end, users, choose = requests.Session(), time.monotonic() + PATIENCE, itertools.count(), random.Random(7)
    said, held = [], None
    while not held or held["cause"] != "untrusted":
        assert time.monotonic() < end, view(server, "biased-v2")
        for _ in range(100):
            user, row = f"user-{next(users)}", choose.randrange(len(y))
            # Half of those who would have got stable never ask, as where one variant's page breaks their client.
            told = session.post(f"{server.url}/ofrep/v1/evaluate/flags/biased", json={"context": {"targetingKey": user}}).json()
            if told["variant"] == "stable" and choose.random() < 0.5:
                continue
            body = {"inputs": [{"name": "X", "shape": [1, 30], "datatype": "FP32", "data": x[row].tolist()}]}
            answer = session.post(f"{server.url}/v2/models/biased/infer", json=body, headers={"x-user-id": user})
            label = next(o for o in answer.json()["outputs"] if o["name"] == "label")["data"][0]
            said.append({"predictionId": answer.headers["mainspring-prediction-id"], "name": "correct", "value": bool(label == y[row])})
        assert session.post(f"{server.url}/api/v1/feedback", json={"feedback": said}).ok
        said = []
        held = view(server, "biased-v2").get("hold")
    # The candidate is far better, and nothing is promoted on such traffic; nor taken back.
    time.sleep(3)
    now = view(server, "biased-v2")
    assert now["phase"] == "step" and now["hold"]["cause"] == "untrusted", now
    assert not {"promoted", "rolledBack"} & {d["kind"] for d in decisions(server, "biased-v2")}
    server.cli("rollout", "abort", "biased-v2")


class Silent(Traffic):
    """Users of whom it is known later whether the answer was right."""

    def __init__(self, *args):
        super().__init__(*args)
        self.known = []

    def run(self, seed):
        choose, session = random.Random(seed), requests.Session()
        while not self.stop.is_set():
            row, user = choose.randrange(len(self.rows[1])), f"user-{choose.randrange(4000)}"
            answer = self.ask(session, row, user)
            label = next(o for o in answer.json()["outputs"] if o["name"] == "label")["data"][0]
            self.known.append({"predictionId": answer.headers["mainspring-prediction-id"], "name": "correct", "value": bool(label == self.rows[1][row])})

    def tell(self):
        for at in range(0, len(self.known), 500):
            assert requests.post(f"{self.server.url}/api/v1/feedback", json={"feedback": self.known[at:at + 500]}).ok


def test_labels_that_come_after_a_promotion_take_it_back(server, models):
    deployed(server, "late")
    # Version 3 says "benign" far more rarely, which is what was wished for, and is wrong nearly always, which shows later.
    metrics = {
        "guardrails": [{"name": "correct", "kind": "mean", "source": "label:correct", "nonInferiority": 0.05, "delay": "1h"}],
        "success": [{"name": "benign", "kind": "mean", "source": "output:label", "direction": "down"}],
    }
    steps = [{"abTest": {"weight": 50, "minExposures": 200, "minDuration": "2s", "maxDuration": "1h"}}]
    with Silent(server, "late", models) as traffic:
        begin(server, declared("late", 3, steps, metrics=metrics, rollback={"window": "6h", "keepWarm": "0s"}))
        until(server, "late-v3", "watching", "promoting")
        until(server, "late-v3", "watching")
        assert mlflow.MlflowClient().get_model_version_by_alias("lump", "late").version == "3"
    # The truth about what was answered while both had a part of the traffic.
    traffic.tell()
    until(server, "late-v3", "rolledBack")
    told = decisions(server, "late-v3")
    kinds = [d["kind"] for d in told]
    assert kinds.index("promoted") < kinds.index("rolledBack"), kinds
    assert next(d for d in told if d["kind"] == "rolledBack")["because"] == ["correct"]
    assert mlflow.MlflowClient().get_model_version_by_alias("lump", "late").version == "1"
