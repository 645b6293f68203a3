"""Every protocol hands the unit over, honours a variant that is named, and says which one answered or failed."""

import http.client as http_client
import io
import json
import time

import boto3
import grpc
import mlflow
import numpy
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression
from tritonclient.grpc import service_pb2, service_pb2_grpc
from websockets.sync.client import connect

NAME = "doors"
# So many that chance gives all of them one variant once in half a million times.
USERS = [f"user-{n}" for n in range(20)]


class Told:
    """What a caller sees: which variant, and what went wrong if something did."""

    def __init__(self, variant, error=None):
        self.variant, self.error = variant, error


def v2_body(row):
    return {"inputs": [{"name": "X", "shape": [1, len(row)], "datatype": "FP32", "data": row}]}


def http(server, path, body, headers):
    answer = requests.post(f"{server.url}{path}", json=body, headers=headers)
    return Told(answer.headers.get("mainspring-variant"), None if answer.ok else answer.text)


def oip_rest(server, row, headers):
    return http(server, f"/v2/models/{NAME}/infer", v2_body(row), headers)


def mlflow_scoring(server, row, headers):
    return http(server, f"/deployments/{NAME}/invocations", {"inputs": [row]}, headers)


def kserve_v1(server, row, headers):
    return http(server, f"/v1/models/{NAME}:predict", {"instances": [row]}, headers)


def tf_serving(server, row, headers):
    return http(server, f"/v1/models/{NAME}:predict", {"signature_name": "serving_default", "inputs": [row]}, headers)


def sagemaker(server, row, headers):
    """`TargetVariant` names the variant here, and a header that the SDK knows nothing of carries the unit."""
    once = Config(retries={"max_attempts": 1, "mode": "standard"})
    client = boto3.client("sagemaker-runtime", endpoint_url=server.url, region_name="eu-central-1",
                          aws_access_key_id="anybody", aws_secret_access_key="anything", config=once)
    more = dict(headers)
    target = {"TargetVariant": more.pop("x-mainspring-variant")} if "x-mainspring-variant" in more else {}
    client.meta.events.register("before-call.sagemaker-runtime.InvokeEndpoint", lambda params, **_: params["headers"].update(more))
    body = io.StringIO()
    numpy.savetxt(body, [row], delimiter=",")
    try:
        answer = client.invoke_endpoint(EndpointName=NAME, ContentType="text/csv", Body=body.getvalue(), **target)
        return Told(answer["InvokedProductionVariant"])
    except ClientError as failed:
        answer = failed.response
        said = answer["ResponseMetadata"]["HTTPHeaders"]
        return Told(said.get("x-amzn-invoked-production-variant"), answer["Error"]["Message"])


def triton_request(row):
    tensor = service_pb2.ModelInferRequest.InferInputTensor(name="X", datatype="FP32", shape=[1, len(row)])
    tensor.contents.fp32_contents.extend(row)
    return service_pb2.ModelInferRequest(model_name=NAME, inputs=[tensor])


def oip_grpc(server, row, headers):
    with grpc.insecure_channel(server.base) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        try:
            _, call = stub.ModelInfer.with_call(triton_request(row), metadata=list(headers.items()))
            return Told(dict(call.initial_metadata())["mainspring-variant"])
        except grpc.RpcError as failed:
            said = dict(failed.initial_metadata() or ()) | dict(failed.trailing_metadata() or ())
            return Told(said.get("mainspring-variant"), failed.details())


def oip_grpc_stream(server, row, headers):
    with grpc.insecure_channel(server.base) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        (answer,) = stub.ModelStreamInfer(iter([triton_request(row)]), metadata=list(headers.items()))
        said = answer.infer_response.parameters
        return Told(said["variant"].string_param if "variant" in said else None, answer.error_message or None)


def websocket(server, row, headers):
    with connect(f"ws://{server.base}/v2/models/{NAME}/ws", additional_headers=headers) as socket:
        socket.send(json.dumps(v2_body(row)))
        answer = json.loads(socket.recv(timeout=60))
    return Told(answer.get("parameters", {}).get("variant"), answer.get("error"))


PROTOCOLS = {
    "oip-rest": oip_rest, "mlflow-scoring": mlflow_scoring, "kserve-v1": kserve_v1, "tf-serving": tf_serving,
    "sagemaker": sagemaker, "oip-grpc": oip_grpc, "oip-grpc-stream": oip_grpc_stream, "oip-websocket": websocket,
}


@pytest.fixture(scope="module")
def rollout(server):
    """Version 1 is stable and version 2 has half of the users. Their signatures differ in nothing."""
    x = numpy.random.default_rng(1).random((20, 3)).astype(numpy.float32)
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("doors")
    for factor in (1, 2):
        graph = to_onnx(LinearRegression().fit(x, factor * x.sum(axis=1)), x[:1], target_opset=17)
        with mlflow.start_run():
            mlflow.onnx.log_model(graph, name="model", signature=infer_signature(x[:5]), registered_model_name=NAME, pip_requirements=["onnxruntime"])
    server.deploy(NAME, f"models:/{NAME}/1")
    begin(server, NAME, "header:x-user-id", lambda user: {"x-user-id": user})
    yield server
    server.cli("rollout", "abort", NAME, check=False)


def begin(server, rollout, unit, carrying):
    """Half of the units get version 2, as soon as both answer."""
    document = {
        "apiVersion": "mainspring/v1", "kind": "Rollout", "name": rollout, "deployment": NAME,
        "candidates": [{"name": "v2", "model": f"models:/{NAME}/2"}], "assignment": {"unit": unit},
        "steps": [{"canary": {"weight": 50, "minExposures": 100000, "minDuration": "1h"}}], "decision": {"ship": "noHarm"},
    }
    server.cli("rollout", "start", "-f", "-", stdin=json.dumps(document))
    end = time.monotonic() + 120
    while (now := json.loads(server.cli("rollout", "status", rollout, "--output", "json")))["phase"] != "step" or now["variants"][1]["weight"] != 0.5:
        assert time.monotonic() < end, now
        time.sleep(0.1)
    # The row is there before every variant of it can answer.
    while {oip_rest(server, [1.0, 2.0, 3.0], carrying(user)).variant for user in USERS} != {"stable", "v2"}:
        assert time.monotonic() < end


@pytest.fixture
def by_cookie(rollout):
    """The same deployment, whose users are told apart by a cookie from now on."""
    rollout.cli("rollout", "abort", NAME)
    begin(rollout, f"{NAME}-cookie", "cookie:uid", lambda user: {"cookie": f"uid={user}"})
    yield rollout
    rollout.cli("rollout", "abort", f"{NAME}-cookie")


def flag(server, user):
    answer = requests.post(f"{server.url}/ofrep/v1/evaluate/flags/{NAME}", json={"context": {"targetingKey": user}})
    return answer.json()["value"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_unit_gets_its_variant_by_every_protocol(rollout, protocol):
    ask = PROTOCOLS[protocol]
    got = {user: ask(rollout, [1.0, 2.0, 3.0], {"x-user-id": user}) for user in USERS}
    assert [told.error for told in got.values()] == [None] * len(USERS)
    assert {user: told.variant for user, told in got.items()} == {user: flag(rollout, user) for user in USERS}
    assert {told.variant for told in got.values()} == {"stable", "v2"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_who_names_a_variant_gets_it_by_every_protocol(rollout, protocol):
    ask = PROTOCOLS[protocol]
    for variant in ("stable", "v2"):
        for user in USERS[:4]:
            told = ask(rollout, [1.0, 2.0, 3.0], {"x-user-id": user, "x-mainspring-variant": variant})
            assert (told.variant, told.error) == (variant, None)
    unknown = ask(rollout, [1.0, 2.0, 3.0], {"x-mainspring-variant": "v9"})
    assert "has no variant" in unknown.error and "stable, v2" in unknown.error, unknown.error


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_failed_answer_says_whose_it_is(rollout, protocol):
    ask = PROTOCOLS[protocol]
    for user in USERS:
        told = ask(rollout, [1.0, 2.0], {"x-user-id": user})
        assert told.error and told.variant == flag(rollout, user), (told.variant, told.error)


def test_the_journal_counts_who_was_assigned_and_no_one_who_named(rollout):
    end = time.monotonic() + 60
    sql = f"""SELECT protocol, forced, generation IS NOT NULL AS counts, count(DISTINCT unit) AS units, count(*) AS n FROM predictions
              WHERE deployment = '{NAME}' AND outcome = 'ok' GROUP BY 1, 2, 3"""
    wanted = {"oip-rest", "mlflow-scoring", "kserve-v1", "sagemaker", "oip-grpc", "oip-websocket"}
    while True:
        rows = rollout.query(" ".join(sql.split()))
        counted = {row["protocol"]: row["units"] for row in rows if row["counts"]}
        if set(counted) >= wanted and min(counted.values()) == len(USERS):
            break
        assert time.monotonic() < end, rows
        time.sleep(0.1)
    assert not [row for row in rows if row["forced"] and row["counts"]], rows
    assert {row["protocol"] for row in rows if row["forced"]} == wanted, rows


def test_metrics_are_a_page_that_prometheus_takes(rollout):
    page = requests.get(f"{rollout.url}/metrics").text
    series = [line.rsplit(" ", 1)[0] for line in page.splitlines() if line and not line.startswith("#")]
    assert len(series) == len(set(series)), sorted(s for s in series if series.count(s) > 1)
    of = f'deployment="{NAME}",rollout="{NAME}",variant="v2"'
    for line in (f"mainspring_variant_weight{{{of}}} 0.5", f"mainspring_variant_tripped{{{of}}} 0",
                 f'mainspring_rollout_phase{{rollout="{NAME}",deployment="{NAME}",phase="step"}} 1'):
        assert line in page.splitlines(), line
    answered = f'mainspring_inference_requests_total{{deployment="{NAME}",variant="v2",model="{NAME}",version="2",outcome="ok"}}'
    assert any(line.startswith(answered) and float(line.rsplit(" ", 1)[1]) > 0 for line in page.splitlines()), answered


def lines(server, user):
    """As HTTP/2 and proxies bring cookies: each in a line of its own, and the same name twice."""
    connection = http_client.HTTPConnection(server.base)
    connection.putrequest("POST", f"/v2/models/{NAME}/infer")
    body = json.dumps(v2_body([1.0, 2.0, 3.0])).encode()
    for line in ("theme=dark; lang=de", f'uid="{user}"', "uid=another"):
        connection.putheader("cookie", line)
    connection.putheader("content-length", str(len(body)))
    connection.endheaders(body)
    return connection.getresponse().headers["mainspring-variant"]


def metadata_lines(server, user):
    """Metadata whose key stands twice."""
    with grpc.insecure_channel(server.base) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        _, call = stub.ModelInfer.with_call(triton_request([1.0, 2.0, 3.0]), metadata=[("cookie", "theme=dark"), ("cookie", f"uid={user}")])
        return dict(call.initial_metadata())["mainspring-variant"]


def test_a_cookie_is_the_unit_by_every_protocol(by_cookie):
    jar = lambda user: {"cookie": f"theme=dark; uid={user}; lang=de"}
    wanted = {user: flag(by_cookie, user) for user in USERS}
    assert set(wanted.values()) == {"stable", "v2"}
    for protocol, ask in PROTOCOLS.items():
        got = {user: ask(by_cookie, [1.0, 2.0, 3.0], jar(user)) for user in USERS}
        assert {user: told.variant for user, told in got.items()} == wanted, protocol
    for ask in (lines, metadata_lines):
        assert {user: ask(by_cookie, user) for user in USERS} == wanted, ask.__doc__
    # A flag's own cookie counts where no targeting key is set, and nothing is said without either.
    url = f"{by_cookie.url}/ofrep/v1/evaluate/flags/{NAME}"
    assert {user: requests.post(url, json={}, headers=jar(user)).json()["value"] for user in USERS} == wanted
    missing = requests.post(url, json={}, headers={"cookie": "theme=dark"})
    assert missing.status_code == 400 and missing.json()["errorCode"] == "TARGETING_KEY_MISSING", missing.text
    # The journal has each cookie's hash, and what had none is said to be left out.
    oip_rest(by_cookie, [1.0, 2.0, 3.0], {"cookie": "uid="})
    sql = f"""SELECT count(DISTINCT unit) AS units FROM predictions WHERE deployment = '{NAME}' AND generation IS NOT NULL
              AND at >= (SELECT min(at) FROM decisions WHERE decided_by = 'Rollout/{NAME}-cookie')"""
    status = lambda: by_cookie.cli("rollout", "status", f"{NAME}-cookie")
    end = time.monotonic() + 60
    while (rows := by_cookie.query(" ".join(sql.split()))[0]) != {"units": len(USERS)} or "no cookie uid" not in status():
        assert time.monotonic() < end, rows
        time.sleep(0.2)
