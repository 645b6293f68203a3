"""Real models on real data: train, convert to ONNX, log and register through the `mlflow` client."""

import contextlib
import dataclasses
import io
import logging
import os
import time

import mlflow
import numpy
import onnxruntime
import pandas
import skl2onnx
import sklearn
from sklearn import metrics, model_selection, pipeline


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


def track(url, experiment):
    """From here on the `mlflow` client speaks to the server at `url`."""
    os.environ["MLFLOW_TRACKING_URI"] = url
    with quiet():
        mlflow.set_tracking_uri(url)
        mlflow.set_registry_uri(url)
        mlflow.set_experiment(experiment)
