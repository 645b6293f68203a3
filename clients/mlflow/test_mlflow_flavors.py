"""Models of each flavour: logged, registered, aliased, loaded back through the server."""

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature

X = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})
Y = np.array([0, 1, 0, 1])
# Given, so that MLflow does not start a process for each model to find them out.
PINS = ["mlflow"]


def sklearn_model():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(X, Y)


def log_sklearn(signature):
    model = sklearn_model()
    return mlflow.sklearn.log_model(model, name="model", signature=signature, pip_requirements=PINS), model.predict(X)


def log_onnx(signature):
    from skl2onnx import to_onnx

    model = sklearn_model()
    onnx_model = to_onnx(model, X.to_numpy(np.float32), options={"zipmap": False})
    return mlflow.onnx.log_model(onnx_model, name="model", pip_requirements=PINS), None


def log_xgboost(signature):
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=3).fit(X, Y)
    return mlflow.xgboost.log_model(model, name="model", signature=signature, pip_requirements=PINS), model.predict(X)


def log_lightgbm(signature):
    import lightgbm

    model = lightgbm.LGBMClassifier(n_estimators=3, min_child_samples=1, verbose=-1).fit(X, Y)
    return mlflow.lightgbm.log_model(model, name="model", signature=signature, pip_requirements=PINS), model.predict(X)


class Doubler(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["a"] * 2


def log_pyfunc(signature):
    return mlflow.pyfunc.log_model(python_model=Doubler(), name="model", pip_requirements=PINS), X["a"] * 2


@pytest.mark.parametrize("log", [log_sklearn, log_onnx, log_xgboost, log_lightgbm, log_pyfunc], ids=lambda f: f.__name__[4:])
def test_log_register_alias_load(client, name, log):
    mlflow.set_experiment(name)
    with mlflow.start_run() as run:
        mlflow.log_param("flavour", log.__name__)
        mlflow.log_metric("score", 0.5)
        info, expected = log(infer_signature(X, Y))

    model = client.get_logged_model(info.model_id)
    assert str(model.status) == "READY"
    assert model.source_run_id == run.info.run_id
    assert [o.model_id for o in client.get_run(run.info.run_id).outputs.model_outputs] == [info.model_id]
    assert {m.key: m.value for m in model.metrics} == {"score": 0.5}
    assert model.params["flavour"] == log.__name__

    version = mlflow.register_model(info.model_uri, name)
    assert (version.version, version.status, version.run_id) in ((1, "READY", run.info.run_id), ("1", "READY", run.info.run_id))
    client.set_registered_model_alias(name, "champion", version.version)
    assert client.get_model_version_by_alias(name, "champion").version == version.version
    assert "mlflow.modelVersions" in client.get_logged_model(info.model_id).tags

    for uri in (f"models:/{name}@champion", f"models:/{name}/1", f"models:/{name}/latest", info.model_uri, f"runs:/{run.info.run_id}/model"):
        loaded = mlflow.pyfunc.load_model(uri)
        rows = X.to_numpy(np.float32) if log is log_onnx else X
        got = loaded.predict(rows)
        if expected is not None:
            assert np.allclose(np.asarray(got).ravel(), np.asarray(expected).ravel())
        else:
            assert list(got["label"]) == list(sklearn_model().predict(X))


def test_register_from_a_run_uri(client, name):
    mlflow.set_experiment(name)
    with mlflow.start_run() as run:
        mlflow.pyfunc.log_model(python_model=Doubler(), name="m", pip_requirements=PINS)
    version = mlflow.register_model(f"runs:/{run.info.run_id}/m", name)
    assert int(version.version) == 1
    assert mlflow.pyfunc.load_model(f"models:/{name}/1").predict(X).tolist() == [0, 2, 4, 6]


def test_registered_while_logging_and_copied(client, name):
    mlflow.set_experiment(name)
    with mlflow.start_run():
        mlflow.pyfunc.log_model(python_model=Doubler(), name="m", registered_model_name=name, pip_requirements=PINS)
    assert mlflow.pyfunc.load_model(f"models:/{name}/1").predict(X).tolist() == [0, 2, 4, 6]
    copied = client.copy_model_version(f"models:/{name}/1", f"{name}-copy")
    assert copied.source == f"models:/{name}/1"
    assert mlflow.pyfunc.load_model(f"models:/{name}-copy/1").predict(X).tolist() == [0, 2, 4, 6]


def test_a_failed_log_model_is_marked(client, name):
    mlflow.set_experiment(name)
    with mlflow.start_run(), pytest.raises(Exception):
        mlflow.sklearn.log_model(object(), name="model", code_paths=["/does/not/exist"], pip_requirements=PINS)
    exp = client.get_experiment_by_name(name).experiment_id
    assert [str(m.status) for m in client.search_logged_models([exp])] in ([], ["FAILED"])


def test_autologging(client, name):
    mlflow.set_experiment(name)
    mlflow.sklearn.autolog()
    try:
        with mlflow.start_run() as run:
            sklearn_model()
    finally:
        mlflow.sklearn.autolog(disable=True)
    logged = client.get_run(run.info.run_id)
    assert logged.data.params["C"] == "1.0"
    assert "training_score" in logged.data.metrics
    assert logged.outputs.model_outputs
    assert logged.inputs.dataset_inputs
