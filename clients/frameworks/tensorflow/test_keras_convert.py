"""Keras models converted to ONNX by the command: the same answers from the server's own ONNX Runtime."""

import calls
import keras
import mlflow
import numpy
import pytest
from mlflow.models import infer_signature
from sklearn.datasets import load_wine
from test_tensorflow import log_images, log_keras, log_two_inputs


def log_wine(name):
    """A layer that was fitted to the data, and one whose function ONNX makes of many."""
    keras.utils.set_random_seed(5)
    data = load_wine()
    rows = data.data.astype("float32")
    layers = [keras.Input((13,)), keras.layers.Normalization(), keras.layers.Dense(16, activation="gelu"), keras.layers.Dense(3, activation="softmax")]
    model = keras.Sequential(layers)
    model.layers[0].adapt(rows)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.fit(rows, data.target, epochs=2, verbose=0)
    own = model.predict(rows[:40], verbose=0)
    mlflow.tensorflow.log_model(model, name="model", signature=infer_signature(rows, own), input_example=rows[:40], registered_model_name=name)
    return calls.Logged(rows[:40], own)


def log_words(name):
    """A recurrent model, over 32-bit numbers of words."""
    keras.utils.set_random_seed(6)
    draw = keras.random.SeedGenerator(4)
    rows = keras.ops.convert_to_numpy(keras.random.randint((24, 6), 0, 50, dtype="int32", seed=draw))
    model = keras.Sequential([keras.Input((6,), dtype="int32"), keras.layers.Embedding(50, 8), keras.layers.LSTM(12), keras.layers.Dense(2)])
    own = model.predict(rows, verbose=0)
    mlflow.tensorflow.log_model(model, name="model", signature=infer_signature(rows, own), input_example=rows, registered_model_name=name)
    return calls.Logged(rows, own)


LOGGED = {"dense": log_keras, "images": log_images, "wine": log_wine, "words": log_words, "two-inputs": log_two_inputs}


@pytest.fixture(scope="session")
def models(server):
    return calls.register(server, "keras-convert", LOGGED)


@pytest.mark.parametrize("name", ["wine", "words"])
def test_converted(server, models, name):
    calls.check_conversion(server, f"keras-convert-{name}", models[name], "Keras")


@pytest.mark.parametrize("name", ["dense", "images"])
def test_converted_on_rows_of_a_file(server, models, name, tmp_path):
    """Logged without an input example, so the rows are given."""
    numpy.save(tmp_path / "rows.npy", models[name].rows)
    calls.check_conversion(server, f"keras-convert-{name}", models[name], "Keras", "--data", tmp_path / "rows.npy")


def test_two_inputs_are_refused_by_number(server, models, tmp_path):
    numpy.savez(tmp_path / "rows.npz", **models["two-inputs"].rows)
    refused = server.cli("convert", "keras-convert-two-inputs/1", "--env", "shared", "--data", tmp_path / "rows.npz", check=False)
    assert refused.returncode == 1 and "2 inputs and 2 outputs" in refused.stderr
