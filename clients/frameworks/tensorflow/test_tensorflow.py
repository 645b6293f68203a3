"""TensorFlow and Keras models as they were logged: the same answers as the model gives in process."""

import calls
import keras
import mlflow
import numpy
import pytest
import tensorflow
from mlflow.models import infer_signature
from sklearn.datasets import load_diabetes, load_digits


def dense():
    """A regression over ten columns."""
    keras.utils.set_random_seed(1)
    data = load_diabetes()
    rows = data.data.astype("float32")
    layers = [keras.Input((10,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(optimizer="adam", loss="mse")
    model.fit(rows, data.target.astype("float32"), epochs=2, verbose=0)
    return model, rows[:20]


def log_keras(name):
    model, rows = dense()
    own = model.predict(rows, verbose=0)
    mlflow.tensorflow.log_model(model, name="model", signature=infer_signature(rows, own), registered_model_name=name)
    return calls.Logged(rows, own)


def log_images(name):
    """Convolutions over 8 by 8 pixels, with the classes' probabilities."""
    keras.utils.set_random_seed(2)
    data = load_digits()
    images = (data.images / 16).astype("float32")[..., None]
    layers = [
        keras.Input((8, 8, 1)), keras.layers.Conv2D(8, 3, activation="relu"), keras.layers.BatchNormalization(), keras.layers.Flatten(),
        keras.layers.Dense(10, activation="softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    # After two, how far the means of the normalisation have come, and how many it knows, was a matter of luck.
    model.fit(images, data.target, epochs=5, verbose=0)
    own = model.predict(images[:20], verbose=0)
    assert (own.argmax(1) == data.target[:20]).mean() > 0.7
    mlflow.keras.log_model(model, name="model", signature=infer_signature(images[:20], own), registered_model_name=name)
    return calls.Logged(images[:20], own)


def log_two_inputs(name):
    """A functional model: two inputs by name, two outputs by name."""
    keras.utils.set_random_seed(3)
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    joined = keras.layers.Concatenate()([left, right])
    outputs = {"sum": keras.layers.Dense(1, name="sum")(joined), "classes": keras.layers.Dense(4, activation="softmax", name="classes")(joined)}
    model = keras.Model({"left": left, "right": right}, outputs)
    draw = numpy.random.default_rng(3)
    rows = {"left": draw.normal(size=(6, 3)).astype("float32"), "right": draw.normal(size=(6, 2)).astype("float32")}
    own = model.predict(rows, verbose=0)
    mlflow.tensorflow.log_model(model, name="model", signature=infer_signature(rows, own), registered_model_name=name)
    return calls.Logged(rows, own)


class Scaled(tensorflow.Module):
    """TensorFlow without Keras."""

    def __init__(self):
        super().__init__()
        self.weights = tensorflow.Variable([[1.0, -2.0], [0.5, 4.0], [3.0, 0.25]])

    @tensorflow.function(input_signature=[tensorflow.TensorSpec([None, 3], tensorflow.float32)])
    def __call__(self, rows):
        return tensorflow.math.tanh(rows @ self.weights)


def log_module(name):
    model = Scaled()
    rows = numpy.random.default_rng(5).normal(size=(7, 3)).astype("float32")
    own = model(rows).numpy()
    mlflow.tensorflow.log_model(model, name="model", signature=infer_signature(rows, own), registered_model_name=name)
    return calls.Logged(rows, own)


LOGGED = {"keras": log_keras, "images": log_images, "two-inputs": log_two_inputs, "module": log_module}


@pytest.fixture(scope="session")
def models(server):
    return calls.register(server, "tensorflow", LOGGED)


@pytest.mark.parametrize("name", LOGGED)
def test_v2(server, models, name):
    model = models[name]
    got = calls.infer(server, f"tensorflow-{name}", calls.arrays(model.rows))
    if isinstance(model.own, dict):
        assert set(got) == set(model.own)
        for label, array in got.items():
            calls.same(array, model.own[label])
    else:
        calls.same(*got.values(), model.own)


@pytest.mark.parametrize("name", [name for name in LOGGED if name != "two-inputs"])
def test_scoring(server, models, name):
    calls.check_scoring(server, f"tensorflow-{name}", models[name])


def test_scoring_of_two_inputs(server, models):
    model = models["two-inputs"]
    model = calls.Logged({name: array.tolist() for name, array in model.rows.items()}, model.own, model.folder)
    calls.check_scoring(server, "tensorflow-two-inputs", model)


def test_one_row(server, models):
    model = models["images"]
    got = calls.infer(server, "tensorflow-images", {"input": model.rows[3:4]})
    calls.same(*got.values(), model.own[3:4])
