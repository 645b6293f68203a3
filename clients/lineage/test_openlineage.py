"""OpenLineage's own Python client, unchanged, and the lineage of a model from its data to its predictions."""

import contextlib
import datetime
import gzip
import http.server
import json
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

import mlflow
import numpy
import pandas
import pytest
from mainspring_server import onnxruntime
from mlflow.models import infer_signature
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import DatasetEvent, InputDataset, Job, JobEvent, OutputDataset, Run, RunEvent, RunState, StaticDataset
from openlineage.client.facet_v2 import error_message_run, nominal_time_run, schema_dataset, sql_job
from openlineage.client.uuid import generate_new_uuid
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

PRODUCER = "https://example.com/pipeline"
# How long anything is waited for. Only a test that fails waits as long.
PATIENCE = 300


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


def get(server, path, **query):
    with urllib.request.urlopen(f"{server.url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=PATIENCE) as answer:
        return json.loads(answer.read())


def post(url, body, **headers):
    request = urllib.request.Request(url, body, {"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def run_of(client, job, inputs=(), outputs=(), states=(RunState.START, RunState.COMPLETE), facets=None):
    run = Run(runId=str(generate_new_uuid()), facets=facets or {})
    for state in states:
        client.emit(RunEvent(eventType=state, eventTime=now(), run=run, job=job, producer=PRODUCER, inputs=list(inputs), outputs=list(outputs)))
    return run.runId


@pytest.fixture
def client(server, monkeypatch):
    """Made as people make it: the environment names the server."""
    for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENLINEAGE_URL", server.url)
    with contextlib.closing(OpenLineageClient()) as made:
        yield made


def test_the_three_events_of_the_client_arrive(server, client):
    space = f"airflow-{uuid.uuid4()}"
    fields = [schema_dataset.SchemaDatasetFacetFields(name="id", type="BIGINT"), schema_dataset.SchemaDatasetFacetFields(name="näme", type="TEXT")]
    table = {"schema": schema_dataset.SchemaDatasetFacet(fields=fields)}
    job = Job(namespace=space, name="dag.task", facets={"sql": sql_job.SQLJobFacet(query="SELECT 1")})
    facets = {"nominalTime": nominal_time_run.NominalTimeRunFacet(nominalStartTime="2026-01-01T00:00:00Z"),
              "errorMessage": error_message_run.ErrorMessageRunFacet(message="no room", programmingLanguage="SQL")}
    run = run_of(client, job, [InputDataset(namespace="postgres://db:5432", name=f"{space}.raw", facets=table)],
                 [OutputDataset(namespace="s3://lake", name=f"{space}/clean")], (RunState.START, RunState.RUNNING, RunState.FAIL), facets)
    client.emit(JobEvent(eventTime=now(), job=Job(namespace=space, name="static"), producer=PRODUCER, inputs=[InputDataset(namespace="s3://lake", name=f"{space}/clean")]))
    client.emit(DatasetEvent(eventTime=now(), dataset=StaticDataset(namespace="postgres://db:5432", name=f"{space}.raw", facets=table), producer=PRODUCER))

    shown = get(server, f"namespaces/{space}/jobs/dag.task")
    assert shown["facets"]["sql"]["query"] == "SELECT 1"
    assert (shown["latestRun"]["id"], shown["latestRun"]["state"]) == (run, "FAILED")
    assert shown["latestRun"]["facets"]["errorMessage"]["message"] == "no room"
    assert shown["latestRun"]["nominalStartTime"] == "2026-01-01T00:00:00Z"
    assert [job["name"] for job in get(server, f"namespaces/{space}/jobs")["jobs"]] == ["dag.task", "static"]
    dataset = get(server, f"namespaces/{urllib.parse.quote('postgres://db:5432', safe='')}/datasets/{space}.raw")
    assert [field["name"] for field in dataset["fields"]] == ["id", "näme"]
    graph = get(server, "lineage", nodeId=f"dataset:postgres://db:5432:{space}.raw", depth=20)["graph"]
    assert [node["id"] for node in graph] == [f"dataset:postgres://db:5432:{space}.raw", f"dataset:s3://lake:{space}/clean", f"job:{space}:dag.task", f"job:{space}:static"]
    assert space in [each["name"] for each in get(server, "namespaces", limit=1000)["namespaces"]]


def test_packed_events_with_a_key_and_without_the_right_one(start, monkeypatch):
    server = start()
    monkeypatch.delenv("OPENLINEAGE_URL", raising=False)
    keys = {role: json.loads(server.cli("key", "create", role, "--role", role, "--output", "json"))["key"] for role in ("read", "write")}
    config = {"transport": {"type": "http", "url": server.url, "compression": "gzip", "auth": {"type": "api_key", "apiKey": keys["write"]}}}
    with contextlib.closing(OpenLineageClient(config=config)) as made:
        run_of(made, Job(namespace="packed", name="job"))
    events = get(server, "events/lineage")
    assert (events["totalCount"], events["events"][0]["eventType"]) == (2, "COMPLETE")
    for key, status in [(keys["read"], 403), ("nonsense", 401)]:
        assert post(f"{server.url}/api/v1/lineage", json.dumps(events["events"][0]).encode(), authorization=f"Bearer {key}")[0] == status


def test_what_is_wrong_is_named_and_nothing_breaks(server):
    url = f"{server.url}/api/v1/lineage"
    event = {"eventType": "START", "eventTime": now(), "producer": PRODUCER, "schemaURL": PRODUCER,
             "run": {"runId": str(uuid.uuid4())}, "job": {"namespace": "attack", "name": "job"}}

    def facet(value):
        return event | {"run": event["run"] | {"facets": {"odd": {"_producer": PRODUCER, "_schemaURL": PRODUCER, "x": value}}}}

    for body, named in [
        (b"{", b"JSON"),
        (b"[" * 100_000, b"nested"),
        (json.dumps(event | {"eventTime": "2026-13-01T00:00:00Z"}).encode(), b"eventTime"),
        (json.dumps(event | {"run": {"runId": 5}}).encode(), b"run.runId"),
        (json.dumps(event | {"inputs": [{"name": "x"}]}).encode(), b"inputs[0].namespace"),
        (gzip.compress(b"x" * 100), b"UTF-8"),
    ]:
        status, said = post(url, body)
        assert status == 400 and named in said, said
    large = json.dumps(facet("x" * (10 << 20))).encode()
    assert post(url, large)[0] == 201
    kept = get(server, f"jobs/runs/{event['run']['runId']}")
    assert len(kept["facets"]["odd"]["x"]) == 10 << 20
    assert post(url, gzip.compress(b" " * (200 << 20)), **{"content-encoding": "gzip"})[0] == 413


def test_a_hundred_thousand_events(start):
    server = start()
    job = {"namespace": "many", "name": "job"}
    began = time.monotonic()
    for part in range(20):
        events = [{"eventType": "COMPLETE", "eventTime": f"2026-01-01T{part:02}:{i // 60 % 60:02}:{i % 60:02}Z", "producer": PRODUCER, "schemaURL": PRODUCER,
                   "run": {"runId": str(uuid.UUID(int=part * 5_000 + i))}, "job": job | {"name": f"job-{i % 50}"},
                   "inputs": [{"namespace": "many", "name": f"in-{i % 500}"}], "outputs": [{"namespace": "many", "name": f"out-{i % 500}"}]} for i in range(5_000)]
        status, said = post(f"{server.url}/api/v1/lineage/batch", json.dumps(events).encode())
        assert status == 200 and json.loads(said)["summary"]["successful"] == 5_000
    sent = time.monotonic() - began
    assert get(server, "events/lineage", limit=1)["totalCount"] == 100_000
    began = time.monotonic()
    graph = get(server, "lineage", nodeId="job:many:job-7", depth=5)["graph"]
    assert len(graph) == 21
    assert get(server, "namespaces/many/jobs", limit=1000)["totalCount"] == 50
    print(f"100,000 events in {sent:.1f} s, two reads in {time.monotonic() - began:.2f} s")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    made = numpy.random.default_rng(0)
    frame = pandas.DataFrame(made.normal(size=(200, 3)), columns=["a", "b", "c"])
    path = tmp_path_factory.mktemp("lineage") / "train.csv"
    frame.to_csv(path, index=False)
    return path, frame


def trained(server, table, name):
    """A run that reads the table and registers an ONNX model."""
    path, frame = table
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment(name)
    model = LogisticRegression().fit(frame.values, frame["a"] > 0)
    graph = to_onnx(model, frame.values[:1].astype(numpy.float32), options={"zipmap": False}, target_opset=17)
    signature = infer_signature(frame.astype(numpy.float32), model.predict(frame.values).astype(numpy.int64))
    with mlflow.start_run() as run:
        mlflow.log_input(mlflow.data.from_pandas(frame, source=str(path), name="train"), context="training")
        mlflow.onnx.log_model(graph, name="model", signature=signature, registered_model_name=name, pip_requirements=["onnxruntime"])
    return run.info.run_id


def predict(server, deployment, rows):
    body = json.dumps({"dataframe_split": {"columns": ["a", "b", "c"], "data": rows}}).encode()
    status, said = post(f"{server.url}/deployments/{deployment}/invocations", body)
    assert status == 200, said


def lineage(server, *words):
    return json.loads(server.cli("lineage", *words, "--output", "json"))


def test_from_a_table_to_predictions_and_back(start, table, monkeypatch):
    server = start()
    run = trained(server, table, "churn")
    server.deploy("churn", "models:/churn/1")
    for _ in range(3):
        predict(server, "churn", [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    monkeypatch.setenv("OPENLINEAGE_URL", server.url)
    source = f"dataset:file:{table[0]}"
    with contextlib.closing(OpenLineageClient()) as client:
        run_of(client, Job(namespace="airflow", name="etl"), [InputDataset(namespace="postgres://db", name="raw")], [OutputDataset(namespace="file", name=str(table[0]))])

    chain = ["dataset:postgres://db:raw", "job:airflow:etl", source, f"run:{run}", "model:churn/1", "deployment:churn/churn/1", "predictions:churn/churn/1"]
    for start_at in (chain[0], chain[2], chain[3], chain[4], "churn/1", "models:/churn/1", "churn", chain[6]):
        graph = lineage(server, start_at)
        found = {node["id"] for node in graph["nodes"]}
        assert set(chain[:5] + chain[6:]) <= found | {"deployment:churn"}, (start_at, found)
    down = lineage(server, chain[0], "--down")
    assert [node["id"] for node in down["nodes"]] == chain
    assert down["nodes"][-1]["predictions"] == 6
    assert [node["id"] for node in lineage(server, chain[6], "--up")["nodes"]] == chain[::-1]
    assert len(lineage(server, chain[0], "--down", "--depth", "2")["nodes"]) == 3

    drawn = server.cli("lineage", "churn/1")
    assert "└─ predictions:churn/churn/1  (6 predictions)" in drawn and f"└─ {source}" in drawn
    failed = server.cli("lineage", "churn/7", check=False)
    assert failed.returncode == 1 and "model:churn/7" in failed.stderr

    # A version that answered before stays apart from the one that answers now.
    trained(server, table, "churn")
    server.deploy("churn", "models:/churn/2")
    predict(server, "churn", [[1.0, 2.0, 3.0]])
    counts = {node["id"]: node.get("predictions") for node in lineage(server, "churn/1", "--down")["nodes"]}
    assert counts == {"model:churn/1": None, "deployment:churn/churn/1": None, "predictions:churn/churn/1": 6}
    assert {node["id"] for node in lineage(server, "churn")["nodes"]} >= {"predictions:churn/churn/1", "predictions:churn/churn/2"}

    # The same in the shapes of Marquez.
    graph = {node["id"]: node for node in get(server, "lineage", nodeId="dataset:mainspring:models/churn/1")["graph"]}
    assert graph["job:mainspring:experiments/churn"]["data"]["inputs"] == [{"namespace": "file", "name": str(table[0])}]
    assert "job:airflow:etl" in graph and graph["job:mainspring:deployments/churn"]["data"]["type"] == "SERVICE"
    jobs = [job["name"] for job in get(server, "namespaces/mainspring/jobs")["jobs"]]
    assert jobs == ["deployments/churn", "experiments/Default", "experiments/churn"]


def test_a_run_over_a_file_is_in_the_graph(start, table, tmp_path):
    server = start()
    trained(server, table, "bulk")
    out = tmp_path / "out.parquet"
    server.cli("predict", "bulk/1", table[0], "-o", out, "--onnxruntime", onnxruntime())
    ids = [node["id"] for node in lineage(server, f"dataset:file:{out}", "--up")["nodes"]]
    assert {f"job:mainspring:bulk/bulk{out}", "model:bulk/1", f"dataset:file:{table[0]}"} <= set(ids)
    assert f"dataset:file:{out}" in [node["id"] for node in lineage(server, "bulk/1", "--down")["nodes"]]


class Collector:
    """A collector outside: keeps events, and answers as it is told."""

    def __init__(self, port=0):
        self.events, self.keys, self.answer = [], set(), 201
        told = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if told.answer == 201:
                    told.events.append(json.loads(body))
                    told.keys.add(self.headers.get("authorization"))
                self.send_response(told.answer)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def until(self, wanted, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while not wanted(self.events):
            assert time.monotonic() < end, [(e.get("eventType"), e["job"]["name"]) for e in self.events]
            time.sleep(0.05)
        return self.events

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def test_a_collector_outside_is_told_at_least_once(start, table, tmp_path):
    collector = Collector()
    collector.answer = 503
    data, env = tmp_path / "data", {"MAINSPRING_LINEAGE_KEY": "sesame"}
    server = start("--lineage-url", collector.url, data=data, env=env)
    run = trained(server, table, "told")
    server.deploy("told", "models:/told/1")
    # It was not told, and the server dies: what waits is in the database.
    server.kill()
    collector.answer = 201
    server = start("--lineage-url", collector.url, data=data, env=env)

    def job(events, name, state=None):
        return [e for e in events if e["job"]["name"] == name and e.get("eventType") == state]

    collector.until(lambda events: job(events, "experiments/told", "COMPLETE") and job(events, "experiments/told", "OTHER") and job(events, "deployments/told"))
    assert collector.keys == {"Bearer sesame"}
    [started] = job(collector.events, "experiments/told", "START")
    [done] = job(collector.events, "experiments/told", "COMPLETE")
    assert started["run"]["runId"] == done["run"]["runId"] == str(uuid.UUID(run))
    [read] = done["inputs"]
    assert (read["namespace"], read["name"]) == ("file", str(table[0]))
    assert [field["name"] for field in read["facets"]["schema"]["fields"]] == ["a", "b", "c"]
    assert [made["name"] for made in done["outputs"]] == ["models/told/1"]
    [deployed] = job(collector.events, "deployments/told")
    assert [made["name"] for made in deployed["inputs"]] == ["models/told/1"]
    assert deployed["outputs"][0]["name"] == "predictions/told/told/1"

    out = tmp_path / "out.parquet"
    server.cli("predict", "told/1", table[0], "-o", out, "--onnxruntime", onnxruntime())
    collector.until(lambda events: job(events, f"bulk/told{out}", "COMPLETE"))
    [bulk] = job(collector.events, f"bulk/told{out}", "COMPLETE")
    assert bulk["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 200
    # What goes out is what is taken, and it leads to the same names.
    other = start()
    for event in collector.events:
        assert post(f"{other.url}/api/v1/lineage", json.dumps(event).encode())[0] == 201
    ids = [node["id"] for node in get(other, "lineage", nodeId="dataset:mainspring:models/told/1")["graph"]]
    assert {f"dataset:file:{table[0]}", "job:mainspring:experiments/told", "job:mainspring:deployments/told", f"dataset:file:{out}"} <= set(ids)
    # Secrets are in no log.
    assert "sesame" not in server.log.read_text() + server.cli("config")
    collector.stop()
