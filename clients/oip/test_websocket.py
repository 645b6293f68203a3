"""The WebSocket door with the `websockets` package."""

import json
import struct

import numpy
import pytest
import websockets.exceptions
from websockets.sync.client import connect


def request(name, first, values=2):
    return json.dumps({"id": name, "inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [first, values]}]})


def test_many_requests_in_flight(deployed):
    with connect(f"ws://{deployed.base}/v2/models/large/ws") as socket:
        for i in range(100):
            socket.send(request(str(i), i))
        answers = {}
        for _ in range(100):
            answer = json.loads(socket.recv(timeout=60))
            answers[answer["id"]] = answer
    assert {name: answer["outputs"][0]["data"] for name, answer in answers.items()} == {str(i): [2.0 * i, 4.0] for i in range(100)}
    assert len({answer["parameters"]["prediction_id"] for answer in answers.values()}) == 100


def test_failures_leave_the_socket_open(deployed):
    with connect(f"ws://{deployed.base}/v2/models/large/versions/1/ws") as socket:
        socket.send(json.dumps({"id": "bad", "inputs": []}))
        answer = json.loads(socket.recv(timeout=60))
        assert answer["id"] == "bad" and "input \"x\" is missing" in answer["error"]
        socket.send("no json")
        assert "not JSON" in json.loads(socket.recv(timeout=60))["error"]
        socket.send(request("good", 1))
        assert json.loads(socket.recv(timeout=60))["outputs"][0]["data"] == [2.0, 4.0]


def test_binary_tensors(deployed):
    values = numpy.random.default_rng(3).random((2, 1000), dtype=numpy.float32)
    head = json.dumps({
        "inputs": [{"name": "x", "shape": [2, 1000], "datatype": "FP32", "parameters": {"binary_data_size": values.nbytes}}],
        "parameters": {"binary_data_output": True},
    }).encode()
    with connect(f"ws://{deployed.base}/v2/models/large/ws") as socket:
        socket.send(struct.pack("<I", len(head)) + head + values.tobytes())
        answer = socket.recv(timeout=60)
    (length,) = struct.unpack("<I", answer[:4])
    output = json.loads(answer[4:4 + length])["outputs"][0]
    got = numpy.frombuffer(answer[4 + length:], dtype=numpy.float32).reshape(output["shape"])
    numpy.testing.assert_array_equal(got, values * 2)


def test_an_unknown_model_is_refused_with_a_status(deployed):
    with pytest.raises(websockets.exceptions.InvalidStatus) as failure:
        connect(f"ws://{deployed.base}/v2/models/nowhere/ws")
    assert failure.value.response.status_code == 404
