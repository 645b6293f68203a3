"""Models to be converted, each trained here and logged as its framework's users log it."""

import lightgbm
import mlflow
import numpy
import pandas
import xgboost
from mlflow.models import infer_signature
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

CONVERTED = ["pipeline", "text", "probabilities", "forest", "array", "xgboost", "booster", "lightgbm"]


def people():
    """Numbers, whole numbers, texts and truth values, and what is to be predicted from them."""
    draw = numpy.random.default_rng(7)
    frame = pandas.DataFrame({
        "age": draw.uniform(18, 90, 300), "visits": draw.integers(0, 40, 300), "city": draw.choice(["Rome", "Oslo", "Graz"], 300),
        "member": draw.choice([True, False], 300),
    })
    return frame, ((frame["age"] > 50) ^ (frame["city"] == "Oslo")).map({True: "stays", False: "goes"})


def columns():
    return ColumnTransformer([("numbers", StandardScaler(), ["age", "visits"]), ("city", OneHotEncoder(handle_unknown="ignore"), ["city"])], remainder="passthrough")


def pipeline():
    frame, target = people()
    return mlflow.sklearn, make_pipeline(columns(), LogisticRegression()).fit(frame, target), frame


def probabilities():
    frame, target = people()
    return mlflow.sklearn, make_pipeline(columns(), LogisticRegression()).fit(frame, target), frame


def text():
    frame = pandas.DataFrame({"review": ["Good film", "bad film", "great fun, GREAT", "an awful bore"] * 20, "stars": numpy.arange(80) % 5 + 0.5})
    model = make_pipeline(ColumnTransformer([("words", TfidfVectorizer(), "review"), ("stars", "passthrough", ["stars"])]), LogisticRegression())
    return mlflow.sklearn, model.fit(frame, ["pos", "neg"] * 40), frame


def forest():
    data = load_diabetes(as_frame=True)
    return mlflow.sklearn, RandomForestRegressor(20, random_state=0).fit(data.data, data.target), data.data


def array():
    data = load_diabetes()
    return mlflow.sklearn, LinearRegression().fit(data.data, data.target), data.data


def boosted():
    data = load_breast_cancer(as_frame=True)
    return data.data.astype("float32").rename(columns=lambda name: name.replace(" ", "_")), data.target


def xgb():
    rows, target = boosted()
    return mlflow.xgboost, xgboost.XGBClassifier(n_estimators=20, n_jobs=1).fit(rows, target), rows


def booster():
    rows, target = boosted()
    return mlflow.xgboost, xgboost.train({"objective": "binary:logistic", "nthread": 1}, xgboost.DMatrix(rows, target), 20), rows


def lgbm():
    rows, target = boosted()
    rows = rows.astype("float64")
    return mlflow.lightgbm, lightgbm.LGBMClassifier(n_estimators=20, verbose=-1, n_jobs=1).fit(rows, target), rows


def instants():
    """Splits seconds of this century: 32 bits do not tell one from the next, and LightGBM's exporter has 32."""
    rows = pandas.DataFrame({"at": 1.7e9 + numpy.arange(400.0), "x": numpy.random.default_rng(1).normal(size=400)})
    return mlflow.lightgbm, lightgbm.LGBMRegressor(n_estimators=50, verbose=-1, min_child_samples=2, n_jobs=1).fit(rows, numpy.arange(400) // 7 % 2), rows


def function():
    data = load_diabetes(as_frame=True)
    rows = data.data.abs()
    return mlflow.sklearn, make_pipeline(FunctionTransformer(numpy.log1p), LinearRegression()).fit(rows, data.target), rows


def network():
    data = load_digits(as_frame=True)
    return mlflow.sklearn, MLPClassifier((256, 128), max_iter=15, random_state=0).fit(data.data, data.target), data.data


LOGGED = {
    "pipeline": pipeline, "text": text, "probabilities": probabilities, "forest": forest, "array": array, "xgboost": xgb,
    "booster": booster, "lightgbm": lgbm, "instants": instants, "function": function, "network": network,
}


def log(name, registered=None, **more):
    """Logs the model as the next version of its name, or of `registered`; gives the rows."""
    module, model, rows = LOGGED[name]()
    given = xgboost.DMatrix(rows) if name == "booster" else rows
    said = "predict_proba" if name == "probabilities" else "predict"
    if module is mlflow.sklearn:
        more = {"pyfunc_predict_fn": said, "serialization_format": "cloudpickle", **more}
    signature = infer_signature(rows, getattr(model, said)(given))
    with mlflow.start_run():
        module.log_model(model, name="model", signature=signature, input_example=rows, registered_model_name=registered or f"convert-{name}", **more)
    return rows


def register(tracking_url):
    mlflow.set_tracking_uri(tracking_url)
    mlflow.set_experiment("convert")
    found = {name: log(name) for name in LOGGED}
    client = mlflow.MlflowClient()
    for name in found:
        client.set_registered_model_alias(f"convert-{name}", "champion", "1")
    return found
