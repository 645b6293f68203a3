"""What real answers cost and bring, beside the journal's own rows: a real model, keys, feedback, prices, budgets, alerts."""

import datetime
import json
import time
from decimal import Decimal

import mlflow
import numpy
import pytest
import requests
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

NAME = "priced"
PATIENCE = 150
# A millionth of a second of two CPUs costs what can be seen in twelve digits.
PRICES = """
apiVersion: mainspring/v1
kind: PriceTable
name: default
currency: EUR
entries:
  - {from: 2020-01-01, computeSecond: "9"}
  - {from: 2021-01-01, host: {hour: "7200", cpus: 2}, request: "0.001", storageGbMonth: "0.023"}
offers:
  - {name: one year, percent: 28, committed: true}
"""
VALUES = """
apiVersion: mainspring/v1
kind: OutcomeValue
name: iris
deployment: priced
currency: EUR
outcomes:
  - {outcome: converted, is: true, value: "12.50"}
  - {outcome: basket, value: "0.1"}
"""


def until(what, found):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.2)
    raise AssertionError(f"not within {PATIENCE} s: {what}")


def cost(server, *words, code=0):
    done = server.cli("cost", *words, "--output", "json", check=False)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if code == 0 else done.stderr


@pytest.fixture
def served(start):
    """A model that samples no payload, asked by two keys and by nobody's: 60 rows in 24 requests, one refused, one forced."""
    server = start()
    x, y = load_iris(return_X_y=True)
    x = x.astype(numpy.float32)
    graph = to_onnx(LogisticRegression(max_iter=500).fit(x, y), x[:1], options={"zipmap": False}, target_opset=17)
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("cost")
    with mlflow.start_run():
        mlflow.onnx.log_model(graph, name="model", signature=infer_signature(x[:5]), registered_model_name=NAME,
                              pip_requirements=["onnxruntime"])
    server.deploy(NAME, f"models:/{NAME}/1", journal={"sample": 0.0})
    keys = [json.loads(server.cli("key", "create", "--role", "infer", label, "--output", "json"))
            for label in ("shop", "app")]
    keys = [{"key": made["key"], "id": made["info"]["id"]} for made in keys]
    ids = []

    def ask(rows, key=None, path=f"/v2/models/{NAME}/infer", columns=4):
        body = {"inputs": [{"name": "X", "shape": [rows, columns], "datatype": "FP32", "data": [5.0] * (rows * columns)}]}
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return requests.post(server.url + path, json=body, headers=headers)

    for n in range(24):
        secret = (keys[0]["key"], keys[1]["key"], None)[n % 3]
        answer = ask((1, 2, 4, 3)[n % 4], secret)
        answer.raise_for_status()
        ids.append(answer.headers["mainspring-prediction-id"])
    assert ask(2, columns=3).status_code == 400
    ask(1, path=f"/v2/models/{NAME}/versions/1/infer").raise_for_status()
    return server, keys, ids


def test_every_answer_is_counted_as_the_journal_has_it(served):
    server, keys, _ = served
    report = cost(server, "--by", "outcome", "--deployment", NAME)
    counted = {line["by"]["outcome"]: (line["answers"], line["computeNanos"]) for line in report["lines"]}
    assert {name: n for name, (n, _) in counted.items()} == {"succeeded": 24, "failed": 1, "forced": 1}
    rows = server.query(f"SELECT outcome, forced, rows, batch_rows, engine_us, caller, payload FROM predictions WHERE row = 0 AND deployment = '{NAME}'")
    assert {row["payload"] for row in rows} == {"absent"}, "no payload was kept, and all are counted"
    share = lambda row: round(row["engine_us"] * 1000) * row["rows"] // max(row["rows"], row["batch_rows"])
    mine = [row for row in rows if row["outcome"] == "ok" and not row["forced"]]
    assert counted["succeeded"][1] == sum(map(share, mine)) > 0
    by_key = {line["by"]["key"]: line["answers"] for line in cost(server, "--by", "key")["lines"]}
    for key in keys:
        assert by_key[f"key:{key['id']}"] == 8
        assert key["key"] not in json.dumps(rows), "the journal knows who asked, and not the key"
    assert report["total"]["rows"] >= 61
    assert "cost" not in report["total"] and "no price table" in report["notes"][0]
    versions = cost(server)["storage"]
    (model,) = [kept for kept in versions if kept["what"] == "model"]
    assert model["of"] == f"{NAME}/1" and model["bytes"] > 500


def test_money_is_exact_and_what_is_idle_is_shown(served):
    server, _, ids = served
    server.apply(PRICES)
    report = cost(server, "--since", "1h")
    (line,) = report["lines"]
    # 7,200 an hour for two CPUs: a second of one is one.
    assert Decimal(line["cost"]["compute"]) == Decimal(line["computeNanos"]) / 10**9
    assert Decimal(line["cost"]["requests"]) == Decimal("0.026")
    host = report["host"]
    assert Decimal(host["paid"]) == 7200
    assert Decimal(host["used"]) + Decimal(host["unallocated"]) == Decimal(host["paid"])
    assert Decimal(host["used"]) == Decimal(line["cost"]["compute"])
    shown = server.cli("cost", "--since", "1h")
    assert "EUR for none of them" in shown and NAME in shown
    # What they brought.
    unknown = server.cli("cost", "roi", NAME, check=False)
    assert unknown.returncode != 0 and "kind: OutcomeValue" in unknown.stderr
    server.apply(VALUES)
    feedback = [{"predictionId": i, "row": 0, "name": "converted", "value": n % 2 == 0} for n, i in enumerate(ids)]
    feedback.append({"predictionId": ids[1], "row": 0, "name": "basket", "value": 20.25})
    requests.post(f"{server.url}/api/v1/feedback", json={"feedback": feedback}).raise_for_status()
    found = until("feedback is joined", lambda: (r := cost(server, "roi", NAME))["overall"]["known"] == 24 and r)
    whole = found["overall"]
    assert (whole["predictions"], whole["successes"]) == (60, 13)
    assert Decimal(whole["value"]) == 12 * Decimal("12.50") + Decimal("2.025")
    labelled = server.query("SELECT count(*) AS n FROM labeled WHERE feedback_name = 'converted' AND feedback_value = 'true'")
    assert labelled[0]["n"] == 12
    week = cost(server, "--deployment", NAME)
    assert Decimal(whole["cost"]) == Decimal(week["total"]["cost"]["total"])
    assert Decimal(whole["net"]) == Decimal(whole["value"]) - Decimal(whole["cost"])
    assert whole["parts"]["failed"]["answers"] == whole["parts"]["forced"]["answers"] == 1
    hints = cost(server, "hints")
    assert any("nothing is said of its size before 60" in note for note in hints["notes"]), hints


def focus(days):
    """A bill in FOCUS 1.0's columns: two machines of a team, its disk, somebody else's machine, and a tax."""
    import pyarrow

    midnight = datetime.datetime.now(datetime.timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = []
    for ago in range(days, 0, -1):
        begins = midnight - datetime.timedelta(days=ago - 1)
        period = {"ChargePeriodStart": begins, "ChargePeriodEnd": begins + datetime.timedelta(days=1), "BillingCurrency": "EUR"}
        for category, service, kind, billed, effective, unit, amount, tags in (
            ("Compute", "Amazon EC2", "Usage", "0", "172800", "Hours", "24", [("team", "ml")]),
            ("Compute", "Amazon EC2", "Usage", "172800", "172800", "Hours", "24", [("team", "ml")]),
            ("Storage", "Amazon S3", "Usage", "0.46", "0.46", "GB-Mo", "20", [("team", "ml")]),
            ("Compute", "Amazon EC2", "Usage", "7", "7", "Hours", "24", [("team", "web")]),
            ("Networking", "Amazon VPC", "Usage", "3.25", "3.25", "GB", "1", [("team", "ml")]),
            ("Compute", "Amazon EC2", "Tax", "19", "19", None, None, [("team", "ml")]),
        ):
            rows.append({**period, "ServiceCategory": category, "ServiceName": service, "ChargeCategory": kind, "BilledCost": Decimal(billed),
                         "EffectiveCost": Decimal(effective), "ConsumedUnit": unit, "ConsumedQuantity": amount and Decimal(amount), "Tags": tags})
    money, when = pyarrow.decimal128(38, 12), pyarrow.timestamp("us", "UTC")
    kinds = {"ChargePeriodStart": when, "ChargePeriodEnd": when, "BilledCost": money, "EffectiveCost": money, "ConsumedQuantity": money,
             "Tags": pyarrow.map_(pyarrow.string(), pyarrow.string())}
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in rows[0]])
    return pyarrow.Table.from_pylist(rows, schema)


def test_a_providers_bill_is_spread_over_answers(served, tmp_path):
    import pyarrow.parquet

    server, _, _ = served
    bill = focus(days=3)
    pyarrow.parquet.write_table(bill, tmp_path / "focus.parquet")
    frame = bill.to_pandas()
    frame["Tags"] = [json.dumps(dict(tags)) for tags in frame["Tags"]]
    frame["ChargePeriodStart"] = frame["ChargePeriodStart"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    frame["ChargePeriodEnd"] = frame["ChargePeriodEnd"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    frame.to_csv(tmp_path / "focus.csv", index=False)
    words = ("--cpus", "2", "--machines", "2", "--tag", "team=ml")
    done = server.cli("cost", "bill", tmp_path / "focus.parquet", *words, check=False)
    assert done.returncode == 0, done.stderr
    assert "left out: Amazon VPC (Networking), 9.75 EUR in 3 charges" in done.stderr and "taxes, 57 EUR" in done.stderr
    assert "left out: 3 charges without the tags" in done.stderr
    from_csv = server.cli("cost", "bill", tmp_path / "focus.csv", *words)
    assert from_csv.replace("focus.csv", "focus.parquet") == done.stdout
    server.apply(done.stdout)
    report = cost(server, "--since", "1h", "--prices", "bill")
    (line,) = report["lines"]
    # 345,600 a day for two machines of two CPUs: a second of one CPU is one.
    assert Decimal(line["cost"]["compute"]) == Decimal(line["computeNanos"]) / 10**9
    assert Decimal(report["host"]["paid"]) == 14_400
    (model,) = [kept for kept in report["storage"] if kept["what"] == "model"]
    assert Decimal(model["cost"]) > 0
    invoice = json.loads(server.cli("cost", "bill", tmp_path / "focus.csv", *words, "--cost", "BilledCost", "--output", "json"))
    assert [entry["host"]["hour"] for entry in invoice["entries"]] == ["3600"]
    frame["EffectiveCost"] = "free"
    frame.to_csv(tmp_path / "wrong.csv", index=False)
    for file, more, code, said in (
        ("focus.csv", ("--service", "Amazon EKS"), 2, "no charge of"),
        ("focus.csv", ("--tag", "team=none"), 2, "no charge of"),
        ("focus.csv", ("--cost", "Cost"), 2, "has no column Cost"),
        ("wrong.csv", (), 2, 'row 1 of'),
        ("nothing.csv", (), 1, "nothing.csv"),
    ):
        wrong = server.cli("cost", "bill", tmp_path / file, "--cpus", "2", *more, check=False)
        assert wrong.returncode == code and said in wrong.stderr, wrong.stderr


def test_a_budget_that_is_spent_is_an_alert_until_it_is_not_declared(served):
    server, keys, _ = served
    # Of a month, so that what was spent before midnight counts after it.
    budget = {"apiVersion": "mainspring/v1", "kind": "Budget", "name": "tiny", "amount": "0.02", "per": "month", "thresholds": [50, 100, 999]}
    server.apply(json.dumps(budget))
    poor = until("it is looked at", lambda: json.loads(server.cli("cost", "budgets", "--output", "json"))["budgets"])
    assert "no price table" in poor[0]["problem"]
    # The requests alone spend it: with a dear host, a slow machine would come to the last threshold, too.
    server.apply(PRICES.replace('"7200"', '"7.2"'))

    def firing():
        alerts = json.loads(server.cli("alert", "list", "--output", "json"))["alerts"]
        return {a["labels"]["threshold"] for a in alerts if a["phase"] == "firing" and a["labels"].get("budget") == "tiny"}

    until("both thresholds are told", lambda: {"50", "100"} <= firing())
    assert "999" not in firing()
    (told,) = json.loads(server.cli("cost", "budgets", "--output", "json"))["budgets"]
    assert Decimal(told["spent"]) >= Decimal("0.026") and told["currency"] == "EUR"
    assert 'mainspring_budget_spent_ratio{budget="tiny",per="month"} ' in requests.get(f"{server.url}/metrics").text
    server.cli("delete", "budget", "tiny")
    until("nothing is told of what is not declared", lambda: not firing())
