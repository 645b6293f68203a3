"""Parameters, nested values, dates, bytes, type hints and streams: as MLflow's own scoring server answers."""

import contextlib
import json
import queue
import threading
import time

import mlflow
import numpy
import pytest
import requests
import rich_models
import tritonclient.grpc
import tritonclient.http
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from mlflow.types import Schema, TensorSpec
from websockets.sync.client import connect


@pytest.fixture(scope="module")
def loaded(server):
    return rich_models.register(server)


def score(server, name, body):
    return requests.post(
        f"{server.url}/deployments/rich-{name}/invocations", data=json.dumps(body), headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("label", rich_models.BODIES)
def test_scoring(server, loaded, label):
    name, body = rich_models.BODIES[label]
    model = loaded[name]
    answer = score(server, name, body)
    try:
        theirs = scoring_server.invocations(json.dumps(body), "application/json", model, model.metadata.get_input_schema())
    except MlflowException as error:
        if label in rich_models.TAKEN:
            same = rich_models.TAKEN[label]
            assert answer.status_code == 200, answer.text
            assert same is None or answer.json() == score(server, *rich_models.BODIES[same]).json()
            return
        assert label in rich_models.REFUSED and error.get_http_status_code() == 400, error
        assert answer.status_code == 400, answer.text
        return
    assert label not in rich_models.REFUSED and theirs.status == 200
    assert answer.status_code == 200, answer.text
    assert answer.json() == json.loads(theirs.response)


@pytest.mark.parametrize("label", ["nested records", "vectors"])
def test_nested_rows_of_the_native_api(server, loaded, label):
    """What the console's form sends: nested values go in and come out as they are in MLflow's form."""
    name, body = rich_models.BODIES[label]
    url = f"{server.url}/api/v1/deployments/rich-{name}/predict"
    answer = requests.post(url, json={"rows": body["dataframe_records"]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"] == score(server, name, body).json()["predictions"]
    if label == "nested records":
        refused = requests.post(url, json={"rows": [{**rich_models.NESTED_ROWS[0], "map": []}]})
        assert refused.status_code == 400 and "map" in refused.text


def test_parameters_of_a_v2_request(server, loaded):
    def ask(**more):
        body = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.5]}], **more}
        answer = requests.post(f"{server.url}/v2/models/rich-told/infer", json=body)
        return {output["name"]: output["data"][0] for output in answer.json()["outputs"]} if answer.ok else answer.json()["error"]

    assert ask() == {"x": 1.5, "heat": 1.0, "top": 3, "stop": "."}
    assert ask(parameters={"heat": 2, "stop": ["a", "b"], "mine": {}}) == {"x": 1.5, "heat": 2.0, "top": 3, "stop": "a|b"}
    assert "params.heat must be double" in ask(parameters={"heat": "hot"})
    with tritonclient.grpc.InferenceServerClient(server.base) as client:
        given = tritonclient.grpc.InferInput("x", [1], "FP64")
        given.set_data_from_numpy(numpy.array([1.5]))
        answer = client.infer("rich-told", [given], parameters={"top": 9, "stop": '["a","b"]'})
        assert (answer.as_numpy("top")[0], answer.as_numpy("stop")[0]) == (9, b"a|b")


def test_requests_with_other_parameters_do_not_mix(server, loaded):
    """Many at once, of which each gets an answer with its own parameters."""
    wrong = []

    def run(number):
        for _ in range(10):
            answer = score(server, "told", {"dataframe_records": [{"x": float(number)}], "params": {"top": number % 3}})
            if answer.json() != {"predictions": [{"x": float(number), "heat": 1.0, "top": number % 3, "stop": "."}]}:
                wrong.append(answer.text)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(12)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not wrong, wrong[0]


def test_v2_takes_nested_values_as_json_and_bytes_as_they_are(server, loaded):
    row = rich_models.NESTED_ROWS[0]
    with tritonclient.http.InferenceServerClient(server.base) as client:
        inputs = []
        for name, value in row.items():
            inputs.append(tritonclient.http.InferInput(name, [1], "BYTES"))
            inputs[-1].set_data_from_numpy(numpy.array([json.dumps(value)], dtype=object))
        answer = client.infer("rich-seen", inputs)
        back = {name: json.loads(answer.as_numpy(f"{name} back")[0]) for name in row}
        assert back == row
        image = tritonclient.http.InferInput("image", [1], "BYTES")
        image.set_data_from_numpy(numpy.array([rich_models.IMAGE], dtype=object))
        answer = client.infer("rich-images", [image])
        assert answer.as_numpy("size")[0] == 256 and answer.as_numpy("back")[0] == rich_models.IMAGE[::-1]
        client_metadata = client.get_model_metadata("rich-seen")
        assert [each["datatype"] for each in client_metadata["inputs"]] == ["BYTES"] * 5


WORDS = "one two json four"


def words(model, text):
    return list(model.predict_stream({"text": text}))


def test_parts_over_grpc(server, loaded):
    got = queue.Queue()
    with tritonclient.grpc.InferenceServerClient(server.base) as client:
        client.start_stream(callback=lambda result, error: got.put((result, error)))
        given = tritonclient.grpc.InferInput("text", [1], "BYTES")
        given.set_data_from_numpy(numpy.array([WORDS], dtype=object))
        client.async_stream_infer("rich-parts", [given], request_id="r", enable_empty_final_response=True)
        parts, ids = [], set()
        while True:
            result, error = got.get(timeout=60)
            assert error is None, error
            response = result.get_response()
            ids.add(response.parameters["prediction_id"].string_param)
            if response.parameters["triton_final_response"].bool_param:
                break
            parts.append(result.as_numpy(response.outputs[0].name)[0].decode())
        client.stop_stream()
    expected = [word if isinstance(word, str) else json.dumps(word, separators=(",", ":")) for word in words(loaded["parts"], WORDS)]
    assert parts == expected and len(ids) == 1


def test_parts_over_http_and_a_failure_in_the_middle(server, loaded):
    def stream(text):
        with requests.post(f"{server.url}/v2/models/rich-parts/generate_stream", json={"text": text}, stream=True) as answer:
            lines = [line for line in answer.iter_lines(decode_unicode=True) if line]
            return answer, [json.loads(line.removeprefix("data: ")) for line in lines]

    answer, parts = stream(WORDS)
    assert answer.headers["content-type"] == "text/event-stream"
    outputs = [value for part in parts for name, value in part.items() if name not in ("model_name", "model_version", "parameters")]
    assert outputs == words(loaded["parts"], WORDS)
    assert {part["parameters"]["prediction_id"] for part in parts} == {answer.headers["mainspring-prediction-id"]}
    answer, parts = stream("one fail two")
    assert len(parts) == 2 and "ValueError" in parts[1]["error"] and "secret" not in parts[1]["error"]
    whole = requests.post(f"{server.url}/v2/models/rich-parts/generate", json={"text": WORDS}).json()
    assert f"{WORDS}!" in whole.values()
    nothing = requests.post(f"{server.url}/v2/models/rich-parts/generate", json={"texts": WORDS})
    assert nothing.status_code == 400 and 'input "text" is missing' in nothing.json()["error"], nothing.text


def test_a_chat_in_parts(server, loaded):
    answer = requests.post(f"{server.url}/v2/models/rich-chat/generate_stream", json={"messages": rich_models.CHAT, "temperature": 0.1})
    parts = [json.loads(line.removeprefix("data: "))["output"] for line in answer.text.splitlines() if line]
    assert parts == list(loaded["chat"].predict_stream({"messages": rich_models.CHAT}))


def test_tokens_of_a_chat_are_what_it_says(server):
    body = {"messages": [{"role": "user", "content": "three words here"}], "temperature": 0.5}
    whole = requests.post(f"{server.url}/deployments/rich-chat/invocations", json=body)
    assert whole.json()["usage"]["prompt_tokens"] == 3, whole.text
    parts = requests.post(f"{server.url}/v2/models/rich-chat/generate_stream", json=body)
    assert '"prompt_tokens":7' in parts.text.replace(" ", ""), parts.text
    ids = [answer.headers["mainspring-prediction-id"] for answer in (whole, parts)]
    asked = f"SELECT event_id, tokens_in, tokens_out FROM predictions WHERE event_id IN ('{ids[0]}', '{ids[1]}')"
    rows = json.loads(server.cli("query", asked, "--output", "json"))["rows"]
    assert sorted(rows) == sorted([[ids[0], 3, 2], [ids[1], 7, 5]])
    total = json.loads(server.cli("cost", "--deployment", "rich-chat", "--output", "json"))["total"]
    assert total["tokensIn"] >= 10 and total["tokensOut"] >= 7


def test_parts_over_a_websocket(server, loaded):
    with connect(f"ws://{server.base}/v2/models/rich-parts/ws") as socket:
        socket.send(json.dumps({"id": "w", "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [WORDS]}]}))
        parts = []
        while True:
            message = json.loads(socket.recv(timeout=60))
            assert message["id"] == "w", message
            if message["parameters"]["triton_final_response"]:
                break
            parts.append(message["outputs"][0]["data"][0])
        assert [parts[0], json.loads(parts[2])] == ["one", {"word": "json"}]


def test_lines_of_a_model_are_joined_to_the_prediction(server, loaded):
    with requests.post(f"{server.url}/v2/models/rich-parts/generate_stream", json={"text": "unheard-of"}) as answer:
        id = answer.headers["mainspring-prediction-id"]
    said = lambda: [line for line in server.log.read_text().splitlines(keepends=True) if "saying unheard-of" in line and line.endswith("\n")]
    # What a worker wrote comes into the log by a way of its own.
    until = time.monotonic() + 60
    while not (lines := said()):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert len(lines) == 1 and id in lines[0], lines


PLAIN = '''
import pathlib
import pandas

input_example = pandas.DataFrame({"x": [1.0], "tags": [["a"]]})


def load(folder):
    return float(pathlib.Path(folder, "weight.txt").read_text())


def predict(model, data):
    return pandas.DataFrame({"y": data["x"] * model, "count": [len(tags) for tags in data["tags"]]})


def predict_stream(model, data):
    yield from data["tags"].iloc[0]
'''


def test_a_plain_file_with_load_and_predict(server, tmp_path):
    (tmp_path / "model.py").write_text(PLAIN)
    (tmp_path / "weight.txt").write_text("3")
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("rich")
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(tmp_path), "plain")
    server.deploy("rich-plain", f"runs:/{run.info.run_id}/plain", engine={"python": {"env": "shared"}})
    body = {"dataframe_records": [{"x": 2.0, "tags": ["a", "b"]}, {"x": 1.0, "tags": []}]}
    answer = requests.post(f"{server.url}/deployments/rich-plain/invocations", json=body)
    assert answer.json() == {"predictions": [{"y": 6.0, "count": 2}, {"y": 3.0, "count": 0}]}, answer.text
    parts = requests.post(f"{server.url}/v2/models/rich-plain/generate_stream", json={"x": 1, "tags": ["p", "q"]})
    assert parts.text.count("data: ") == 2 and '"q"' in parts.text, parts.text


def test_models_from_code(server, tmp_path):
    """What MLflow calls so: a script that names its model."""
    script = tmp_path / "script.py"
    script.write_text(
        "import mlflow\nfrom mlflow.pyfunc import PythonModel\n\n\nclass Mine(PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n        return model_input['x'] + 1\n\n\nmlflow.models.set_model(Mine())\n")
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("rich")
    with mlflow.start_run():
        signature = mlflow.models.ModelSignature(rich_models.doubles("x"))
        mlflow.pyfunc.log_model(name="model", python_model=str(script), signature=signature, registered_model_name="rich-script")
    server.deploy("rich-script", "models:/rich-script/1", engine={"python": {"env": "shared"}})
    assert score(server, "script", {"dataframe_records": [{"x": 1.0}]}).json() == {"predictions": [{"x": 2.0}]}


WIDE = '''
import mlflow
import numpy
from mlflow.pyfunc import PythonModel


class Wide(PythonModel):
    def predict(self, context, model_input, params=None):
        count = model_input["n"] if isinstance(model_input, dict) else model_input
        return numpy.arange(int(count.max()), dtype=numpy.float64)[None, :]


mlflow.models.set_model(Wide())
'''


def test_an_answer_of_two_hundred_megabytes(server, tmp_path):
    (tmp_path / "wide.py").write_text(WIDE)
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("rich")
    tensor = lambda kind, name, *shape: Schema([TensorSpec(numpy.dtype(kind), shape, name)])  # noqa: E731
    with mlflow.start_run():
        signature = mlflow.models.ModelSignature(tensor("int64", "n", -1, 1), tensor("float64", "y", -1, -1))
        mlflow.pyfunc.log_model(name="model", python_model=str(tmp_path / "wide.py"), signature=signature, registered_model_name="rich-wide")
    server.deploy("rich-wide", "models:/rich-wide/1", engine={"python": {"env": "shared"}})
    count = 25_000_000
    for client in (tritonclient.http, tritonclient.grpc):
        given = client.InferInput("n", [1, 1], "INT64")
        given.set_data_from_numpy(numpy.array([[count]]))
        with contextlib.closing(client.InferenceServerClient(server.base, **({"network_timeout": 120} if client is tritonclient.http else {}))) as asked:
            answer = asked.infer("rich-wide", [given]).as_numpy("y")
        assert answer.shape == (1, count) and (answer[0, ::1_000_003] == numpy.arange(count)[::1_000_003]).all()
