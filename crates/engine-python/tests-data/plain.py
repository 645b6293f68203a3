"""A plain Python file that is a model: what it needs beside itself is in its folder."""

import pathlib

import pandas

input_example = pandas.DataFrame({"x": [1.0, 2.0], "name": ["a", "b"]})


def load(folder):
    return float(pathlib.Path(folder, "weights.txt").read_text())


def predict(model, data):
    return data["x"] * model


def predict_stream(model, data):
    for place in range(int(data["x"].iloc[0])):
        yield f"{place} {model}"
