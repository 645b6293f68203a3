"""Language models as they were logged, pipelines run whole: the same answers as they give in process."""

import calls
import mlflow
import numpy
import pytest
import requests
import texts
from mlflow.models import infer_signature
from sentence_transformers import SentenceTransformer
from transformers import pipeline

# Without them mlflow wants torchvision, which no text needs.
REQUIREMENTS = ["transformers", "torch"]

# A pipeline answers nothing useful to no text at all.
SENTENCES = [text for text in texts.SENTENCES if text]


def log_sentiment(name):
    model, split = texts.sentiment()
    whole = pipeline("text-classification", model=model, tokenizer=split)
    own = whole(SENTENCES, truncation=True)
    assert {each["label"] for each in own} == {"NEGATIVE", "POSITIVE"}
    params = {"truncation": True}
    mlflow.transformers.log_model(whole, name="model", model_config=params, input_example=SENTENCES[:2], registered_model_name=name, pip_requirements=REQUIREMENTS)
    return calls.Logged(SENTENCES, {key: [each[key] for each in own] for key in ("label", "score")})


def log_places(name):
    model, split = texts.places()
    whole = pipeline("token-classification", model=model, tokenizer=split, aggregation_strategy="simple")
    # What a pipeline was made with is not a part of its model: it is given as `model_config` too.
    params = {"aggregation_strategy": "simple"}
    mlflow.transformers.log_model(whole, name="model", model_config=params, input_example=["anna lives in oslo"], registered_model_name=name, pip_requirements=REQUIREMENTS)
    sentences = ["Anna Smith lives in Oslo", "in new graz lives bert", "Carla smith lives in rome"]
    own = [",".join(found["entity_group"] for found in each) for each in whole(sentences)]
    assert any("LOC" in each for each in own)
    return calls.Logged(sentences, own)


@pytest.fixture(scope="session")
def minilm(tmp_path_factory):
    return texts.minilm(tmp_path_factory.mktemp("minilm"))


@pytest.fixture(scope="session")
def models(server, minilm):
    def log_embeddings(name):
        model = SentenceTransformer(str(minilm))
        own = model.encode(SENTENCES)
        signature = infer_signature(SENTENCES, own)
        mlflow.sentence_transformers.log_model(model, name="model", signature=signature, registered_model_name=name, pip_requirements=REQUIREMENTS)
        return calls.Logged(SENTENCES, own)

    return calls.register(server, "language", {"sentiment": log_sentiment, "places": log_places, "embeddings": log_embeddings})


def answer(server, name, sentences):
    (version,) = requests.get(f"{server.url}/api/v1/deployments/language-{name}").json()["versions"]
    assert version["engine"] == "python"
    return calls.infer(server, f"language-{name}", {input_of(server, name): numpy.array(sentences, object)})


def input_of(server, name):
    (only,) = requests.get(f"{server.url}/v2/models/language-{name}").json()["inputs"]
    assert only["datatype"] == "BYTES"
    return only["name"]


def test_text_classification(server, models):
    model = models["sentiment"]
    got = answer(server, "sentiment", model.rows)
    calls.same(got["label"], model.own["label"])
    calls.same(got["score"], model.own["score"])


def test_token_classification(server, models):
    (got,) = answer(server, "places", models["places"].rows).values()
    calls.same(got, models["places"].own)


def test_embeddings(server, models):
    (got,) = answer(server, "embeddings", models["embeddings"].rows).values()
    calls.same(got, models["embeddings"].own)


@pytest.mark.parametrize("name", ["sentiment", "places", "embeddings"])
def test_scoring(server, models, name):
    calls.check_scoring(server, f"language-{name}", models[name])


def test_texts_of_several_requests_share_a_call(server, models):
    """What rows of other requests are in a batch does not change an answer beyond the last digits."""
    one = [answer(server, "sentiment", [text])["score"][0] for text in SENTENCES]
    numpy.testing.assert_allclose(one, models["sentiment"].own["score"], rtol=1e-4)
