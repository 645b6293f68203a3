"""`tritonclient.http` against the REST door."""

import asyncio
import time

import ml_dtypes
import numpy
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

DTYPES = {
    "BOOL": numpy.bool_,
    "UINT8": numpy.uint8,
    "UINT16": numpy.uint16,
    "UINT32": numpy.uint32,
    "UINT64": numpy.uint64,
    "INT8": numpy.int8,
    "INT16": numpy.int16,
    "INT32": numpy.int32,
    "INT64": numpy.int64,
    "FP16": numpy.float16,
    "FP32": numpy.float32,
    "FP64": numpy.float64,
}


@pytest.fixture
def client(deployed):
    with triton.InferenceServerClient(deployed.base) as client:
        yield client


def rows():
    return numpy.arange(16, dtype=numpy.int32).reshape(1, 16), numpy.ones((1, 16), dtype=numpy.int32)


def inputs(binary=True, module=triton):
    made = []
    for name, values in zip(("INPUT0", "INPUT1"), rows()):
        tensor = module.InferInput(name, list(values.shape), "INT32")
        tensor.set_data_from_numpy(values, binary_data=binary)
        made.append(tensor)
    return made


def test_health_and_metadata(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("simple")
    assert client.is_model_ready("simple", "1")
    assert not client.is_model_ready("nowhere")
    server = client.get_server_metadata()
    assert server["name"] == "mainspring"
    assert "binary_tensor_data" in server["extensions"]
    assert "system_shared_memory" not in server["extensions"]
    model = client.get_model_metadata("simple")
    assert model["platform"] == "onnxruntime_onnx"
    assert model["versions"] == ["1"]
    assert model["inputs"] == [{"name": name, "datatype": "INT32", "shape": [-1, 16]} for name in ("INPUT0", "INPUT1")]
    assert [output["name"] for output in model["outputs"]] == ["OUTPUT0", "OUTPUT1"]
    config = client.get_model_config("simple")
    assert config["input"][0]["data_type"] == "TYPE_INT32"
    index = {model["name"]: model for model in client.get_model_repository_index()}
    assert (index["simple"]["version"], index["simple"]["state"]) == ("1", "READY")


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("asked", [True, False, None])
def test_infer(client, sent, asked):
    outputs = None if asked is None else [triton.InferRequestedOutput(name, binary_data=asked) for name in ("OUTPUT1", "OUTPUT0")]
    result = client.infer("simple", inputs(sent), outputs=outputs, request_id="mine")
    first, second = rows()
    numpy.testing.assert_array_equal(result.as_numpy("OUTPUT0"), first + second)
    numpy.testing.assert_array_equal(result.as_numpy("OUTPUT1"), first - second)
    response = result.get_response()
    assert response["id"] == "mine"
    assert (response["model_name"], response["model_version"]) == ("simple", "1")
    assert len(response["parameters"]["prediction_id"]) == 36
    if asked is not None:
        assert [output["name"] for output in response["outputs"]] == ["OUTPUT1", "OUTPUT0"]


@pytest.mark.parametrize("datatype", DTYPES)
def test_every_type_survives(client, datatype):
    dtype = DTYPES[datatype]
    if numpy.issubdtype(dtype, numpy.integer):
        values = numpy.array([[numpy.iinfo(dtype).min, numpy.iinfo(dtype).max], [0, 1]], dtype=dtype)
    elif dtype is numpy.bool_:
        values = numpy.array([[True, False]])
    else:
        values = numpy.array([[0.1, -2.5], [numpy.finfo(dtype).max, numpy.finfo(dtype).tiny]], dtype=dtype)
    forms = [(True, True)] if datatype == "FP16" else [(sent, asked) for sent in (True, False) for asked in (True, False)]
    for sent, asked in forms:
        tensor = triton.InferInput("x", list(values.shape), datatype)
        tensor.set_data_from_numpy(values, binary_data=sent)
        output = triton.InferRequestedOutput("y", binary_data=asked)
        got = client.infer(f"identity-{datatype.lower()}", [tensor], outputs=[output]).as_numpy("y")
        assert got.dtype == values.dtype
        numpy.testing.assert_array_equal(got, values)


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("asked", [True, False])
def test_strings(client, sent, asked):
    values = numpy.array([["plain", "ä\"\\\n€"], ["", "🙂"]], dtype=numpy.object_)
    tensor = triton.InferInput("x", [2, 2], "BYTES")
    tensor.set_data_from_numpy(values, binary_data=sent)
    output = triton.InferRequestedOutput("y", binary_data=asked)
    got = client.infer("identity-bytes", [tensor], outputs=[output]).as_numpy("y")
    text = [value.decode() if isinstance(value, bytes) else value for value in got.ravel()]
    assert text == list(values.ravel())


def test_not_a_number_and_infinity_in_json(client):
    tensor = triton.InferInput("x", [1, 2], "FP32")
    tensor.set_data_from_numpy(numpy.array([[0.0, numpy.nan]], dtype=numpy.float32), binary_data=False)
    output = triton.InferRequestedOutput("y", binary_data=False)
    got = client.infer("reciprocal", [tensor], outputs=[output]).as_numpy("y")
    assert numpy.isinf(got[0, 0]) and numpy.isnan(got[0, 1])


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compression_both_ways(client, coding):
    values = numpy.arange(4000, dtype=numpy.float32).reshape(1, 4000)
    for binary in (True, False):
        tensor = triton.InferInput("x", [1, 4000], "FP32")
        tensor.set_data_from_numpy(values, binary_data=binary)
        output = triton.InferRequestedOutput("y", binary_data=binary)
        result = client.infer("large", [tensor], outputs=[output], request_compression_algorithm=coding, response_compression_algorithm=coding)
        numpy.testing.assert_array_equal(result.as_numpy("y"), values * 2)


def test_a_megabyte(client):
    values = numpy.random.default_rng(1).random((4, 65536), dtype=numpy.float32)
    tensor = triton.InferInput("x", list(values.shape), "FP32")
    tensor.set_data_from_numpy(values)
    numpy.testing.assert_array_equal(client.infer("large", [tensor]).as_numpy("y"), values * 2)


def test_the_model_config_says_how_it_batches_and_statistics_count(client):
    before = client.get_inference_statistics("simple")["model_stats"][0]
    client.infer("simple", inputs())
    after = client.get_inference_statistics("simple", "1")["model_stats"][0]
    assert after["inference_count"] == before["inference_count"] + 1
    assert after["inference_stats"]["success"]["count"] == before["inference_stats"]["success"]["count"] + 1
    names = {stats["name"] for stats in client.get_inference_statistics()["model_stats"]}
    assert {"simple", "large"} <= names


def test_bfloat16_goes_as_binary_data_only(client):
    values = numpy.array([[1.5, -2.0], [0.0, 3.140625]], dtype=ml_dtypes.bfloat16)
    tensor = triton.InferInput("x", [2, 2], "BF16")
    tensor.set_data_from_numpy(values)
    got = client.infer("identity-bf16", [tensor], outputs=[triton.InferRequestedOutput("y")]).as_numpy("y")
    numpy.testing.assert_array_equal(got, values)


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("asked", [True, False])
def test_a_tensor_without_elements(client, sent, asked):
    tensor = triton.InferInput("x", [2, 0], "FP32")
    tensor.set_data_from_numpy(numpy.zeros((2, 0), dtype=numpy.float32), binary_data=sent)
    output = triton.InferRequestedOutput("y", binary_data=asked)
    got = client.infer("large", [tensor], outputs=[output]).as_numpy("y")
    assert got.shape == (2, 0)


@pytest.mark.parametrize("binary", [True, False])
def test_classification(client, binary):
    tensor = triton.InferInput("x", [2, 2], "FP32")
    tensor.set_data_from_numpy(numpy.array([[0.25, 0.75], [5.0, -1.0]], dtype=numpy.float32))
    output = triton.InferRequestedOutput("y", binary_data=binary, class_count=1)
    got = client.infer("identity-fp32", [tensor], outputs=[output]).as_numpy("y")
    text = [value.decode() if isinstance(value, bytes) else value for value in got.ravel()]
    assert got.shape == (2, 1)
    assert text == ["0.750000:1", "5.000000:0"]
    assert "classification" in client.get_server_metadata()["extensions"]


def test_parameters_that_change_nothing_are_taken(client):
    result = client.infer("simple", inputs(), priority=3, timeout=60_000_000, parameters={"mine": 1, "also": "text", "flag": True})
    numpy.testing.assert_array_equal(result.as_numpy("OUTPUT0"), sum(rows()))


def test_statistics_have_tritons_shape(client):
    client.infer("simple", inputs())
    stats = client.get_inference_statistics("simple")["model_stats"][0]
    assert set(stats) == {
        "name", "version", "last_inference", "inference_count", "execution_count", "inference_stats", "response_stats",
        "batch_stats", "memory_usage",
    }
    durations = {"success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss"}
    assert set(stats["inference_stats"]) == durations
    assert all(set(duration) == {"count", "ns"} for duration in stats["inference_stats"].values())
    assert all(set(batch) == {"batch_size", "compute_input", "compute_infer", "compute_output"} for batch in stats["batch_stats"])
    assert set(stats["memory_usage"][0]) == {"type", "id", "byte_size"}
    assert abs(stats["last_inference"] - time.time() * 1000) < 60_000
    assert stats["inference_count"] >= stats["execution_count"] > 0


def texts():
    tensor = triton.InferInput("x", [1, 2], "BYTES")
    tensor.set_data_from_numpy(numpy.array([["a", "b"]], dtype=numpy.object_))
    return [tensor]


def in_shared_memory():
    made = inputs()
    made[0].set_shared_memory("region", 64)
    return made


def wrong_shape():
    return [triton.InferInput(name, [1, 4], "INT32").set_data_from_numpy(numpy.zeros((1, 4), numpy.int32)) for name in ("INPUT0", "INPUT1")]


@pytest.mark.parametrize("call, status, text", [
    (lambda c: c.infer("smple", inputs()), "404", "did you mean \"simple\"?"),
    (lambda c: c.infer("simple", inputs(), model_version="9"), "404", "does not serve version \"9\""),
    (lambda c: c.infer("simple", inputs()[:1]), "400", "input \"INPUT1\" is missing"),
    (lambda c: c.infer("simple", wrong_shape()), "400", "input \"INPUT0\" has shape [-1, 16]"),
    (lambda c: c.infer("simple", inputs(), outputs=[triton.InferRequestedOutput("OUT")]), "400", "unexpected output \"OUT\""),
    (lambda c: c.infer("simple", inputs(), sequence_id=7, sequence_start=True), "501", "sequence"),
    (lambda c: c.infer("identity-bytes", texts(), outputs=[triton.InferRequestedOutput("y", class_count=2)]), "400", "have no classes"),
    (lambda c: c.infer("simple", in_shared_memory()), "501", "shared memory (inputs[0].parameters.shared_memory_region)"),
    (lambda c: c.load_model("simple"), "501", "mainspring apply"),
    (lambda c: c.unload_model("simple"), "501", "mainspring apply"),
    (lambda c: c.get_system_shared_memory_status(), "501", "shared memory is not supported"),
    (lambda c: c.register_system_shared_memory("region", "/key", 64), "501", "shared memory is not supported"),
    (lambda c: c.unregister_system_shared_memory(), "501", "shared memory is not supported"),
    (lambda c: c.get_cuda_shared_memory_status(), "501", "shared memory is not supported"),
    (lambda c: c.get_trace_settings(), "501", "trace settings"),
    (lambda c: c.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"]}), "501", "trace settings"),
    (lambda c: c.get_log_settings(), "501", "log settings"),
    (lambda c: c.update_log_settings({"log_verbose_level": 1}), "501", "log settings"),
    (lambda c: c.get_model_metadata("nowhere"), "404", "there is no deployment"),
])
def test_failures_carry_status_and_reason(client, call, status, text):
    with pytest.raises(InferenceServerException) as failure:
        call(client)
    assert failure.value.status() == status
    assert text in failure.value.message()


def test_many_in_flight(deployed):
    with triton.InferenceServerClient(deployed.base, concurrency=4) as client:
        waiting = [client.async_infer("simple", inputs(), request_id=str(i)) for i in range(40)]
        answers = [each.get_result().get_response()["id"] for each in waiting]
    assert answers == [str(i) for i in range(40)]


def test_aio(deployed):
    async def infer():
        async with triton_aio.InferenceServerClient(deployed.base) as client:
            return await client.infer("simple", inputs())

    result = asyncio.run(infer())
    assert result.as_numpy("OUTPUT0").sum() == sum(values.sum() for values in rows())


def test_answers_are_in_the_journal(deployed, client):
    result = client.infer("simple", inputs(), request_id="journaled")
    prediction = result.get_response()["parameters"]["prediction_id"]
    until = time.monotonic() + 60
    found = []
    while not found and time.monotonic() < until:
        found = deployed.query(f"select event_id, protocol, client_id from predictions where event_id = '{prediction}'")
    assert [(row["protocol"], row["client_id"]) for row in found] == [("oip-rest", "journaled")]
