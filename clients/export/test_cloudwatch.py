"""What CloudWatch is told, read back with boto3 from moto's server; documents against the published schema."""

import http.server
import json
import pathlib
import shutil
import socketserver
import subprocess
import threading
import time
from datetime import datetime, timedelta, timezone

import boto3
import mlflow
import pytest
import requests
from botocore.validate import validate_parameters
from jsonschema import Draft202012Validator
from onnx import TensorProto, helper

SCHEMA = json.loads((pathlib.Path(__file__).parent / "emf-schema.json").read_text())
# How long anything is waited for. Only a test that fails waits as long.
PATIENCE = 120
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@pytest.fixture(scope="module")
def moto():
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def cloudwatch(moto):
    requests.post(f"{moto}/moto-api/reset")
    return boto3.client("cloudwatch", endpoint_url=moto, region_name="eu-central-1", aws_access_key_id="test", aws_secret_access_key="test")


def deploy(server, tmp_path, name="echo"):
    """A model that gives back what it gets, asked ten times, and once what it cannot take."""
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "echo",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])])
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("export")
    with mlflow.start_run():
        mlflow.onnx.log_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), name="m", registered_model_name=name)
    server.cli("apply", "-f", "-", stdin=f"apiVersion: mainspring/v1\nkind: Deployment\nname: {name}\nmodel: models:/{name}/1\nslo: {{availability: 99.9%, p99: 20ms}}\n")
    url = f"{server.url}/v2/models/{name}/infer"
    body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
    for _ in range(10):
        assert requests.post(url, json=body).status_code == 200
    assert requests.post(url, json={"inputs": []}).status_code == 400


def statistics(client, metric, statistics=("Sum", "SampleCount", "Maximum"), **dimensions):
    now = datetime.now(timezone.utc)
    points = client.get_metric_statistics(
        Namespace="Test", MetricName=metric, StartTime=now - timedelta(hours=1), EndTime=now + timedelta(minutes=1), Period=60,
        Statistics=list(statistics), Dimensions=[{"Name": k, "Value": v} for k, v in dimensions.items()])["Datapoints"]
    return {s: (max if s == "Maximum" else sum)(p[s] for p in points) if points else 0 for s in statistics}


def test_numbers_reach_the_service_signed_and_once(start, cloudwatch, moto, tmp_path):
    server = start("--cloudwatch-region", "eu-central-1", "--cloudwatch-endpoint", moto, "--cloudwatch-namespace", "Test",
                   "--cloudwatch-interval", "1s", env=KEYS)
    deploy(server, tmp_path)
    until = time.monotonic() + PATIENCE
    while statistics(cloudwatch, "Requests", Deployment="echo")["Sum"] < 10 and time.monotonic() < until:
        time.sleep(0.2)
    assert statistics(cloudwatch, "Requests", Deployment="echo")["Sum"] == 10, "what the caller did wrong is not one"
    assert statistics(cloudwatch, "Latency", Deployment="echo")["SampleCount"] == 10
    assert statistics(cloudwatch, "Errors", Deployment="echo")["Sum"] == 0
    assert statistics(cloudwatch, "Ready", Deployment="echo")["Maximum"] == 1
    listed = cloudwatch.list_metrics(Namespace="Test")["Metrics"]
    assert {m["MetricName"] for m in listed} == {"Requests", "Errors", "Latency", "Ready"}
    assert all(m["Dimensions"] == [{"Name": "Deployment", "Value": "echo"}] for m in listed)
    # The last numbers are told at the end.
    for _ in range(3):
        requests.post(f"{server.url}/v2/models/echo/infer", json={"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]})
    server.process.terminate()
    assert server.process.wait(PATIENCE) == 0
    assert statistics(cloudwatch, "Requests", Deployment="echo")["Sum"] == 13
    assert "did not reach" not in server.log.read_text()


def test_a_service_that_is_away_is_told_later(start, cloudwatch, moto, tmp_path):
    """The first requests are throttled as the query API does it, with a 400; then they go through."""
    state = {"refusals": 4, "asked": 0}

    class Throttle(http.server.BaseHTTPRequestHandler):
        def do_POST(self):  # noqa: N802
            body = self.rfile.read(int(self.headers["content-length"]))
            state["asked"] += 1
            if state["asked"] <= state["refusals"]:
                text = b"<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>"
                self.send_response(400)
            else:
                headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "content-length")}
                answer = requests.post(moto, data=body, headers=headers)
                text = answer.content
                self.send_response(answer.status_code)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Throttle)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        server = start("--cloudwatch-region", "eu-central-1", "--cloudwatch-endpoint", f"http://127.0.0.1:{proxy.server_port}",
                       "--cloudwatch-namespace", "Test", "--cloudwatch-interval", "1s", env=KEYS)
        deploy(server, tmp_path)
        until = time.monotonic() + PATIENCE
        while statistics(cloudwatch, "Requests", Deployment="echo")["Sum"] < 10 and time.monotonic() < until:
            time.sleep(0.2)
        assert statistics(cloudwatch, "Requests", Deployment="echo")["Sum"] == 10, server.log.read_text()
    finally:
        proxy.shutdown()


def test_documents_are_of_the_published_format(start, tmp_path):
    lines = []

    class Agent(socketserver.StreamRequestHandler):
        def handle(self):
            lines.extend(self.rfile.read().decode().splitlines())

    agent = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Agent)
    threading.Thread(target=agent.serve_forever, daemon=True).start()
    try:
        server = start("--cloudwatch-emf", f"tcp://127.0.0.1:{agent.server_address[1]}", "--cloudwatch-interval", "1s",
                       "--cloudwatch-metrics", "Requests,Errors,Latency,Ready,CallerErrors,Rows,InFlight,Memory,BudgetLeft,BurnRate,JournalLost,BudgetSpent,BudgetForecast")
        deploy(server, tmp_path)
        until = time.monotonic() + PATIENCE
        # What the caller did wrong comes last, and may be of the next interval.
        told = lambda name: sum(json.loads(line).get(name, 0) for line in list(lines))
        while (told("Requests") < 10 or told("CallerErrors") < 1) and time.monotonic() < until:
            time.sleep(0.2)
    finally:
        agent.shutdown()
    documents = [json.loads(line) for line in lines]
    validator = Draft202012Validator(SCHEMA)
    for document in documents:
        validator.validate(document)
        directive = document["_aws"]["CloudWatchMetrics"][0]
        for name in directive["Dimensions"][0]:
            assert isinstance(document[name], str)
        for metric in directive["Metrics"]:
            value = document[metric["Name"]]
            assert isinstance(value, (int, float)) or len(value) <= 100
        assert len(json.dumps(document)) < 256 * 1024
        assert abs(document["_aws"]["Timestamp"] / 1000 - time.time()) < 300
    of_echo = [d for d in documents if d.get("Deployment") == "echo"]
    assert sum(d.get("Requests", 0) for d in of_echo) == 10 and sum(d.get("CallerErrors", 0) for d in of_echo) == 1
    assert sum(len(d["Latency"]) for d in of_echo if "Latency" in d) == 10


def test_documents_go_to_standard_output(start):
    server = start("--cloudwatch-emf", "stdout", "--cloudwatch-interval", "1s", "--cloudwatch-metrics", "JournalLost")
    until = time.monotonic() + PATIENCE
    while '"_aws"' not in server.log.read_text() and time.monotonic() < until:
        time.sleep(0.1)
    line = next(line for line in server.log.read_text().splitlines() if line.startswith('{"'))
    Draft202012Validator(SCHEMA).validate(json.loads(line))
    assert json.loads(line)["JournalLost"] == 0


def test_alarms_are_taken_by_the_service(start, cloudwatch, tmp_path):
    server = start()
    deploy(server, tmp_path)
    until = time.monotonic() + PATIENCE
    while len(requests.get(f"{server.url}/api/v1/slos").json()["slos"]) < 2 and time.monotonic() < until:
        time.sleep(0.2)
    topic = "arn:aws:sns:eu-central-1:123456789012:oncall"
    template = json.loads(server.cli("alarms", "--format", "cloudformation", "--namespace", "Test", "--topic", topic))
    # boto3 checks each property against the service's own model before it asks; moto has no composite alarms.
    composite = {}
    for resource in template["Resources"].values():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            cloudwatch.put_metric_alarm(**properties)
        else:
            assert set(resource["DependsOn"]) <= set(template["Resources"])
            validate_parameters(properties, cloudwatch.meta.service_model.operation_model("PutCompositeAlarm").input_shape)
            composite[properties["AlarmName"]] = properties
    names = {a["AlarmName"]: a for a in cloudwatch.describe_alarms(MaxRecords=100)["MetricAlarms"]}
    assert len(names) + len(composite) == len(template["Resources"]) == 1 + 2 * 6 + 1
    assert names["Test-echo-error-rate"]["AlarmActions"] == [topic]
    for rule in composite.values():
        assert all(name in names for name in rule["AlarmRule"].replace("ALARM(", "").replace(")", "").replace('"', "").split(" AND "))
    told = {"Requests", "Errors", "Latency"}
    for alarm in names.values():
        stats = [m["MetricStat"] for m in alarm["Metrics"] if "MetricStat" in m]
        assert {s["Metric"]["MetricName"] for s in stats} <= told
        assert len({s["Period"] for s in stats}) == 1
    terraform = json.loads(server.cli("alarms", "--format", "terraform-json", "--namespace", "Test"))["resource"]
    assert sum(len(all_) for all_ in terraform.values()) == len(template["Resources"])
    if (lint := shutil.which("cfn-lint")) is not None:
        file = tmp_path / "alarms.json"
        file.write_text(json.dumps(template))
        linted = subprocess.run([lint, "--regions", "eu-central-1", "--", str(file)], capture_output=True, text=True)
        assert linted.returncode == 0, linted.stdout + linted.stderr


def test_a_metric_that_is_none_is_refused_at_the_start(start):
    with pytest.raises(RuntimeError, match="did you mean Latency"):
        start("--cloudwatch-metrics", "Latancy")
