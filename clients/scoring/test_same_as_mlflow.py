"""The answers of `mlflow models serve` beside ours, for the same models and the same bodies.

Where MLflow answers, ours must be the same; where MLflow refuses, ours may answer, but a refusal has
MLflow's shape and status. What is refused here though MLflow takes it: a row that is too short, which
MLflow fills up with missing values, and a value that its column cannot hold, which MLflow cuts to size
(1.5 for a long becomes 1, 2147483648 for an integer -2147483648, any text for a boolean true).
"""

import json
import math

import mlflow
import pytest
import requests
import scoring_models
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server


def stricter(name, label):
    """A part of the refusal of what MLflow takes and answers nonsense to."""
    if label == "split, ragged":
        return "has 2 values, there are 4 columns"
    if label.endswith("which is cut"):
        return "but row 0 has"
    if label in ("b missing in one row", "b = null"):
        return 'column "b" is boolean, but row'
    if label == "t = null":
        return 'column "t" is string, but row 0 has null'
    # MLflow writes them as Python shows them.
    if label in ("t = [1]", 't = {"a": 1}'):
        return '"t"'
    return None


@pytest.fixture(scope="session")
def theirs(folders):
    """MLflow's own scoring of a model: status and body."""
    loaded = {}

    def score(name, body, content_type="application/json"):
        if name not in loaded:
            loaded[name] = mlflow.pyfunc.load_model(folders[name])
        model = loaded[name]
        try:
            answer = scoring_server.invocations(body, content_type, model, model.metadata.get_input_schema())
        except MlflowException as error:
            return error.get_http_status_code(), None
        except Exception:
            return 500, None
        return answer.status, answer.response

    return score


def same(ours, theirs):
    """Equal as JSON; not a number equals itself."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return list(ours) == list(theirs) and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, float) and math.isnan(ours) and math.isnan(theirs):
        return True
    # The engines may sum in another order.
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-6, abs_tol=1e-7)
    return type(ours) is type(theirs) and ours == theirs


@pytest.mark.parametrize("name, label, request_body", [pytest.param(*case, id=f"{case[0]}: {case[1]}") for case in scoring_models.cases()])
def test_json(scored, theirs, name, label, request_body):
    body = json.dumps(request_body)
    status, expected = theirs(name, body)
    answer = requests.post(f"{scored.url}/deployments/score-{name}/invocations", data=body, headers={"Content-Type": "application/json"})
    refused = stricter(name, label)
    if refused:
        assert answer.status_code == 400, answer.text
        assert refused in answer.json()["message"]
    elif status == 200:
        assert answer.status_code == 200, answer.text
        assert same(answer.json(), json.loads(expected)), f"{answer.text}\n{expected}"
    elif answer.status_code != 200:
        assert answer.status_code == 400, answer.text
        assert set(answer.json()) == {"error_code", "message"}
        assert answer.json()["error_code"] == "BAD_REQUEST"


def csvs():
    frame, _ = scoring_models.iris()
    head = frame.head(3)
    holes = head.copy()
    holes.iloc[0, 1] = None
    return {
        "plain": head.to_csv(index=False),
        "with the index": head.to_csv(),
        "missing value": holes.to_csv(index=False),
        "other order": head[list(reversed(head.columns))].to_csv(index=False),
        "whole numbers": "sepal_length,sepal_width,petal_length,petal_width\n1,2,3,4\n5,6,7,8\n",
        "text": "sepal_length,sepal_width,petal_length,petal_width\na,b,c,d\n",
        "nothing": "",
    }


@pytest.mark.parametrize("label", csvs())
@pytest.mark.parametrize("name", ["plain", "columns", "zipmap-columns"])
@pytest.mark.parametrize("content_type", ["text/csv", "text/csv; charset=utf-8"])
def test_csv(scored, theirs, name, label, content_type):
    body = csvs()[label]
    status, expected = theirs(name, body, content_type)
    answer = requests.post(f"{scored.url}/deployments/score-{name}/invocations", data=body, headers={"Content-Type": content_type})
    if status == 200:
        assert answer.status_code == 200, answer.text
        assert same(answer.json(), json.loads(expected)), f"{answer.text}\n{expected}"
    elif answer.status_code != 200:
        assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("content_type", ["text/plain", "application/json; format=pandas-split", "text/csv; charset=latin-1", "application/x-www-form-urlencoded"])
def test_content_types(scored, theirs, content_type):
    status, _ = theirs("plain", "{}", content_type)
    answer = requests.post(f"{scored.url}/deployments/score-plain/invocations", data="{}", headers={"Content-Type": content_type})
    assert (answer.status_code, status) == (415, 415)
    assert answer.headers["content-type"].startswith("text/plain")
