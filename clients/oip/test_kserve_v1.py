"""The `kserve` client's first protocol, and TensorFlow Serving's forms on the same paths. Runs in that
client's own environment."""

import asyncio
import base64
import json
import urllib.error
import urllib.request

import httpx
import numpy
import pytest
from kserve import InferenceRESTClient, RESTConfig


def ask(server, path, body=None, method=None):
    data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
    request = urllib.request.Request(server.url + path, data, {"content-type": "application/json"} if data else {}, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read()), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read()), error.headers


def test_kserves_client(deployed):
    async def talk():
        client = InferenceRESTClient(config=RESTConfig(protocol="v1", retries=0))
        assert await client.is_server_live(deployed.url)
        assert await client.is_model_ready(deployed.url, "simple")
        rows = [{"INPUT0": list(range(16)), "INPUT1": [1] * 16}, {"INPUT0": [2] * 16, "INPUT1": [3] * 16}]
        headers = {}
        answer = await client.infer(deployed.url, {"instances": rows}, model_name="simple", response_headers=headers)
        expected = [{"OUTPUT0": [i + 1 for i in range(16)], "OUTPUT1": [i - 1 for i in range(16)]}, {"OUTPUT0": [5] * 16, "OUTPUT1": [-1] * 16}]
        assert answer == {"predictions": expected}
        assert headers["mainspring-prediction-id"]
        with pytest.raises(httpx.HTTPStatusError, match="not built.*501"):
            await client.explain(deployed.url, "simple", {"instances": rows})
        with pytest.raises(httpx.HTTPStatusError, match="no deployment.*404"):
            await client.is_model_ready(deployed.url, "nobody")
        with pytest.raises(httpx.HTTPStatusError, match="400"):
            await client.infer(deployed.url, {"instances": [{"INPUT0": ["x"] * 16, "INPUT1": [1] * 16}]}, model_name="simple")
        await client.close()

    asyncio.run(talk())


def test_one_answer_for_three_kinds_of_clients(deployed):
    status, models, _ = ask(deployed, "/v1/models")
    assert status == 200 and "simple" in models["models"]
    assert models["object"] == "list" and {"id": "simple", "object": "model"}.items() <= next(m for m in models["data"] if m["id"] == "simple").items()
    status, one, _ = ask(deployed, "/v1/models/simple")
    assert status == 200 and one["ready"] is True and one["name"] == one["id"] == "simple"
    assert one["model_version_status"] == [{"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}]
    assert ask(deployed, "/v1/models/simple/versions/1")[1] == {"model_version_status": one["model_version_status"]}
    assert ask(deployed, "/v1/models/simple/versions/9")[0] == 404
    status, about, _ = ask(deployed, "/v1/models/simple/metadata")
    inputs = about["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]
    assert inputs["INPUT0"]["dtype"] == "DT_INT32" and [d["size"] for d in inputs["INPUT0"]["tensor_shape"]["dim"]] == ["-1", "16"]
    assert about["model_spec"] == {"name": "simple", "signature_name": "", "version": "1"}


def test_rows_and_columns_as_tensorflow_serving_has_them(deployed):
    first, second = list(range(16)), [1] * 16
    columns = {"INPUT0": [first, second], "INPUT1": [second, second]}
    status, answer, headers = ask(deployed, "/v1/models/simple:predict", {"signature_name": "serving_default", "inputs": columns})
    assert status == 200 and headers["mainspring-prediction-id"]
    assert answer == {"outputs": {"OUTPUT0": [[i + 1 for i in first], [2] * 16], "OUTPUT1": [[i - 1 for i in first], [0] * 16]}}
    assert ask(deployed, "/v1/models/simple/versions/1:predict", {"inputs": columns})[1] == answer
    assert ask(deployed, "/v1/models/simple/versions/9:predict", {"inputs": columns})[0] == 404
    # One output goes without its name.
    status, answer, _ = ask(deployed, "/v1/models/identity-fp32:predict", {"instances": [[1.5, 0.1], [2, 3]]})
    assert (status, answer) == (200, {"predictions": [[1.5, 0.1], [2.0, 3.0]]})
    assert ask(deployed, "/v1/models/identity-fp32:predict", {"inputs": [[1.5, 0.1]]})[1] == {"outputs": [[1.5, 0.1]]}
    # Bytes, and numbers that JSON has no literal for.
    b64 = {"b64": base64.b64encode("Grüße".encode()).decode()}
    assert ask(deployed, "/v1/models/identity-bytes:predict", {"instances": [[b64, "b"]]})[1] == {"predictions": [["Grüße", "b"]]}
    status, answer, _ = ask(deployed, "/v1/models/identity-fp32:predict", b'{"instances": [[NaN, -Infinity]]}')
    assert status == 200 and numpy.isnan(answer["predictions"][0][0]) and answer["predictions"][0][1] == -numpy.inf


def test_what_is_not_understood_is_said(deployed):
    def error(path, body):
        status, answer, _ = ask(deployed, path, body)
        return status, answer["error"]

    rows = {"instances": [[1.0]]}
    assert error("/v1/models/identity-fp32:predict", {"signature_name": "other", **rows}) == (400, 'there is no signature "other"; there is "serving_default"')
    status, said = error("/v1/models/identity-fp32:predict", {"rows": []})
    assert status == 400 and "exactly one of instances and inputs; it " in said and "dataframe" not in said
    assert error("/v1/models/identity-fp32:predict", b"{")[0] == 400
    for verb, code in (("explain", 501), ("classify", 501), ("regress", 501), ("guess", 404)):
        assert error(f"/v1/models/identity-fp32:{verb}", rows)[0] == code
    assert error("/v1/models/identity-fp32", rows)[0] == 404
    assert error("/v1/models/nobody:predict", rows)[0] == 404
    assert error("/v1/models/identity-fp32/labels/stable:predict", rows)[0] == 501
    assert error("/v1/models/identity-bytes:predict", {"instances": [[{"b64": "***"}]]})[0] == 400


def test_an_answer_is_in_the_journal(deployed):
    _, _, headers = ask(deployed, "/v1/models/identity-fp32:predict", {"instances": [[4.0, 5.0]]})
    id = headers["mainspring-prediction-id"]
    rows = deployed.query(f"SELECT protocol, outcome FROM predictions WHERE event_id = '{id}'")
    assert rows == [{"protocol": "kserve-v1", "outcome": "ok"}]
