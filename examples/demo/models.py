"""The demo's models.

The data sets come inside the scikit-learn package:

- breast cancer Wisconsin: 569 tumours, 30 measurements each; malignant or benign
- wine recognition: 178 wines of three growers, 13 chemical measurements
- diabetes: 442 patients, 10 measurements; how the disease went on in a year
"""

import mlflow
import sklearn
from sklearn import compose, datasets, ensemble, linear_model, pipeline, preprocessing
from training import load, quiet, register


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
