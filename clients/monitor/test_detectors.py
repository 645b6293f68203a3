"""Stream detectors of a `kind: Monitor` on a real model's traffic: a change of an input, more errors, a crash, what is refused."""

import json

import numpy
import pytest
import requests

from test_live import declare, events, monitor, trained, until

# Rows of one look, all of which are sampled.
ROWS = 200


def send(server, deployment, part, tag, wrong):
    """One request of these rows, and a label for each, of which a share is wrong."""
    answer = requests.post(f"{server.url}/v2/models/{deployment}/infer", json={"id": tag, "inputs": [
        {"name": "X", "shape": list(part.shape), "datatype": "FP32", "data": part.ravel().tolist()}]})
    assert answer.status_code == 200, answer.text
    labels = next(o["data"] for o in answer.json()["outputs"] if o["name"] == "label")
    pieces = [{"deployment": deployment, "id": tag, "row": row, "name": "diagnosis", "value": 1 - label if row % 10 < wrong else label}
              for row, label in enumerate(labels)]
    sent = requests.post(f"{server.url}/api/v1/feedback", json={"feedback": pieces})
    assert sent.status_code == 200, sent.text


def detectors(view):
    return {(d["name"], d["detector"]): d for d in view["detectors"]}


def test_detectors_see_rows_in_their_order_tell_and_go_on_after_a_crash(start, tmp_path):
    data = tmp_path / "data"
    server = start(data=data)
    frame, names = trained(server, "nodes")
    rows = frame[names].to_numpy()[:ROWS].astype("float32")
    server.deploy("nodes", "models:/nodes/1")
    declare(server, "nodes", columns=["in.*"], recoverAfter="1h", label={"name": "diagnosis", "wait": "10s"}, detectors=[
        {"columns": ["in.mean_radius", "in.mean_texture"], "adwin": {}},
        {"columns": ["in.mean_radius"], "kswin": {"alpha": 0.0001}},
        {"columns": ["in.mean_radius"], "pageHinkley": {"threshold": 1500}},
        {"columns": ["error.*"], "ddm": {}}])
    view = lambda: monitor(server, "nodes-drift")
    seen = lambda n, error: lambda: (v := view()) and (d := detectors(v)).get(("in.mean_radius", "adwin"), {}).get("seen") == n and d.get(("error.diagnosis", "ddm"), {}).get("seen") == error and v
    send(server, "nodes", rows, "nodes-0", wrong=1)
    before = until(seen(ROWS, ROWS), view)
    assert {d["detections"] for d in before["detectors"]} == {0}, before
    # Another unit, and the model is wrong far more often.
    moved = rows.copy()
    moved[:, names.index("mean_radius")] *= numpy.float32(2.54)
    send(server, "nodes", moved, "nodes-1", wrong=6)
    after = until(seen(2 * ROWS, 2 * ROWS), view)
    found = detectors(after)
    for detector in ("adwin", "kswin", "pageHinkley"):
        last = found["in.mean_radius", detector]
        assert last["standing"] == "drift" and last["detections"] >= 1 and last["drift"] == "covariate", last
        assert last["last"]["since"] > 1.5 * last["last"]["before"] and last["last"]["begunAt"] <= last["last"]["at"], last
    assert found["in.mean_texture", "adwin"]["detections"] == 0 and found["error.diagnosis", "ddm"]["standing"] == "drift", found
    assert after["state"] == "detected" and set(after["drifted"]) == {"in.mean_radius", "error.diagnosis"}, after
    told = [e for e in events(server, "nodes-drift") if e["kind"] == "detected"]
    assert "in.mean_radius by ADWIN (mean " in told[-1]["sentence"] and "bounds no rate of false alarms" in told[-1]["sentence"]
    assert {d["column"] for e in told for d in e["numbers"]["detections"]} == {"in.mean_radius", "error.diagnosis"}
    shown = server.query(told[-1]["numbers"]["query"])
    assert shown and "in.mean_radius" in shown[0]
    decided = lambda: server.query("SELECT decision FROM decisions WHERE decided_by = 'Monitor/nodes-drift'")
    assert len(until(lambda: len(d := decided()) >= len(told) and d, decided)) == len(told)
    screen = server.cli("monitor", "show", "nodes-drift")
    assert "adwin" in screen and "bounds no rate of false alarms" in screen and "in 1.000 % of the versions at most" in screen
    page = server.cli("monitor", "report", "nodes-drift")
    assert "Stream detectors" in page and "bounds no rate of false alarms" in page and "pageHinkley" in page, page
    assert "Detectors call a change: in.mean_radius by ADWIN" in server.cli("monitor", "why", "nodes-drift")
    alerts = lambda: [(a["name"], a["severity"], a["phase"]) for a in json.loads(server.cli("alert", "list", "--output", "json"))["alerts"] if "nodes-drift" in json.dumps(a)]
    until(lambda: alerts() == [("DetectedChange", "ticket", "firing")], alerts)
    # A power cut: the next process goes on with what they had seen.
    server.kill()
    again = start(data=data)
    ready = lambda: requests.get(f"{again.url}/v2/models/nodes/ready").status_code == 200
    until(ready, lambda: "the deployment did not load again")
    send(again, "nodes", moved, "nodes-2", wrong=6)
    on = lambda: (v := monitor(again, "nodes-drift")) and detectors(v).get(("in.mean_radius", "adwin"), {}).get("seen") == 3 * ROWS and v
    last = detectors(until(on, lambda: monitor(again, "nodes-drift")))
    assert last["in.mean_radius", "adwin"]["detections"] >= found["in.mean_radius", "adwin"]["detections"]
    assert last["in.mean_radius", "pageHinkley"]["last"]["begunAt"] == found["in.mean_radius", "pageHinkley"]["last"]["begunAt"]
    assert len([e for e in events(again, "nodes-drift") if e["kind"] == "detected"]) == len(told)


def test_each_value_of_a_segment_has_a_detector_of_its_own(server):
    frame, names = trained(server, "lobes")
    rows = frame[names].to_numpy()[:ROWS].astype("float32")
    server.deploy("lobes", "models:/lobes/1")
    declare(server, "lobes", columns=["out.label"], segments=["out.label"], detectors=[
        {"columns": ["in.mean_radius"], "adwin": {}, "bySegment": True}])
    send(server, "lobes", rows, "lobes-0", wrong=0)
    view = lambda: monitor(server, "lobes-drift")
    seen = lambda: {d.get("segment"): d["seen"] for d in view()["detectors"]}
    found = until(lambda: (s := seen()) and len(s) == 3 and s, view)
    assert found[None] == ROWS == found["out.label = 0"] + found["out.label = 1"] and min(found.values()) > 40, found
    assert "out.label = 1" in server.cli("monitor", "show", "lobes-drift")


@pytest.mark.parametrize(("detector", "why"), [
    ({"columns": ["in.x"]}, "exactly one of adwin, kswin, pageHinkley and ddm"),
    ({"columns": ["in.x"], "adwin": {"delta": 2}}, "detectors[0].adwin.delta"),
    ({"columns": ["in.x"], "kswin": {"window_size": 50}}, "windowSize"),
    ({"columns": ["error.y"], "ddm": {}}, "detectors[0].columns"),
    ({"columns": ["in.x"], "adwin": {}, "bySegment": True}, "detectors[0].bySegment"),
])
def test_what_makes_no_sense_is_refused_with_its_place(server, detector, why):
    document = {"apiVersion": "mainspring/v1", "kind": "Monitor", "name": "x", "deployment": "x", "detectors": [detector]}
    done = server.cli("apply", "-f", "-", check=False, stdin=json.dumps(document))
    assert done.returncode == 2 and why in done.stderr, done.stderr
