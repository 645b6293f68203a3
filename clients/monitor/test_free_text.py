"""Free text is watched by its form, against the texts that the model was trained on."""

import random
import time

import mlflow
import pandas
import requests
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

WORDS = "the a good bad film plot actor was very not dull great story long short scene ending music".split()
FORMS = [f"in.comment:{form}" for form in ("length", "non-letters %", "sentences", "words")]


def comment(dice, words):
    return " ".join(dice.choice(WORDS) for _ in range(max(1, round(dice.gauss(words, 3))))) + "."


def test_texts_that_become_longer_are_drift_and_lead_to_the_texts(start, tmp_path):
    server, dice = start(), random.Random(7)
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("reviews")
    frame = pandas.DataFrame({"comment": [comment(dice, 12) for _ in range(2_000)]})
    good = frame["comment"].str.contains("good|great").astype(float)
    vectors = ColumnTransformer([("text", HashingVectorizer(n_features=256), "comment")])
    model = make_pipeline(vectors, LogisticRegression()).fit(frame, good)
    frame.to_csv(tmp_path / "train.csv", index=False)
    with mlflow.start_run():
        mlflow.log_artifact(str(tmp_path / "train.csv"))
        mlflow.set_tag("mainspring.training_data", "train.csv")
        mlflow.sklearn.log_model(model, name="model", input_example=frame[:2], registered_model_name="reviews")
    server.deploy("reviews", "models:/reviews/1", engine={"python": {"env": "shared"}})
    server.apply("apiVersion: mainspring/v1\nkind: Monitor\nname: reviews\ndeployment: reviews\ntexts: [in.comment]\n"
                 "columns: [in.comment]\nevery: 5s\nminRows: 200\nwindow: 6m\n")

    def until(words, done):
        """Texts of so many words, until the columns of the monitor are as they are waited for."""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            rows = [{"comment": comment(dice, words)} for _ in range(20)]
            requests.post(f"{server.url}/deployments/reviews/invocations", json={"dataframe_records": rows}).raise_for_status()
            columns = {c["name"]: c for c in requests.get(f"{server.url}/api/v1/monitors/reviews").json()["columns"]}
            if done(columns):
                return columns
            time.sleep(0.1)
        raise AssertionError(columns)

    quiet = until(12, lambda columns: columns and all(c["tested"] >= 600 for c in columns.values()))
    assert sorted(quiet) == FORMS and {c["reference"] for c in quiet.values()} == {"profile"}
    assert {c["standing"] for c in quiet.values()} == {"steady"}, quiet
    longer = until(24, lambda columns: columns["in.comment:words"]["standing"] == "drift")
    assert {c["journalColumn"] for c in longer.values()} == {"in.comment"}
    assert longer["in.comment:sentences"]["standing"] == "steady"
    told = [e for e in requests.get(f"{server.url}/api/v1/monitors/reviews/events").json()["events"] if e["kind"] == "drifted"]
    assert "in.comment:" in told[0]["sentence"], told
    rows = server.query(told[0]["numbers"]["query"])
    assert rows and all(row["in.comment"].endswith(".") for row in rows)
