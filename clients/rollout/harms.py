"""What a rollout has to catch by its statistics: of each harm the models, the declaration, the users who meet it, and how it
ends. The users ask one server or several; whoever asks one that is gone asks the next, as behind a load balancer."""

import collections
import contextlib
import itertools
import json
import random
import threading
import time

import mlflow
import numpy
import onnx
import requests
from mlflow.models import infer_signature
from onnx import helper
from test_rollouts import PATIENCE, Traffic, begin, decisions, declared, deployed, until, view

# Nothing but a verdict ends it.
ENDLESS = {"minExposures": 100000, "minDuration": "1h"}


def ready(servers, deployment):
    """Waits until all of them answer."""
    end = time.monotonic() + PATIENCE
    while not all(requests.get(f"{server.url}/v2/models/{deployment}/ready").ok for server in servers):
        assert time.monotonic() < end
        time.sleep(0.1)


class Client:
    """Asks the first of some servers, and the next one once that is gone."""

    def __init__(self, servers):
        self.servers, self.session = collections.deque(servers), requests.Session()

    def post(self, path, body, **headers):
        for _ in range(len(self.servers)):
            try:
                return self.session.post(f"{self.servers[0].url}{path}", json=body, headers=headers)
            except requests.RequestException:
                self.servers.rotate(-1)
        raise AssertionError(f"nobody answers {path}")


class Users(Traffic):
    """Always others, who ask `servers`; after the first `few` the next ones wait until there may be `more`. Each thread rests
    for `pace` seconds before each of them."""

    # The deployment, and the candidate's version.
    name = version = None

    def __init__(self, servers, rows=None, few=None, pace=0):
        super().__init__(servers[0], self.name, rows)
        self.servers, self.few, self.pace, self.numbers = list(servers), few, pace, itertools.count()
        self.more, self.waiting = threading.Event(), 0

    @property
    def rollout(self):
        return f"{self.name}-v{self.version}"

    @property
    def waits(self):
        """Whether all of them wait until there may be more."""
        return self.waiting == len(self.threads)

    def __exit__(self, *_):
        self.stop.set()
        self.more.set()
        super().__exit__()

    def begin(self):
        """The rollout, once all servers have what was deployed."""
        ready(self.servers, self.name)
        begin(self.server, self.document())
        until(self.server, self.rollout, "step")

    def deploy(self):
        deployed(self.server, self.name)

    def run(self, seed):
        client, choose = Client(self.servers[seed % len(self.servers):] + self.servers[:seed % len(self.servers)]), random.Random(seed)
        for number in self.numbers:
            if self.few is not None and number >= self.few and not self.more.is_set():
                self.waiting += 1
                self.more.wait()
            if self.stop.wait(self.pace):
                return
            self.meet(client, f"{self.name}-{number}", choose)

    def infer(self, client, user, inputs):
        answer = client.post(f"/v2/models/{self.name}/infer", {"inputs": [inputs]}, **{"x-user-id": user})
        self.failed += not answer.ok
        self.seen.setdefault(user, set()).add(answer.headers.get("mainspring-variant"))
        return answer

    def judged(self, client, user, choose):
        """An answer about a lump, and the label that says whether it was right."""
        x, y = self.rows
        row = choose.randrange(len(y))
        answer = self.infer(client, user, {"name": "X", "shape": [1, 30], "datatype": "FP32", "data": x[row].tolist()})
        label = next(o for o in answer.json()["outputs"] if o["name"] == "label")["data"][0]
        return {"predictionId": answer.headers["mainspring-prediction-id"], "name": "correct", "value": bool(label == y[row])}

    def tell(self, client, labels):
        for at in range(0, len(labels), 500):
            self.failed += not client.post("/api/v1/feedback", {"feedback": labels[at:at + 500]}).ok

    def rolled_back(self, server, because):
        """The decision that took it back, all decisions before it, and how many of the users had met the candidate."""
        until(server, self.rollout, "rolledBack")
        told = decisions(server, self.rollout)
        last = next(d for d in told if d["kind"] == "rolledBack")
        assert last["because"] == [because], last
        assert self.failed == 0
        return last, [d["kind"] for d in told], self.met()

    def met(self):
        """How many users have met the candidate so far."""
        return sum(f"v{self.version}" in variants for variants in list(self.seen.values()))


class Better(Users):
    """The candidate is right where stable guesses: no harm, and what a rollout is for."""

    name, version = "improved", 2

    def document(self):
        metrics = {"success": [{"name": "correct", "kind": "mean", "source": "label:correct", "minEffect": 0.05}]}
        steps = [{"abTest": {"weight": 50, "minExposures": 100, "minDuration": "1s", "maxDuration": "1h"}}]
        return declared(self.name, self.version, steps, metrics=metrics, rollback={"keepWarm": "0s"})

    def meet(self, client, user, choose):
        self.tell(client, [self.judged(client, user, choose)])

    def verdict(self, server):
        """The decision that shipped it."""
        until(server, self.rollout, "succeeded")
        promoted = next(d for d in decisions(server, self.rollout) if d["kind"] == "promoted")
        correct = next(m for m in promoted["metrics"] if m["name"] == "correct")
        assert correct["finding"] == "better" and correct["effect"]["low"] > 0, correct
        assert mlflow.MlflowClient(server.url).get_model_version_by_alias("lump", self.name).version == "2"
        assert self.failed == 0
        return promoted


class Worse(Users):
    """The candidate is wrong nearly always, and it is known at once."""

    name, version = "wrong", 3

    def document(self):
        metrics = {"guardrails": [{"name": "correct", "kind": "mean", "source": "label:correct", "nonInferiority": 0.02}]}
        canary = lambda weight, units: {"canary": {"weight": weight, "minExposures": units, "minDuration": "1s"}}
        steps = [canary(10, 30), canary(20, 500), {"abTest": {"weight": 50, "maxDuration": "1h"}}]
        return declared(self.name, self.version, steps, metrics=metrics)

    def meet(self, client, user, choose):
        self.tell(client, [self.judged(client, user, choose)])

    def verdict(self, server):
        last, kinds, met = self.rolled_back(server, "correct")
        assert kinds.count("advanced") <= 2, "it was out within its first two steps"
        assert met < 0.25 * len(self.seen), (met, len(self.seen))
        return last


class Slow(Users):
    """The candidate takes its time, and answers the same."""

    name, version = "slow", 2

    def deploy(self):
        # Classes of a function travel with the model, those of a module by its name.
        class Sum(mlflow.pyfunc.PythonModel):
            def __init__(self, seconds):
                self.seconds = seconds

            def predict(self, context, model_input, params=None):
                import time

                time.sleep(self.seconds)
                return model_input.sum(axis=1)

        rows = numpy.zeros((5, 3), dtype=numpy.float32)
        # So long that on however busy a machine stable is quicker.
        for seconds in (0.0, 0.3):
            with mlflow.start_run():
                mlflow.pyfunc.log_model(name="model", python_model=Sum(seconds), signature=infer_signature(rows, rows.sum(axis=1)), registered_model_name=self.name, pip_requirements=["numpy"])
        self.server.deploy(self.name, f"models:/{self.name}/1", engine={"python": {"env": "shared"}})

    def document(self):
        metrics = {"guardrails": [{"name": "p99", "kind": "quantile", "source": "latency", "q": 0.99, "margin": 2.0}]}
        document = json.loads(declared(self.name, self.version, [{"canary": {"weight": 10, **ENDLESS}}], metrics=metrics))
        return json.dumps(document | {"candidates": [{"name": "v2", "model": f"models:/{self.name}/2"}]})

    def meet(self, client, user, choose):
        self.infer(client, user, {"name": "input", "shape": [1, 3], "datatype": "FP32", "data": [7, 0, 0]})

    def verdict(self, server):
        last, _, met = self.rolled_back(server, "p99")
        # A tenth of them, until the statistics were sure.
        assert met < 0.2 * len(self.seen), (met, len(self.seen))
        return last


class Biased(Users):
    """The candidate is far better, but half of those who would have got stable never ask, as where one variant's page breaks
    their client."""

    name, version = "biased", 2

    def document(self):
        metrics = {"success": [{"name": "correct", "kind": "mean", "source": "label:correct"}]}
        # So many that chance hides a third of stable's users once in millions of times.
        steps = [{"abTest": {"weight": 50, "minExposures": 600, "minDuration": "1s", "maxDuration": "1h"}}]
        return declared(self.name, self.version, steps, metrics=metrics)

    def meet(self, client, user, choose):
        told = client.post(f"/ofrep/v1/evaluate/flags/{self.name}", {"context": {"targetingKey": user}}).json()
        if told["variant"] == "stable" and choose.random() < 0.5:
            return
        self.tell(client, [self.judged(client, user, choose)])

    def verdict(self, server):
        end = time.monotonic() + PATIENCE
        while (view(server, self.rollout).get("hold") or {}).get("cause") != "untrusted":
            assert time.monotonic() < end, view(server, self.rollout)
            time.sleep(0.2)
        # Nothing is promoted on such traffic; nor taken back.
        time.sleep(3)
        now, told = view(server, self.rollout), decisions(server, self.rollout)
        assert now["phase"] == "step" and now["hold"]["cause"] == "untrusted", now
        assert not {"promoted", "rolledBack"} & {d["kind"] for d in told}
        assert self.failed == 0
        server.cli("rollout", "abort", self.rollout)
        return next(d for d in reversed(told) if d["kind"] == "held")


class Late(Users):
    """The candidate says "benign" far more rarely, which is what was wished for, and is wrong nearly always, which shows once
    it is promoted."""

    name, version = "late", 3

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.known = []

    def document(self):
        metrics = {
            "guardrails": [{"name": "correct", "kind": "mean", "source": "label:correct", "nonInferiority": 0.05, "delay": "1h"}],
            "success": [{"name": "benign", "kind": "mean", "source": "output:label", "direction": "down"}],
        }
        steps = [{"abTest": {"weight": 50, "minExposures": 200, "minDuration": "2s", "maxDuration": "1h"}}]
        return declared(self.name, self.version, steps, metrics=metrics, rollback={"window": "6h", "keepWarm": "0s"})

    def meet(self, client, user, choose):
        label = self.judged(client, user, choose)
        self.known.append((client.servers[0], label))

    def promoted(self, server):
        until(server, self.rollout, "watching")
        assert self.served(server) == "3"

    def served(self, server):
        return mlflow.MlflowClient(server.url).get_model_version_by_alias("lump", self.name).version

    def verdict(self, server, of=None):
        """Tells the truth about what `of` answered, or all servers, while both variants had a part of the traffic."""
        self.tell(Client([server]), [label for answered, label in list(self.known) if of in (None, answered)])
        last, kinds, _ = self.rolled_back(server, "correct")
        assert kinds.index("promoted") < kinds.index("rolledBack"), kinds
        assert self.served(server) == "1"
        return last


class Crowd(Users):
    """A deployment of its own with so many users, who ask one after the other, each once. The candidate takes the example that
    it is warmed up with, and fails at what they ask."""

    POPULATION, version = 1500, 2
    # As many wait until those before them were counted: how many come meanwhile is not a matter of this machine's speed.
    TOGETHER = 50

    def __init__(self, number, servers):
        self.name = f"crowd-{number}"
        super().__init__(servers)
        self.numbers = iter(range(self.POPULATION))

    @classmethod
    @contextlib.contextmanager
    def logged(cls, server):
        """`crowd` is logged at this server."""
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(server.url)
        try:
            cls.log()
            yield
        finally:
            mlflow.set_tracking_uri(before)

    @staticmethod
    def log():
        """`crowd`: both answer the largest of three numbers; version 2 makes a shape of it that fits zeros alone."""
        rows = numpy.zeros((5, 3), dtype=numpy.float32)
        for factor in (0.0, 1.0):
            nodes = [helper.make_node("ReduceMax", ["X"], ["each"], axes=[1], keepdims=0),
                     helper.make_node("ReduceMax", ["X"], ["largest"], keepdims=0),
                     helper.make_node("Mul", ["largest", "factor"], ["wrong"]),
                     helper.make_node("Cast", ["wrong"], ["more"], to=onnx.TensorProto.INT64),
                     helper.make_node("Shape", ["each"], ["fits"]),
                     helper.make_node("Add", ["fits", "more"], ["shape"]),
                     helper.make_node("Reshape", ["each", "shape"], ["Y"])]
            value = lambda name, shape: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            constant = helper.make_tensor("factor", onnx.TensorProto.FLOAT, [], [factor])
            graph = helper.make_graph(nodes, "crowd", [value("X", ["n", 3])], [value("Y", ["n"])], [constant])
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
            # The experiment that others chose is another server's.
            with mlflow.start_run(experiment_id="0"):
                mlflow.onnx.log_model(model, name="model", signature=infer_signature(rows), registered_model_name="crowd", pip_requirements=["onnxruntime"])

    def deploy(self):
        self.server.deploy(self.name, "models:/crowd/1")

    def document(self):
        metrics = {"guardrails": [{"name": "errors", "kind": "errors", "nonInferiority": 0.005}]}
        steps = [{"canary": {"weight": 5, "minExposures": 1000, "minDuration": "30m"}}, {"abTest": {"weight": 50, "maxDuration": "14d"}}]
        document = json.loads(declared(self.name, self.version, steps, metrics=metrics))
        return json.dumps(document | {"candidates": [{"name": "v2", "model": "models:/crowd/2"}]})

    def counted(self, users):
        """Whether so many users were, or the candidate is out."""
        now = view(self.server, self.rollout)
        return now["phase"] != "step" or sum(v.get("units", 0) for v in now.get("variants", [])) >= users

    def meet(self, client, user, choose):
        number = int(user.rsplit("-", 1)[1])
        end = time.monotonic() + PATIENCE
        while number % self.TOGETHER == 0 and not self.counted(number - self.TOGETHER) and not self.stop.wait(0.2):
            assert time.monotonic() < end, view(self.server, self.rollout)
        inputs = {"name": "X", "shape": [1, 3], "datatype": "FP32", "data": [7, 0, 0]}
        answer = client.post(f"/v2/models/{self.name}/infer", {"inputs": [inputs]}, **{"x-user-id": user})
        variant = answer.headers["mainspring-variant"]
        self.seen[user] = {variant}
        # Whoever gets the candidate fails, and nobody else.
        self.failed += answer.ok == (variant == "v2")

    def part(self, server):
        """The part of all users that ever got the candidate, once it was taken back and everybody has asked."""
        self.rolled_back(server, "errors")
        for thread in self.threads:
            thread.join()
        assert len(self.seen) == self.POPULATION and self.failed == 0
        return self.met() / self.POPULATION
