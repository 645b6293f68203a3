"""Language models as graphs, with their tokenizer beside them: the server answers texts by itself, with what
transformers' own pipelines answer in process."""

import json
import shutil

import calls
import mlflow
import numpy
import onnx
import pytest
import requests
import texts
import torch
from export import export
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer, BertForSequenceClassification, pipeline


def deploy(server, name, uri):
    server.deploy(name, uri)
    (version,) = requests.get(f"{server.url}/api/v1/deployments/{name}").json()["versions"]
    assert version["engine"] == "onnxruntime" and version["execution"]["batched"], version
    assert version["execution"]["inlineRows"] == 0, "a page of text would hold up a thread that answers requests"


def put(server, name, folder):
    """Logs the folder as it is, and deploys it."""
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("texts")
    with mlflow.start_run() as run:
        mlflow.log_artifacts(folder, "model")
    deploy(server, name, f"runs:/{run.info.run_id}/model")
    return run.info.run_id


def ask(server, name, sentences):
    return calls.infer(server, name, {"text": numpy.array(sentences, object)})


@pytest.fixture(scope="session")
def sentiment(server, tmp_path_factory):
    model, split = texts.sentiment()
    folder = export(model, split, tmp_path_factory.mktemp("sentiment"))
    put(server, "texts-sentiment", folder)
    return pipeline("text-classification", model=model, tokenizer=split), folder


def check_scores(got, whole, sentences):
    """The scores of all classes, in the order of the model's own numbers."""
    names = [whole.model.config.id2label[place] for place in range(whole.model.config.num_labels)]
    for row, text in enumerate(sentences):
        own = whole(text, truncation=True, top_k=None)
        scores = {each["label"]: each["score"] for each in own}
        assert got["label"][row] == own[0]["label"]
        numpy.testing.assert_allclose(got["score"][row], own[0]["score"], atol=1e-5)
        numpy.testing.assert_allclose(got["scores"][row], [scores[name] for name in names], atol=1e-5)


def test_text_classification(server, sentiment):
    whole, _ = sentiment
    check_scores(ask(server, "texts-sentiment", texts.SENTENCES), whole, texts.SENTENCES)


def test_classification_over_mlflow_scoring(server, sentiment):
    whole, _ = sentiment
    sentences = texts.SENTENCES[:3]
    own = whole(sentences, truncation=True)
    for body in ({"inputs": sentences}, {"dataframe_split": {"columns": ["text"], "data": [[text] for text in sentences]}}):
        answer = requests.post(f"{server.url}/deployments/texts-sentiment/invocations", json=body)
        assert answer.status_code == 200, answer.text
        for got, wanted in zip(answer.json()["predictions"], own, strict=True):
            assert got["label"] == wanted["label"]
            calls.close(got["score"], wanted["score"])
            assert set(got["scores"]) == {"NEGATIVE", "POSITIVE"}


def test_hundreds_of_texts_of_all_lengths(server, sentiment):
    """They go through the graph in several calls, the long ones together; each comes back in its place."""
    whole, _ = sentiment
    draw = numpy.random.default_rng(11)
    sentences = [" ".join(draw.choice(["film", "soup", "wonderful", "awful", "was", "xyz"], draw.integers(0, 40))) for _ in range(700)]
    got = ask(server, "texts-sentiment", sentences)
    own = whole(sentences, truncation=True, batch_size=64)
    assert list(got["label"]) == [each["label"] for each in own]
    numpy.testing.assert_allclose(got["score"], [each["score"] for each in own], atol=1e-5)


def test_what_is_no_text_is_refused(server, sentiment):
    body = {"inputs": [{"name": "text", "shape": [1], "datatype": "FP32", "data": [1.5]}]}
    answer = requests.post(f"{server.url}/v2/models/texts-sentiment/infer", json=body)
    assert answer.status_code == 400 and "BYTES" in answer.text


def test_layout_of_optimum_and_a_regression(server, tmp_path):
    """`onnx/model.onnx`, the tokenizer above it, and a model with one value and no classes' names."""
    _, split = texts.sentiment()
    torch.manual_seed(4)
    config = texts.config(split, ["LABEL_0"], problem_type="regression")
    model = BertForSequenceClassification(config).eval()
    folder = export(model, split, tmp_path, "onnx/model.onnx")
    put(server, "texts-regression", folder)
    own = pipeline("text-classification", model=model, tokenizer=split)(texts.SENTENCES, truncation=True)
    got = ask(server, "texts-regression", texts.SENTENCES)
    numpy.testing.assert_allclose(got["score"], [each["score"] for each in own], atol=1e-5)


def test_several_labels_at_once(server, tmp_path):
    _, split = texts.sentiment()
    torch.manual_seed(5)
    model = BertForSequenceClassification(texts.config(split, ["a", "b", "c"], problem_type="multi_label_classification")).eval()
    put(server, "texts-many", export(model, split, tmp_path))
    check_scores(ask(server, "texts-many", texts.SENTENCES), pipeline("text-classification", model=model, tokenizer=split), texts.SENTENCES)


def test_an_mlflow_model_whose_signature_names_a_column(server, sentiment, tmp_path):
    """The onnx flavour, with the tokenizer put beside the graph; the column is called as the user calls it."""
    whole, folder = sentiment
    made = tmp_path / "model"
    signature = ModelSignature(Schema([ColSpec("string", "review")]), Schema([ColSpec("string", "label"), ColSpec("float", "score")]))
    mlflow.onnx.save_model(onnx.load(folder / "model.onnx"), made, signature=signature)
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        shutil.copy(folder / name, made)
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("texts")
    with mlflow.start_run() as run:
        mlflow.log_artifacts(made, "model")
    mlflow.register_model(f"runs:/{run.info.run_id}/model", "texts-reviews")
    deploy(server, "texts-reviews", "models:/texts-reviews/1")
    body = {"dataframe_records": [{"review": text} for text in texts.SENTENCES[:3]]}
    answer = requests.post(f"{server.url}/deployments/texts-reviews/invocations", json=body)
    assert answer.status_code == 200, answer.text
    assert [each["label"] for each in answer.json()["predictions"]] == [each["label"] for each in whole(texts.SENTENCES[:3])]


@pytest.fixture(scope="session")
def minilm(tmp_path_factory):
    return texts.minilm(tmp_path_factory.mktemp("minilm"))


@pytest.fixture(scope="session")
def embeddings(server, minilm, tmp_path_factory):
    """MiniLM in the layout of sentence-transformers."""
    folder = tmp_path_factory.mktemp("embeddings") / "model"
    SentenceTransformer(str(minilm)).save(str(folder))
    export(AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder), folder, "onnx/model.onnx")
    (folder / "model.safetensors").unlink()
    put(server, "texts-embeddings", folder)
    return folder


def test_embeddings(server, minilm, embeddings):
    model = SentenceTransformer(str(minilm))
    (got,) = ask(server, "texts-embeddings", texts.SENTENCES).values()
    numpy.testing.assert_allclose(got, model.encode(texts.SENTENCES), atol=2e-6)
    numpy.testing.assert_allclose(numpy.linalg.norm(got, axis=1), 1, atol=1e-5)
    answer = requests.post(f"{server.url}/deployments/texts-embeddings/invocations", json={"inputs": texts.SENTENCES})
    numpy.testing.assert_allclose(answer.json()["predictions"], got, atol=2e-6)


@pytest.mark.parametrize("pooling", ["cls", "max", "mean_sqrt_len_tokens", "lasttoken"])
def test_other_ways_of_pooling(server, minilm, embeddings, pooling, tmp_path):
    """Written in both forms that sentence-transformers has had."""
    folder = shutil.copytree(embeddings, tmp_path / "model")
    shutil.rmtree(folder / "2_Normalize")
    modules = json.loads((folder / "modules.json").read_text())[:2]
    (folder / "modules.json").write_text(json.dumps(modules))
    if pooling in ("cls", "max"):
        flags = {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": False, f"pooling_mode_{pooling}_token{'s' * (pooling == 'max')}": True}
    else:
        flags = {"embedding_dimension": 384, "pooling_mode": pooling}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(flags))
    put(server, f"texts-{pooling.replace('_', '-')}", folder)
    shutil.copy(minilm / "model.safetensors", folder)
    own = SentenceTransformer(str(folder)).encode(texts.SENTENCES)
    (got,) = ask(server, f"texts-{pooling.replace('_', '-')}", texts.SENTENCES).values()
    numpy.testing.assert_allclose(got, own, atol=2e-5)


@pytest.fixture(scope="session")
def places(server, tmp_path_factory):
    model, split = texts.places()
    put(server, "texts-places", export(model, split, tmp_path_factory.mktemp("places")))
    return pipeline("token-classification", model=model, tokenizer=split, aggregation_strategy="simple")


def test_token_classification(server, places):
    sentences = ["Anna Smith lives in Oslo", "in new graz lives bert", "", "Ännä lives in 東京, they say", "Carla " * 60, *texts.SENTENCES]
    (got,) = ask(server, "texts-places", sentences).values()
    found = 0
    for text, one in zip(sentences, got):
        own = [dict(each, score=float(each["score"])) for each in places(text)] if text else []
        calls.close(json.loads(one), own)
        found += len(own)
    assert found > 5


def test_a_model_of_another_kind_is_refused_with_the_reason(server, sentiment, tmp_path):
    _, folder = sentiment
    made = shutil.copytree(folder, tmp_path / "model")
    config = json.loads((made / "config.json").read_text())
    (made / "config.json").write_text(json.dumps(config | {"architectures": ["BertForMaskedLM"]}))
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("texts")
    with mlflow.start_run() as run:
        mlflow.log_artifacts(made, "model")
    document = f"apiVersion: mainspring/v1\nkind: Deployment\nname: texts-masked\nmodel: runs:/{run.info.run_id}/model\n"
    done = server.cli("apply", "-f", "-", stdin=document, check=False)
    assert done.returncode != 0
    assert "BertForMaskedLM" in done.stdout + done.stderr
