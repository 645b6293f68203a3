"""Real models on real data: train, convert to ONNX, log and register through the `mlflow` client.

The data sets come inside the scikit-learn package:

- breast cancer Wisconsin: 569 tumours, 30 measurements each; malignant or benign
- wine recognition: 178 wines of three growers, 13 chemical measurements
- diabetes: 442 patients, 10 measurements; how the disease went on in a year
"""

import contextlib
import dataclasses
import io
import logging
import time

import mlflow
import numpy
import onnxruntime
import pandas
import skl2onnx
import sklearn
from sklearn import compose, datasets, ensemble, linear_model, metrics, model_selection, pipeline, preprocessing


@dataclasses.dataclass
class Data:
    """A data set, split once: what is held out stands for tomorrow's requests."""

    train_x: pandas.DataFrame
    train_y: pandas.Series
    test_x: pandas.DataFrame
    test_y: pandas.Series


@dataclasses.dataclass
class Registered:
    """A model version in the registry, and the model itself to compare answers with."""

    name: str
    version: str
    run_id: str
    score: float
    model: object


def load(loader, share=0.3):
    bunch = loader(as_frame=True)
    columns = [column.replace(" ", "_") for column in bunch.data.columns]
    x = bunch.data.astype(numpy.float32).set_axis(columns, axis=1)
    stratify = bunch.target if bunch.target.nunique() < 10 else None
    split = model_selection.train_test_split(x, bunch.target, test_size=share, random_state=7, stratify=stratify)
    return Data(split[0], split[2], split[1], split[3])


def to_onnx(model, data):
    """A classifier answers `label` and `probabilities`; a regressor answers `variable`."""
    classifier = sklearn.base.is_classifier(model)
    # Without this option a classifier answers a list of maps, which no tensor protocol carries.
    options = {"zipmap": False} if classifier else None
    sample = data.train_x.head(1).to_numpy()
    return skl2onnx.to_onnx(model, sample, options=options, target_opset=17)


@contextlib.contextmanager
def quiet():
    """mlflow prints a link at the end of each run, and tells of each step."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def learning_curve(model, data):
    """Loss on what was learned from, and accuracy on what was held out, after each tree."""
    now = int(time.time() * 1000)
    held_out = [metrics.accuracy_score(data.test_y, answer) for answer in model.staged_predict(data.test_x.to_numpy())]
    series = {"train_deviance": model.train_score_, "held_out_accuracy": held_out}
    return [mlflow.entities.Metric(key, float(value), now, step) for key, values in series.items() for step, value in enumerate(values)]


def register(name, data, model, params, curve=False):
    """One run: parameters, metrics, a learning curve where there is one, and the model with its signature."""
    model.fit(data.train_x.to_numpy(), data.train_y.to_numpy())
    predicted = model.predict(data.test_x.to_numpy())
    if sklearn.base.is_classifier(model):
        scores = {"accuracy": metrics.accuracy_score(data.test_y, predicted)}
    else:
        scores = {"r2": metrics.r2_score(data.test_y, predicted)}
    signature = mlflow.models.infer_signature(data.train_x.head(5), model.predict(data.train_x.head(5).to_numpy()))
    kind = type(model[-1] if isinstance(model, pipeline.Pipeline) else model).__name__
    with quiet(), mlflow.start_run(run_name=f"{name}, {kind}") as run:
        mlflow.log_params({"model": kind, **params})
        mlflow.log_metrics(scores)
        if curve:
            mlflow.MlflowClient().log_batch(run.info.run_id, metrics=learning_curve(model, data))
        mlflow.log_input(mlflow.data.from_pandas(data.train_x, name=name), context="training")
        logged = mlflow.onnx.log_model(
            to_onnx(model, data),
            name="model",
            signature=signature,
            registered_model_name=name,
            pip_requirements=[f"onnxruntime=={onnxruntime.__version__}"],
        )
    return Registered(name, str(logged.registered_model_version), run.info.run_id, next(iter(scores.values())), model)


def logistic():
    """A first try as a person would make it: the tumour's size and texture, and no more."""
    size = compose.ColumnTransformer([("size", preprocessing.StandardScaler(), [0, 1, 2])])
    return pipeline.make_pipeline(size, linear_model.LogisticRegression())


def boosting():
    return ensemble.GradientBoostingClassifier(n_estimators=100, max_depth=3, random_state=7)


def train_cancer(data):
    """Version 1, a logistic regression on three of the measurements, and version 2, a hundred trees on all thirty."""
    first = register("cancer", data, logistic(), {"columns": 3})
    second = register("cancer", data, boosting(), {"n_estimators": 100, "max_depth": 3}, curve=True)
    return first, second


def train_wine():
    data = load(datasets.load_wine)
    model = ensemble.RandomForestClassifier(n_estimators=50, random_state=7)
    return data, register("wine", data, model, {"n_estimators": 50})


def train_diabetes():
    data = load(datasets.load_diabetes)
    model = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.Ridge(alpha=1.0))
    return data, register("diabetes", data, model, {"alpha": 1.0})


def log_as_trained(name, data, model):
    """The fitted model itself, by its framework's own `log_model`: named columns in, labels out."""
    model.fit(data.train_x, data.train_y)
    signature = mlflow.models.infer_signature(data.train_x, model.predict(data.train_x))
    with quiet(), mlflow.start_run(run_name=f"{name}, as it was trained"):
        logged = mlflow.sklearn.log_model(
            model, name="model", signature=signature, input_example=data.train_x.head(200), registered_model_name=name,
            pip_requirements=[f"scikit-learn=={sklearn.__version__}"], serialization_format="cloudpickle",
        )
    return str(logged.registered_model_version)
