"""Models that are not ONNX, each trained here and logged as its framework's users log it."""

import os
import sys

import catboost
import cloudpickle
import lightgbm
import mlflow
import numpy
import pandas
import xgboost
from mlflow.models import infer_signature
from mlflow.pyfunc import PythonModel
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


# The workers do not have this file: its classes go into their models whole.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def people():
    """Numbers, whole numbers, texts and truth values, and what is to be predicted from them."""
    draw = numpy.random.default_rng(7)
    frame = pandas.DataFrame({
        "age": draw.uniform(18, 90, 300), "visits": draw.integers(0, 40, 300), "city": draw.choice(["Rome", "Oslo", "Graz"], 300),
        "member": draw.choice([True, False], 300),
    })
    return frame, ((frame["age"] > 50) ^ (frame["city"] == "Oslo")).astype("int64")


class Report(PythonModel):
    """Answers with a data frame of several types."""

    def predict(self, context, model_input, params=None):
        return pandas.DataFrame({
            "doubled": model_input["age"] * 2, "where": model_input["city"].str.upper(), "often": model_input["visits"] > 10,
        })


class Words(PythonModel):
    """Texts in, a list of texts out."""

    def predict(self, context, model_input: list[str], params=None) -> list[str]:
        return [text[::-1] for text in model_input]


class Pair(PythonModel):
    """Two tensors in, two by name out."""

    def predict(self, context, model_input, params=None):
        return {"sum": model_input["a"] + model_input["b"].sum(axis=1), "first": model_input["b"][:, :1]}


class Told(PythonModel):
    """Does as it is told."""

    def predict(self, context, model_input, params=None):
        order = model_input["order"].iloc[0]
        if order == "loop":
            while True:
                pass
        if order == "die":
            os._exit(7)
        return [len(order)] * len(model_input)


def log_pipeline():
    frame, target = people()
    columns = ColumnTransformer([("numbers", StandardScaler(), ["age", "visits"]), ("city", OneHotEncoder(), ["city"])], remainder="passthrough")
    model = make_pipeline(columns, LogisticRegression()).fit(frame, target)
    mlflow.sklearn.log_model(model, name="model", input_example=frame.head(3), registered_model_name="python-pipeline")
    return frame.head(20)


def log_trees():
    """A pickle, without an example: the signature is all there is."""
    data = load_iris(as_frame=True)
    model = HistGradientBoostingRegressor(max_iter=20).fit(data.data, data.target)
    signature = infer_signature(data.data, model.predict(data.data))
    mlflow.sklearn.log_model(model, name="model", signature=signature, registered_model_name="python-trees", serialization_format="cloudpickle")
    return data.data.head(20)


def log_xgboost():
    data = load_breast_cancer()
    rows = data.data.astype("float32")
    model = xgboost.XGBClassifier(n_estimators=20).fit(rows, data.target)
    mlflow.xgboost.log_model(model, name="model", signature=infer_signature(rows, model.predict(rows)), registered_model_name="python-xgboost")
    return rows[:20]


def log_lightgbm():
    data = load_breast_cancer(as_frame=True)
    frame = data.data.rename(columns=lambda name: name.replace(" ", "_"))
    model = lightgbm.LGBMClassifier(n_estimators=20, verbose=-1).fit(frame, data.target)
    mlflow.lightgbm.log_model(model, name="model", signature=infer_signature(frame, model.predict(frame)), registered_model_name="python-lightgbm")
    return frame.head(20)


def log_catboost():
    """Texts as categories, which CatBoost takes as they are."""
    frame, target = people()
    model = catboost.CatBoostClassifier(iterations=20, cat_features=["city"], verbose=False, allow_writing_files=False).fit(frame, target)
    mlflow.catboost.log_model(model, name="model", signature=infer_signature(frame, model.predict(frame)), registered_model_name="python-catboost")
    return frame.head(20)


def log_report():
    frame, _ = people()
    model = Report()
    mlflow.pyfunc.log_model(name="model", python_model=model, signature=infer_signature(frame, model.predict(None, frame)), registered_model_name="python-report")
    return frame.head(20)


def log_words():
    mlflow.pyfunc.log_model(name="model", python_model=Words(), registered_model_name="python-words")
    return pandas.DataFrame({"0": ["ab", "Grüße", ""]})


def log_pair():
    rows = {"a": numpy.arange(4, dtype="float64"), "b": numpy.arange(8, dtype="float32").reshape(4, 2)}
    model = Pair()
    mlflow.pyfunc.log_model(name="model", python_model=model, signature=infer_signature(rows, model.predict(None, rows)), registered_model_name="python-pair")
    return rows


LOGGED = {
    "pipeline": log_pipeline, "trees": log_trees, "xgboost": log_xgboost, "lightgbm": log_lightgbm, "catboost": log_catboost,
    "report": log_report, "words": log_words, "pair": log_pair,
}


def register(tracking_url):
    """Registers every model; by name, its folder on this disk and rows for it."""
    mlflow.set_tracking_uri(tracking_url)
    mlflow.set_experiment("python")
    found = {}
    for name, log in LOGGED.items():
        with mlflow.start_run():
            rows = log()
        found[name] = (mlflow.artifacts.download_artifacts(f"models:/python-{name}/1"), rows)
    return found
