"""Two segments of one deployment beside each other: drift of windows, performance, and live monitors."""

import json
import time

import mlflow
import numpy
import pytest
import requests
from onnx import TensorProto, helper

NAME = "plans"
# Two minutes have to end, and a wait of one after the first.
PATIENCE = 240


def deploy(server):
    """A model that gives back the age and the plan that it gets."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["age"], ["score"]), helper.make_node("Identity", ["plan"], ["said"])], "plans",
        [value("age", TensorProto.FLOAT, [None]), value("plan", TensorProto.STRING, [None])],
        [value("score", TensorProto.FLOAT, [None]), value("said", TensorProto.STRING, [None])])
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("segments")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with mlflow.start_run():
        mlflow.onnx.log_model(model, name="model", registered_model_name=NAME, pip_requirements=["onnxruntime"])
    server.deploy(NAME, f"models:/{NAME}/1")


def ask(server, rows, seed=0):
    """One request: of each three rows one is of gold, ten years older than the others; labelled, half of gold wrongly."""
    dice = numpy.random.default_rng(seed)
    plans = [("gold", "free", "basic")[i % 3] for i in range(rows)]
    ages = [float(dice.normal(40 if plan == "gold" else 30, 5)) for plan in plans]
    body = {"inputs": [{"name": "age", "shape": [rows], "datatype": "FP32", "data": ages},
                       {"name": "plan", "shape": [rows], "datatype": "BYTES", "data": plans}]}
    answer = requests.post(f"{server.url}/v2/models/{NAME}/infer", json=body)
    assert answer.status_code == 200, answer.text
    feedback = [{"predictionId": answer.headers["mainspring-prediction-id"], "row": i, "name": "plan",
                 "value": "silver" if plan == "gold" and i % 2 else plan} for i, plan in enumerate(plans)]
    sent = requests.post(f"{server.url}/api/v1/feedback", json={"feedback": feedback})
    assert sent.status_code == 200, sent.text


@pytest.fixture(scope="module")
def served(server):
    deploy(server)
    for seed in range(4):
        ask(server, 600, seed)
    return server


def drift(server, reference, current, *more, code=0):
    done = server.cli("drift", reference, current, *more, "--output", "json", check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if code == 0 else done.stderr


def verdicts(report):
    return {c["name"]: c["finding"]["verdict"] for c in report["columns"] if "finding" in c}


def test_segments_are_each_others_reference(served):
    gold, free = f"deployment:{NAME}?in.plan=gold", f"deployment:{NAME}?in.plan=free"
    for profile in ("evidently", "whylogs"):
        report = drift(served, free, gold, "--profile", profile)
        assert report["rows"] == [800, 800]
        found = verdicts(report)
        assert found["in.age"] == "drift" and found["out.score"] == "drift", report
        assert "in.plan" not in found and "in.plan" not in report["added"] + report["removed"], report
    # Free and basic are alike; others of gold are both.
    alike = drift(served, free, f"deployment:{NAME}?in.plan=basic")
    assert verdicts(alike)["in.age"] == "steady", alike
    others = drift(served, f"deployment:{NAME}?in.plan=gold&others", gold)
    assert others["rows"] == [1600, 800] and verdicts(others)["in.age"] == "drift"
    # A segment beside all rows, and by fields of the journal.
    assert drift(served, f"deployment:{NAME}", gold)["rows"] == [2400, 800]
    assert drift(served, free, f"deployment:{NAME}?version=1&protocol=oip-rest&in.plan=gold")["rows"] == [800, 800]


def test_a_segment_may_be_a_range_of_numbers(served):
    younger, older = f"deployment:{NAME}?in.age=..35", f"deployment:{NAME}?in.age=35.."
    report = drift(served, younger, older)
    assert sum(report["rows"]) == 2400 and min(report["rows"]) > 800, report["rows"]
    found = verdicts(report)
    assert found["in.plan"] == found["out.score"] == "drift" and "in.age" not in found, report
    # Both ranges and what is between, of one plan and of all.
    parts = [drift(served, f"deployment:{NAME}", f"deployment:{NAME}?in.age={part}")["rows"][1] for part in ("..30", "30..40", "40..")]
    assert sum(parts) == 2400 and min(parts) > 100, parts
    assert drift(served, younger, f"deployment:{NAME}?in.age=35..&in.plan=gold")["rows"][1] < report["rows"][1]
    # The same rows as a table, and by SQL.
    rows = drift(served, younger, older, "--rows")["rows"]
    assert rows == report["rows"]
    told = json.loads(served.cli("query", f"select count(*) as n from predictions where deployment = '{NAME}' and \"in.age\" < 35", "--output", "json"))
    assert told["rows"][0][0] == rows[0] if isinstance(told, dict) else told[0]["n"] == rows[0], told
    measured = json.loads(served.cli("performance", NAME, "--label", "plan", "--prediction", "said", "--segment", "in.age=35..", "--output", "json"))
    assert measured["segment"] == "in.age = 35.." and measured["overall"]["rows"] == report["rows"][1]


def test_a_window_begins_and_ends_when_it_is_asked_to(served):
    moment = lambda seconds: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    whole, until, hour = f"deployment:{NAME}", moment(120), moment(-3600)
    for asked in (f"from={hour}", f"from={hour}&until={until}", f"last=2h&until={until}", f"from={hour}&in.plan=gold"):
        report = drift(served, whole, f"deployment:{NAME}?{asked}")
        assert report["rows"] == [2400, 800 if "gold" in asked else 2400], (asked, report["rows"])
    before = drift(served, whole, f"deployment:{NAME}?until={hour}", code=1)
    assert "was kept in that time" in before, before
    for asked, why in ((f"from={hour}&last=1h", "not both"), (f"from={until}&until={hour}", "from must be before until"),
                       ("from=yesterday", "write it as 2026-")):
        told = drift(served, whole, f"deployment:{NAME}?{asked}", code=2)
        assert why in told, told


def test_what_is_no_segment_says_what_to_do(served):
    whole = f"deployment:{NAME}"
    near = drift(served, whole, f"deployment:{NAME}?in.plam=gold", code=2)
    assert "has no column \"in.plam\"" in near and "did you mean in.plan?" in near, near
    assert "holds numbers, and \"old\" is none" in drift(served, whole, f"deployment:{NAME}?in.age=old", code=2)
    assert "in.plan=golden was kept in that time" in drift(served, whole, f"deployment:{NAME}?in.plan=golden", code=1)
    assert "nor a column's value" in drift(served, whole, f"deployment:{NAME}?gold", code=2)
    answer = requests.get(f"{served.url}/api/v1/deployments/{NAME}/profile", params={"segment": "gold"})
    assert answer.status_code == 400 and "write columns with their values" in answer.text
    answer = requests.get(f"{served.url}/api/v1/deployments/{NAME}/profile", params={"others": "true"})
    assert answer.status_code == 400 and "others is of a segment" in answer.text


def test_performance_is_of_a_segment_or_by_it(served):
    def measured(*more):
        return json.loads(served.cli("performance", NAME, "--label", "plan", "--prediction", "said", "--output", "json", *more))

    def accuracy(group):
        return next(m for m in group["metrics"] if m["name"] == "accuracy")

    gold = measured("--segment", "in.plan=gold")
    assert gold["segment"] == "in.plan = gold" and gold["overall"]["rows"] == 800
    assert accuracy(gold["overall"])["low"] < 0.5 < accuracy(gold["overall"])["high"]
    groups = {g["by"]["in.plan"]: g for g in measured("--by", "in.plan")["groups"]}
    assert accuracy(groups["gold"]) == accuracy(gold["overall"])
    assert accuracy(groups["free"])["value"] == accuracy(groups["basic"])["value"] == 1
    (one,) = measured("--segment", "in.plan=gold", "--by", "caller")["groups"]
    assert one["by"]["caller"] and one["rows"] == 800
    assert "where in.plan = gold" in served.cli("performance", NAME, "--label", "plan", "--prediction", "said", "--segment", "in.plan=gold")
    nothing = served.cli("performance", NAME, "--segment", "in.plan=golden", check=False)
    assert nothing.returncode == 1 and "has answered nothing where in.plan = golden" in nothing.stderr
    twice = served.cli("performance", NAME, "--segment", "in.plan=gold", "--segment", "in.plan=free", check=False)
    assert twice.returncode == 2 and "--by in.plan" in twice.stderr


def test_a_monitor_watches_a_segment_beside_another_and_labels_by_segment(start):
    server = start()
    deploy(server)
    document = {"apiVersion": "mainspring/v1", "kind": "Monitor", "name": "gold", "deployment": NAME, "segment": {"in.plan": "gold"}}
    refused = server.cli("apply", "-f", "-", stdin=json.dumps(document | {"reference": {"segment": {"in.age": 3}}}), check=False)
    assert refused.returncode == 2 and "no row may be of both" in refused.stderr, refused.stderr
    server.apply(json.dumps(document | {"reference": {"segment": "others"}}))
    server.apply(json.dumps({"apiVersion": "mainspring/v1", "kind": "Monitor", "name": "by-plan", "deployment": NAME, "segments": ["in.plan"],
                             "label": {"name": "plan", "wait": "1m", "prediction": "out.said"}}))

    def show(name):
        return json.loads(server.cli("monitor", "show", name, "--output", "json"))

    end, seed = time.monotonic() + PATIENCE, 0
    while not (errors := show("by-plan").get("label", {}).get("errors", [])):
        assert time.monotonic() < end, (show("by-plan"), server.log.read_text()[-2000:])
        ask(server, 300, seed)
        seed += 1
        time.sleep(5)
    # Errors of a sample: its interval has the truth in 95 of 100 cases, and with its own width on either side in all.
    wide = lambda e, truth: 2 * e["low"] - e["high"] < truth < 2 * e["high"] - e["low"]
    by = {e.get("segment"): e for e in errors}
    assert set(by) == {None, "in.plan = gold", "in.plan = free", "in.plan = basic"}
    assert by["in.plan = gold"]["metric"] == "error_rate" and by["in.plan = free"]["value"] == 0
    assert wide(by["in.plan = gold"], 1 / 2) and wide(by[None], 1 / 6), by
    watched = {(c["name"], c.get("segment")) for c in show("by-plan")["columns"]}
    assert ("error.plan", "in.plan = gold") in watched and ("label.plan", None) in watched, watched
    printed = server.cli("monitor", "show", "by-plan")
    assert "ERROR_RATE" in printed and "in.plan = gold" in printed, printed
    gold = show("gold")
    assert gold["segment"] == "in.plan = gold" and gold["comparedWith"] == f"stable of {NAME} where not (in.plan = gold)"
    # Only its own rows, a third of all; what tells the sides apart is not watched.
    answered = server.query(f"SELECT count(*) AS n FROM predictions WHERE deployment = '{NAME}'")[0]["n"]
    assert 0 < gold["rows"] <= answered / 3, gold
    assert {c["name"] for c in gold["columns"]} == {"in.age", "out.score", "out.said"} and gold["columns"][0]["reference"] == "beside"
    assert "where in.plan = gold" in server.cli("monitor", "show", "gold")
