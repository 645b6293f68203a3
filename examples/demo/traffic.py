"""Callers: the four kinds of client once each, and a crowd that never stops while a version changes."""

import dataclasses
import http.client
import itertools
import json
import threading
import time

import numpy
import pandas
import requests
import tritonclient.grpc
import tritonclient.http
from mlflow.pyfunc.scoring_server.client import ScoringServerClient


def tensor(kind, rows):
    """The one input of a scikit-learn model that went through skl2onnx."""
    rows = numpy.ascontiguousarray(rows, dtype=numpy.float32)
    wanted = kind.InferInput("X", rows.shape, "FP32")
    wanted.set_data_from_numpy(rows)
    return wanted


def rest(base, rows):
    """v2 REST with the binary tensor extension."""
    client = tritonclient.http.InferenceServerClient(base)
    answer = client.infer("cancer", [tensor(tritonclient.http, rows)])
    return answer.as_numpy("label")


def grpc(base, rows):
    client = tritonclient.grpc.InferenceServerClient(base)
    return client.infer("cancer", [tensor(tritonclient.grpc, rows)]).as_numpy("label")


def json_over_http(base, rows):
    """v2 REST as curl would send it."""
    body = {"inputs": [{"name": "X", "datatype": "FP32", "shape": list(rows.shape), "data": rows.to_numpy().ravel().tolist()}]}
    answer = requests.post(f"http://{base}/v2/models/cancer/infer", json=body, timeout=60)
    answer.raise_for_status()
    labels = next(output for output in answer.json()["outputs"] if output["name"] == "label")
    return numpy.array(labels["data"])


def scoring(base, rows):
    """MLflow's own client; it reaches the deployment that is declared as the default one."""
    host, port = base.rsplit(":", 1)
    predictions = ScoringServerClient(host, int(port)).invoke(rows).get_predictions()
    return labels_of(predictions)


def labels_of(predictions):
    """A classifier's predictions hold a column `label`."""
    if isinstance(predictions, pandas.DataFrame):
        return predictions["label"].to_numpy()
    if isinstance(predictions, dict):
        return numpy.array(predictions["label"])
    return numpy.array(predictions)


def one_by_one(base, deployment, rows):
    """Each row in a request of its own in MLflow's form: the answers, the version that gave them, and seconds."""
    host, port = base.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    answers, seconds, version = [], [], None
    for at in range(len(rows)):
        body = json.dumps({"dataframe_split": rows.iloc[[at]].to_dict(orient="split", index=False)})
        began = time.perf_counter()
        connection.request("POST", f"/deployments/{deployment}/invocations", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        seconds.append(time.perf_counter() - began)
        if answer.status != 200:
            raise OSError(f"{answer.status} {text[:200].decode(errors='replace')}")
        version = answer.headers["mainspring-model-version"]
        answers.append(json.loads(text)["predictions"][0])
    return answers, version, seconds


@dataclasses.dataclass
class Call:
    """One answered request."""

    prediction: str
    version: str
    row: int
    at: float
    seconds: float


class Crowd:
    """Clients on their own connections, each sending held-out rows one by one, until told to stop."""

    def __init__(self, base, rows, clients=4):
        self.base, self.calls, self.failures = base, [], []
        self.bodies = [self.body(row) for row in rows.to_numpy()]
        self.stopped = threading.Event()
        self.next = itertools.count()
        self.threads = [threading.Thread(target=self.client, daemon=True) for _ in range(clients)]

    @staticmethod
    def body(row):
        tensors = [{"name": "X", "datatype": "FP32", "shape": [1, len(row)], "data": row.tolist()}]
        return json.dumps({"inputs": tensors}).encode()

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def wait_for(self, calls, seconds=120):
        """Until `calls` answers came, in all."""
        until = time.monotonic() + seconds
        while len(self.calls) < calls and not self.failures and time.monotonic() < until:
            time.sleep(0.02)

    def client(self):
        host, port = self.base.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        while not self.stopped.is_set():
            row = next(self.next) % len(self.bodies)
            began = time.perf_counter()
            try:
                connection.request("POST", "/v2/models/cancer/infer", self.bodies[row], {"content-type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
                seconds = time.perf_counter() - began
                if answer.status != 200:
                    self.failures.append(f"{answer.status} {text[:200].decode(errors='replace')}")
                    continue
                version = json.loads(text)["model_version"]
                prediction = answer.headers["mainspring-prediction-id"]
                self.calls.append(Call(prediction, version, row, began, seconds))
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                connection.close()
