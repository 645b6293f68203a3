"""What a client without a library sends."""

import gzip
import json
import socket

import numpy
import pytest
import requests

HEADER = "Inference-Header-Content-Length"


def test_a_raw_body_is_the_tensor(deployed):
    values = numpy.array([[1.5, 2.5]], dtype=numpy.float32)
    answer = requests.post(f"{deployed.url}/v2/models/identity-fp32/infer", data=values.tobytes(), headers={HEADER: "0"})
    assert answer.status_code == 200
    head = int(answer.headers[HEADER])
    numpy.testing.assert_array_equal(numpy.frombuffer(answer.content[head:], dtype=numpy.float32), values[0])


@pytest.mark.parametrize("body, header, text", [
    (b"{", None, "not JSON"),
    (b"[]", None, "the request must be an object"),
    (b"\xff", None, "not UTF-8"),
    (b"{}", "100", "but the body has 2 bytes"),
    (b"{}", "-1", "not a number of bytes"),
    (b'{"inputs":[{"name":"x","shape":[1,-2],"datatype":"FP32","data":[1,2]}]}', None, "inputs[0].shape[1] is -2"),
    (b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[[1],[2,3]]}]}', None, "ragged"),
    (b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP33","data":[1,2]}]}', None, "not a v2 datatype"),
    (b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP64","data":[1,2]}]}', None, "input \"x\" is FP32, got FP64"),
    (b'{"inputs":[{"name":"x","shape":[9999999999,9999999999],"datatype":"FP32","data":[1]}]}', None, "more elements than fit"),
    (b"[" * 100000, None, "the request must be an object"),
    (b'{"a":' * 5000, None, "nested too deeply"),
])
def test_bad_bodies_are_refused_in_the_protocols_shape(deployed, body, header, text):
    answer = requests.post(f"{deployed.url}/v2/models/identity-fp32/infer", data=body, headers={HEADER: header} if header else {})
    assert answer.status_code == 400
    assert text in answer.json()["error"] or "not JSON" in answer.json()["error"]


def test_bombs_and_large_bodies_are_refused(deployed):
    bomb = gzip.compress(b" " * (300 << 20))
    answer = requests.post(f"{deployed.url}/v2/models/large/infer", data=bomb, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 413
    with socket.create_connection(("127.0.0.1", deployed.port)) as plain:
        # A length over the limit is refused before the body is sent.
        plain.sendall(b"POST /v2/models/large/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 104857600000\r\n\r\n")
        assert plain.recv(65536).startswith(b"HTTP/1.1 413")
    assert requests.get(f"{deployed.url}/v2/health/ready").status_code == 200


def test_headers_name_what_answered(deployed):
    body = json.dumps({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]})
    answer = requests.post(f"{deployed.url}/v2/models/identity-fp32/infer", data=body)
    assert answer.headers["mainspring-prediction-id"] == answer.json()["parameters"]["prediction_id"]
    assert answer.headers["mainspring-variant"] == "stable"
    assert answer.headers["mainspring-model-version"] == "1"


@pytest.mark.parametrize("path", ["/health", "/healthz", "/livez", "/readyz", "/metrics", "/ping", "/version", "/v2", "/v2/"])
def test_paths_that_several_protocols_share(deployed, path):
    # No deployment is the default one here, which is what /ping is about.
    assert requests.get(deployed.url + path).status_code in ((200, 404) if path == "/ping" else (200,)), path


def test_probes(deployed):
    for path in ("/v2/health/live", "/v2/health/ready"):
        assert requests.get(deployed.url + path).json() == {"live": True, "ready": True}
