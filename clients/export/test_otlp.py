"""Metrics over OTLP, received by OpenTelemetry's own messages."""

import concurrent.futures
import json
import queue
import re
import time
import urllib.request

import grpc
import mlflow
import pytest
import requests
from onnx import TensorProto, helper
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc

# How long anything is waited for. Only a test that fails waits as long.
PATIENCE = 180


class Collector(metrics_service_pb2_grpc.MetricsServiceServicer):
    """Keeps what it is sent; refuses the first `refusals` with `code`."""

    def __init__(self, refusals=0, code=grpc.StatusCode.UNAVAILABLE):
        self.refusals, self.code = refusals, code
        self.asked = 0
        self.requests, self.metadata = queue.Queue(), []
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(self, self.server)
        self.endpoint = f"http://127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def Export(self, request, context):  # noqa: N802
        self.asked += 1
        if self.asked <= self.refusals:
            context.abort(self.code, "not now")
        self.metadata.append(dict(context.invocation_metadata()))
        self.requests.put(request)
        return metrics_service_pb2.ExportMetricsServiceResponse()

    def until(self, found, why=lambda _: ""):
        """The first request that `found` takes. By the time alone: as many have gathered as the test took to get here."""
        end = time.monotonic() + PATIENCE
        while True:
            request = self.requests.get(timeout=max(end - time.monotonic(), 0.1))
            if found(request):
                return request
            assert time.monotonic() < end, f"not within {PATIENCE} s: {why(request)}"


@pytest.fixture
def collector():
    made = []

    def begin(**more):
        made.append(Collector(**more))
        return made[-1]

    yield begin
    for each in made:
        each.server.stop(None)


def metrics(request):
    return {metric.name: metric for metric in request.resource_metrics[0].scope_metrics[0].metrics}


def attributes(of):
    return {pair.key: pair.value.string_value for pair in of}


def page(server):
    return urllib.request.urlopen(server.url + "/metrics").read().decode()


def test_a_collector_gets_what_the_page_of_metrics_shows(start, collector):
    received = collector()
    server = start("--otlp-endpoint", received.endpoint, "--otlp-interval", "1s",
                   env={"OTEL_EXPORTER_OTLP_HEADERS": "api-key=s%20ecret", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test"})
    request = received.until(lambda r: metrics(r)["mainspring.ready"].gauge.data_points[0].as_double == 1)
    resource = attributes(request.resource_metrics[0].resource.attributes)
    assert resource["service.name"] == "mainspring" and resource["service.version"] and resource["service.instance.id"]
    assert resource["deployment.environment.name"] == "test"
    assert received.metadata[-1]["api-key"] == "s ecret"
    told = metrics(request)
    uptime = told["mainspring.uptime"]
    assert uptime.unit == "s" and uptime.WhichOneof("data") == "gauge"
    syncs = told["mainspring.journal.syncs"].sum
    assert syncs.is_monotonic and syncs.aggregation_temporality == 2
    assert 0 < syncs.data_points[0].start_time_unix_nano < syncs.data_points[0].time_unix_nano
    assert told["process.memory.usage"].unit == "By" and not told["process.memory.usage"].sum.is_monotonic
    checks = {attributes(p.attributes)["check"]: p.as_double for p in told["mainspring.check"].gauge.data_points}
    assert checks["database"] == 1
    # Every family of the page that has a sample is told, under its own name or Triton's other one; some get theirs later
    # than others, so it is what is told from now on.
    text = page(server)
    families = set(re.findall(r"^# TYPE (\S+) ", text, re.M))
    sampled = {f for f in families if re.search(rf"^{f}(_bucket|_sum|_count)?[{{ ]", text, re.M)}

    def missing(request):
        prometheus = {name.replace(".", "_") for name in metrics(request)}
        untold = {f for f in sampled if re.sub(r"_total$", "", f) not in prometheus and re.sub(r"(_seconds|_bytes)(_total)?$", "", f) not in prometheus}
        return {f for f in untold if not f.startswith("nv_")} - {"mainspring_build_info", "process_resident_memory_bytes"}

    received.until(lambda r: not missing(r), missing)


def test_what_cannot_be_sent_now_is_sent_later_and_the_last_numbers_at_the_end(start, collector):
    received = collector(refusals=2)
    server = start("--otlp-endpoint", received.endpoint, "--otlp-interval", "1s")
    first = received.until(lambda r: True)
    assert received.asked >= 3 and "mainspring.ready" in metrics(first)
    before = received.requests.qsize()
    server.process.terminate()
    assert server.process.wait(PATIENCE) == 0
    assert received.requests.qsize() > before


def test_a_collector_without_metrics_is_asked_again_ten_intervals_later(start, collector):
    received = collector(refusals=1, code=grpc.StatusCode.UNIMPLEMENTED)
    server = start("--otlp-endpoint", received.endpoint, "--otlp-interval", "1s")
    end = time.monotonic() + PATIENCE
    while "takes no metrics" not in server.log.read_text():
        assert time.monotonic() < end, received.asked
        time.sleep(0.1)
    # Some intervals later nobody was asked.
    with pytest.raises(queue.Empty):
        received.requests.get(timeout=4)
    assert received.asked == 1
    received.until(lambda r: "mainspring.ready" in metrics(r))


def test_a_collector_that_is_away_disturbs_nobody(start):
    server = start("--otlp-endpoint", "http://127.0.0.1:9", "--otlp-interval", "1s")
    end = time.monotonic() + PATIENCE
    # It listens a moment before it is ready.
    while "mainspring_ready 1" not in page(server):
        assert time.monotonic() < end
        time.sleep(0.1)
    server.process.terminate()
    assert server.process.wait(PATIENCE) == 0


def test_every_tenant_is_told_and_those_of_default_keep_their_names(start, collector, monkeypatch):
    received = collector()
    server = start("--otlp-endpoint", received.endpoint, "--otlp-interval", "1s")
    keys = {t: json.loads(server.cli("key", "create", t, "--role", "admin", "--tenant", t, "--output", "json"))["key"] for t in ("default", "acme")}
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "echo",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    mlflow.set_tracking_uri(server.url)
    for count, (tenant, key) in enumerate(keys.items(), 1):
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", key)
        mlflow.set_experiment(f"export of {tenant}")
        with mlflow.start_run():
            mlflow.onnx.log_model(model, name="m", registered_model_name="echo", pip_requirements=["onnxruntime"])
        document = "apiVersion: mainspring/v1\nkind: Deployment\nname: echo\nmodel: models:/echo/1\n"
        server.cli("--api-key", key, "apply", "-f", "-", stdin=document)
        document = "apiVersion: mainspring/v1\nkind: Budget\nname: tight\ncomputeSeconds: 100\nper: day\n"
        server.cli("--api-key", key, "apply", "-f", "-", stdin=document)
        for _ in range(count):
            answer = requests.post(f"{server.url}/v2/models/echo/infer", headers={"authorization": f"Bearer {key}"},
                                   json={"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]})
            assert answer.status_code == 200, (tenant, answer.text)

    def requests_by_tenant(request):
        points = metrics(request)["mainspring.inference.requests"].sum.data_points if "mainspring.inference.requests" in metrics(request) else []
        of = [(attributes(p.attributes), p.as_double) for p in points]
        return {a.get("tenant"): n for a, n in of if a["outcome"] == "ok"}

    told = received.until(lambda r: requests_by_tenant(r) == {None: 1, "acme": 2})
    # What is of the process is told once, and each tenant sees its own page alone.
    assert len(metrics(told)["mainspring.uptime"].gauge.data_points) == 1
    for count, (tenant, key) in enumerate(keys.items(), 1):
        text = requests.get(f"{server.url}/metrics", headers={"authorization": f"Bearer {key}"}).text
        assert re.search(rf'^mainspring_inference_requests_total{{deployment="echo",.*outcome="ok"}} {count}$', text, re.M), text
        assert "tenant=" not in text
    spent = received.until(lambda r: len(metrics(r)["mainspring.budget.spent"].gauge.data_points) == 2 if "mainspring.budget.spent" in metrics(r) else False)
    budget = metrics(spent)["mainspring.budget.spent"]
    assert budget.unit == "1" and {attributes(p.attributes).get("tenant") for p in budget.gauge.data_points} == {None, "acme"}
