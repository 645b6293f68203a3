"""A rollout from its file to its end, with real models, real requests and real labels; and the SDKs that ask who gets
what: OpenFeature's over OFREP, Azure Personalizer's."""

import contextlib
import itertools
import json
import random
import threading
import time

import mlflow
import numpy
import pytest
import requests
from mlflow.models import infer_signature
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

PATIENCE = 240


def data():
    x, y = load_breast_cancer(return_X_y=True)
    return x.astype(numpy.float32), y


def log(name, model, x):
    graph = to_onnx(model, x[:1], options={"zipmap": False}, target_opset=17)
    with mlflow.start_run():
        mlflow.log_metric("auc", 0.99)
        mlflow.onnx.log_model(graph, name="model", signature=infer_signature(x[:5]), registered_model_name=name, pip_requirements=["onnxruntime"])


def lumps(server):
    """`lump`: version 1 hardly learnt anything, 2 is good, 3 is worse than 1. The rows, and what is true of them."""
    x, y = data()
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("rollouts")
    fit = lambda c, labels: make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=500)).fit(x, labels)
    noisy = numpy.where(numpy.random.default_rng(0).random(len(y)) < 0.45, 1 - y, y)
    log("lump", fit(1e-4, noisy), x)
    log("lump", fit(1.0, y), x)
    log("lump", fit(1.0, 1 - y), x)
    return x, y


@pytest.fixture(scope="module")
def models(server):
    return lumps(server)


def deployed(server, name):
    mlflow.MlflowClient().set_registered_model_alias("lump", name, "1")
    server.deploy(name, f"models:/lump@{name}")


def declared(deployment, version, steps, **more):
    document = {
        "apiVersion": "mainspring/v1", "kind": "Rollout", "name": f"{deployment}-v{version}", "deployment": deployment,
        "candidates": [{"name": f"v{version}", "model": f"models:/lump/{version}"}],
        "assignment": {"unit": "header:x-user-id"}, "warmupExclude": "0ms", "steps": steps,
    }
    if "metrics" not in more:
        more["decision"] = {"ship": "noHarm"}
    return json.dumps(document | more)


class Traffic:
    """Users who ask, and say afterwards whether the answer was right."""

    def __init__(self, server, deployment, rows, body=None):
        self.server, self.deployment, self.rows, self.body = server, deployment, rows, body
        self.stop = threading.Event()
        self.seen, self.failed = {}, 0
        self.threads = [threading.Thread(target=self.run, args=(seed,), daemon=True) for seed in range(2)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def ask(self, session, row, user):
        x, _ = self.rows
        body = self.body or {"inputs": [{"name": "X", "shape": [1, 30], "datatype": "FP32", "data": x[row].tolist()}]}
        url = f"{self.server.url}/v2/models/{self.deployment}/infer"
        return session.post(url, json=body, headers={"x-user-id": user})

    def run(self, seed):
        choose, said, session = random.Random(seed), [], requests.Session()
        while not self.stop.is_set():
            row, user = choose.randrange(len(self.rows[1])), f"user-{choose.randrange(4000)}"
            answer = self.ask(session, row, user)
            variant = answer.headers.get("mainspring-variant")
            self.seen.setdefault(user, set()).add(variant)
            if answer.status_code != 200:
                self.failed += 1
                continue
            label = next(o for o in answer.json()["outputs"] if o["name"] == "label")["data"][0]
            said.append({"predictionId": answer.headers["mainspring-prediction-id"], "name": "correct", "value": bool(label == self.rows[1][row])})
            if len(said) == 20:
                assert session.post(f"{self.server.url}/api/v1/feedback", json={"feedback": said}).status_code < 300
                said = []


def by_chance(groups):
    """Whether units got variants with the probabilities that were said: `groups` are lists of a probability and how many
    units, one of each variant that was seen. Each group is judged alone: whom chance favours in one it favours in all, for
    a unit's place stays. Where a variant has few, whether it was seen is chance as well."""
    total = lambda group: sum(n for _, n in group)
    large = [group for group in groups if min(p for p, _ in group) * total(group) >= 10]
    found = [sum((n - total(group) * p) ** 2 / (total(group) * p) for p, n in group) for group in large]
    # Of two degrees of freedom: chance alone comes to as much once in a million groups.
    return bool(found) and max(found) < 30, found


def begin(server, document):
    return server.cli("rollout", "start", "-f", "-", stdin=document)


def view(server, name):
    return json.loads(server.cli("rollout", "status", name, "--output", "json"))


def until(server, name, *phases):
    end = time.monotonic() + PATIENCE
    while (now := view(server, name))["phase"] not in phases:
        assert time.monotonic() < end, json.dumps(now, indent=1)
        time.sleep(0.2)
    return now


def decisions(server, name):
    said = json.loads(server.cli("rollout", "decisions", name, "--output", "json"))["decisions"]
    return list(reversed(said))


def test_a_better_candidate_takes_the_deployment_over(server, models):
    deployed(server, "better")
    steps = [{"canary": {"weight": 20, "minExposures": 30, "minDuration": "2s"}},
             {"abTest": {"weight": 50, "minExposures": 100, "minDuration": "2s", "maxDuration": "1h"}}]
    metrics = {"guardrails": [{"name": "errors", "kind": "errors", "nonInferiority": 0.1}],
               "success": [{"name": "correct", "kind": "mean", "source": "label:correct", "minEffect": 0.05}]}
    preflight = {"gates": [{"metric": "auc", "min": 0.9}]}
    with Traffic(server, "better", models) as traffic:
        begin(server, declared("better", 2, steps, metrics=metrics, preflight=preflight))
        last = until(server, "better-v2", "succeeded")
    assert traffic.failed == 0
    kinds = [d["kind"] for d in decisions(server, "better-v2")]
    assert kinds == ["started", "advanced", "advanced", "promoted", "settled", "succeeded"] or set(kinds) >= {"started", "advanced", "promoted", "succeeded"}, kinds
    promoted = next(d for d in decisions(server, "better-v2") if d["kind"] == "promoted")
    correct = next(m for m in promoted["metrics"] if m["name"] == "correct")
    assert correct["finding"] == "better" and correct["effect"]["low"] > 0
    # The alias followed, and the deployment serves by itself what won.
    assert mlflow.MlflowClient().get_model_version_by_alias("lump", "better").version == "2"
    assert last["variants"][1]["weight"] == 1
    version = json.loads(server.cli("get", "deployment", "better"))["status"]["version"]
    assert version == "2"
    # The journal alone leads to the same decisions, and tells them in SQL.
    assert "decisions follow from the journal" in server.cli("rollout", "replay", "better-v2")
    # So does how sure each metric was on the way, to its last number.
    course = requests.get(f"{server.url}/api/v1/rollouts/better-v2/course").json()["metrics"]
    points = next(m["points"] for m in course if m["name"] == "correct")
    assert [p["at"] for p in points] == sorted({p["at"] for p in points}) and len(points) > 3
    wide = lambda p: p["effect"]["high"] - p["effect"]["low"] if {"high", "low"} <= p["effect"].keys() else float("inf")
    assert wide(points[-1]) < wide(points[0]) and points[-1]["effect"]["low"] > 0
    assert sum(points[-1]["units"]) >= sum(correct["units"]) > sum(points[0]["units"])
    assert "correct (success, difference)" in server.cli("rollout", "course", "better-v2")
    missing = requests.get(f"{server.url}/api/v1/rollouts/better-v2/course?run=7")
    assert missing.status_code == 404 and "run 7" in missing.text, missing.text
    end = time.monotonic() + PATIENCE
    while not (told := server.query("SELECT decision FROM decisions WHERE decided_by = 'Rollout/better-v2' ORDER BY sequence")) or told[-1]["decision"] != "succeeded":
        assert time.monotonic() < end, told
        time.sleep(0.1)
    assert [d["decision"] for d in told] == kinds
    # Whoever got the candidate once kept it: weights only rose.
    shares = server.query("SELECT variant, count(DISTINCT unit) AS units FROM predictions WHERE deployment = 'better' AND generation IS NOT NULL GROUP BY variant")
    assert {s["variant"] for s in shares} == {"stable", "v2"}
    moves = server.query("SELECT first_of_v2 > last_of_stable AS forth, count(*) AS units FROM ("
                         " SELECT unit, min(at) FILTER (WHERE variant = 'v2') AS first_of_v2, max(at) FILTER (WHERE variant = 'stable') AS last_of_stable"
                         " FROM predictions WHERE deployment = 'better' AND generation IS NOT NULL GROUP BY unit"
                         ") WHERE first_of_v2 IS NOT NULL AND last_of_stable IS NOT NULL GROUP BY 1")
    # How many asked on both sides of a rise is chance; none of them went back.
    assert {m["forth"] for m in moves} <= {True}, moves


def test_a_bandit_takes_out_the_worst_and_promotes_the_best(server, models):
    deployed(server, "bandit")
    document = json.loads(declared("bandit", 2, [{"bandit": {"period": "3s", "minWeight": 5, "minExposures": 40, "minDuration": "5s", "maxDuration": "1h"}}], metrics={
        "guardrails": [{"name": "errors", "kind": "errors", "nonInferiority": 0.1}],
        "success": [{"name": "correct", "kind": "mean", "source": "label:correct"}]}))
    document["candidates"] = [{"name": "v3", "model": "models:/lump/3"}, {"name": "v2", "model": "models:/lump/2"}]
    with Traffic(server, "bandit", models) as traffic:
        begin(server, json.dumps(document))
        until(server, "bandit-v2", "succeeded")
    assert traffic.failed == 0
    told = decisions(server, "bandit-v2")
    dropped = next(d for d in told if d["kind"] == "dropped")
    assert dropped["sentence"].startswith("v3 is taken out: correct of v3 is worse"), dropped
    promoted = next(d for d in told if d["kind"] == "promoted")
    assert "promoted v2: v2 is the best with a probability of" in promoted["sentence"]
    assert all(abs(sum(d["weights"]) - 1) < 1e-9 for d in told if d.get("weights"))
    # What each would have brought alone, from the propensities; the good one is right nearly always. Where it was right each
    # time, there is no error to estimate, and its mean is all there is.
    alone = {arm["variant"]: arm.get("dr", arm["mean"])["value"] for arm in promoted["arms"]}
    assert alone["v2"] > 0.9 > alone["stable"], promoted["arms"]
    assert mlflow.MlflowClient().get_model_version_by_alias("lump", "bandit").version == "2"
    # The journal has the probability with which each answer's variant was chosen: one of those that were decided.
    decided = {round(weight, 6) for d in told for weight in d.get("weights", [])}
    chosen = server.query("SELECT DISTINCT propensity FROM predictions WHERE deployment = 'bandit' AND generation IS NOT NULL")
    assert {round(row["propensity"], 6) for row in chosen} <= decided
    assert "decisions follow from the journal" in server.cli("rollout", "replay", "bandit-v2")


def test_of_three_variants_in_an_ab_test_the_one_that_is_better_is_promoted(server, models):
    deployed(server, "trio")
    document = json.loads(declared("trio", 2, [{"abTest": {"weight": 66, "minExposures": 100, "minDuration": "3s", "maxDuration": "1h"}}], metrics={
        "guardrails": [{"name": "errors", "kind": "errors", "nonInferiority": 0.1}],
        "success": [{"name": "correct", "kind": "mean", "source": "label:correct"}]}))
    # The twin is stable's own version: no better, and no worse.
    document["candidates"] = [{"name": "twin", "model": "models:/lump/1"}, {"name": "v2", "model": "models:/lump/2"}]
    with Traffic(server, "trio", models) as traffic:
        begin(server, json.dumps(document))
        last = until(server, "trio-v2", "succeeded")
    assert traffic.failed == 0
    told = decisions(server, "trio-v2")
    promoted = next(d for d in told if d["kind"] == "promoted")
    assert promoted["sentence"].startswith("promoted v2"), promoted["sentence"]
    findings = {m["variant"]: m["finding"] for m in promoted["metrics"] if m["name"].startswith("correct")}
    # Once in a while chance takes the twin out before.
    assert findings["v2"] == "better" and findings.get("twin") != "better", findings
    assert [v["weight"] for v in last["variants"]] == [0, 0, 1]
    assert mlflow.MlflowClient().get_model_version_by_alias("lump", "trio").version == "2"
    # While they stood, each had the third that was declared, and each user one of them.
    third = next(d for d in told if d["kind"] == "advanced")["weights"]
    assert third == pytest.approx([0.34, 0.33, 0.33])
    seen = server.query("SELECT variant, count(DISTINCT unit) AS units FROM predictions WHERE deployment = 'trio' AND generation IS NOT NULL AND propensity < 1 GROUP BY variant")
    assert {s["variant"] for s in seen} == {"stable", "twin", "v2"}
    assert "decisions follow from the journal" in server.cli("rollout", "replay", "trio-v2")


@pytest.fixture(scope="module")
def parted(server, models):
    """`parted`: version 1 guesses, 2 is right about small lumps and guesses about large ones, 3 the other way round."""
    x, y = models
    small = x[:, 0] < numpy.median(x[:, 0])
    guess = numpy.random.default_rng(1).integers(0, 2, len(y))
    tree = lambda labels: DecisionTreeClassifier(max_depth=12, random_state=0).fit(x, labels)
    log("parted", tree(guess), x)
    log("parted", tree(numpy.where(small, y, guess)), x)
    log("parted", tree(numpy.where(small, guess, y)), x)
    return x, y


def times(server, deployment):
    """By generation and context, the variants with their probabilities and how many units got them."""
    found = {}
    for row in server.query("SELECT generation, context, variant, propensity, count(DISTINCT unit) AS units FROM predictions "
                            f"WHERE deployment = '{deployment}' AND generation IS NOT NULL AND context IS NOT NULL GROUP BY generation, context, variant, propensity"):
        found.setdefault((row["generation"], row["context"]), []).append(row)
    return found


def test_a_contextual_bandit_gives_each_segment_the_variant_that_is_right_about_it(server, parted):
    middle = float(numpy.median(parted[0][:, 0]))
    server.deploy("parted", "models:/parted/1")
    document = json.loads(declared("parted", 2, [{"contextualBandit": {
        "features": [{"input": "X", "cuts": [middle]}], "period": "3s", "minWeight": 4, "minExposures": 60}}], metrics={
        "guardrails": [{"name": "errors", "kind": "errors", "nonInferiority": 0.1}],
        "success": [{"name": "correct", "kind": "mean", "source": "label:correct"}]}))
    document["candidates"] = [{"name": "v2", "model": "models:/parted/2"}, {"name": "v3", "model": "models:/parted/3"}]

    def learned(now):
        seen = {c["title"]: {a["variant"]: a["weight"] for a in c["arms"]} for c in now.get("contexts", []) if c["share"] > 0}
        gains = {g["over"]: g["gain"].get("low", 0) for g in now.get("gains", [])}
        small, large = (next((w for title, w in seen.items() if sign in title), {}) for sign in "<≥")
        split = small.get("v2", 0) > 0.75 and large.get("v3", 0) > 0.75
        return split and set(gains) == {"stable", "v2", "v3"} and min(gains.values()) > 0

    with Traffic(server, "parted", parted) as traffic:
        begin(server, json.dumps(document))
        end = time.monotonic() + 2 * PATIENCE
        while not learned(now := view(server, "parted-v2")):
            assert now["phase"] != "rolledBack" and time.monotonic() < end, json.dumps(now, indent=1)
            time.sleep(0.5)
        # On a fast machine the first look learns it all: some traffic under what was learned as well.
        while len(whole := [rows for rows in times(server, "parted").values() if len(rows) == 3]) < 4:
            assert time.monotonic() < end, whole
            time.sleep(0.5)
    assert traffic.failed == 0
    assert "choosing by context brought" in server.cli("rollout", "status", "parted-v2")
    # Alone each is right about three quarters or half of them, and it is known how often without having been alone.
    arms = {arm["variant"]: arm["dr"] for arm in now["arms"]}
    for name, truth in (("stable", 0.5), ("v2", 0.75), ("v3", 0.75)):
        assert abs(arms[name]["value"] - truth) < 5 * arms[name]["standardError"] + 0.1, (name, arms[name])
    # In each context of each time, the probabilities in the journal are a whole, and they are those of the choice.
    every = times(server, "parted")
    whole = [rows for rows in every.values() if len(rows) == 3]
    assert len(whole) >= 4 and all(len({r["variant"] for r in rows}) == len(rows) for rows in every.values())
    assert all(abs(sum(r["propensity"] for r in rows) - 1) < 1e-5 for rows in whole)
    good, found = by_chance([[(r["propensity"], r["units"]) for r in rows] for rows in whole])
    assert good, found
    # A flag is not told what a request carries.
    answer = requests.post(f"{server.url}/ofrep/v1/evaluate/flags/parted", json={"context": {"targetingKey": "user-1"}})
    assert answer.status_code == 400 and "contextual bandit" in answer.json()["errorDetails"], answer.text
    assert "decisions follow from the journal" in server.cli("rollout", "replay", "parted-v2")
    server.cli("rollout", "abort", "parted-v2")
    until(server, "parted-v2", "rolledBack")


def test_a_worse_candidate_is_rolled_back_before_many_have_met_it(server, models):
    deployed(server, "worse")
    steps = [{"canary": {"weight": 10, "minExposures": 100000, "minDuration": "1h"}}]
    metrics = {"guardrails": [{"name": "correct", "kind": "mean", "source": "label:correct", "nonInferiority": 0.02}]}
    with Traffic(server, "worse", models) as traffic:
        begin(server, declared("worse", 3, steps, metrics=metrics))
        until(server, "worse-v3", "rolledBack")
    assert traffic.failed == 0
    met = sum("v3" in variants for variants in traffic.seen.values())
    assert met < 0.2 * len(traffic.seen), (met, len(traffic.seen))
    rolled_back = next(d for d in decisions(server, "worse-v3") if d["kind"] == "rolledBack")
    assert "correct" in rolled_back["because"], rolled_back
    assert mlflow.MlflowClient().get_model_version_by_alias("lump", "worse").version == "1"


def test_people_pause_and_abort_and_what_makes_no_sense_is_refused(server, models):
    deployed(server, "ordered")
    steps = [{"canary": {"weight": 50, "minExposures": 100000, "minDuration": "1h"}}]
    begin(server, declared("ordered", 2, steps, rollback={"keepWarm": "0s"}))
    until(server, "ordered-v2", "step")
    assert "paused" in server.cli("rollout", "pause", "ordered-v2")
    refused = server.cli("rollout", "pause", "ordered-v2", check=False)
    assert refused.returncode != 0 and "only a rollout in a step can be paused" in refused.stderr
    other = declared("ordered", 3, steps)
    begin(server, other)
    end = time.monotonic() + PATIENCE
    while (waits := view(server, "ordered-v3"))["hold"] is None:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert waits["hold"]["cause"] == "blocked" and "ordered-v2" in waits["hold"]["reason"]
    long = requests.post(f"{server.url}/api/v1/rollouts/ordered-v2/orders/abort", params={"reason": "x" * 501})
    assert long.status_code == 400 and "at most 500 characters" in long.text
    told = server.cli("rollout", "abort", "ordered-v2", "--reason", "support sees empty answers & more")
    assert "aborted it; the reason given: support sees empty answers & more" in told
    assert until(server, "ordered-v2", "rolledBack")["variants"][1]["weight"] == 0
    until(server, "ordered-v3", "step", "preflight")
    server.cli("delete", "rollout", "ordered-v3")
    until(server, "ordered-v3", "rolledBack")
    nobody = server.cli("rollout", "status", "nobody", check=False)
    assert nobody.returncode == 1 and "there is no rollout" in nobody.stderr


def test_testers_and_flag_sdks_get_the_variant_that_requests_get(server, models):
    deployed(server, "flags")
    api.set_provider(OFREPProvider(server.url))
    sdk = api.get_client()
    before = sdk.get_string_details("flags", "none", EvaluationContext("user-1"))
    assert (before.value, before.reason.value) == ("stable", "STATIC")
    begin(server, declared("flags", 2, [{"canary": {"weight": 50, "minExposures": 100000, "minDuration": "1h"}}]))
    until(server, "flags-v2", "step")
    x, _ = models
    body = {"inputs": [{"name": "X", "shape": [1, 30], "datatype": "FP32", "data": x[0].tolist()}]}
    ask = lambda **headers: requests.post(f"{server.url}/v2/models/flags/infer", json=body, headers=headers)
    # The step begins a moment before requests are divided.
    end = time.monotonic() + PATIENCE
    while {ask(**{"x-user-id": f"user-{n}"}).headers["mainspring-variant"] for n in range(40)} != {"stable", "v2"}:
        assert time.monotonic() < end
    got = set()
    for n in range(40):
        user = f"user-{n}"
        variant = ask(**{"x-user-id": user}).headers["mainspring-variant"]
        flag = sdk.get_string_details("flags", "none", EvaluationContext(user))
        assert (flag.value, flag.variant, flag.reason.value) == (variant, variant, "SPLIT")
        assert flag.flag_metadata["rollout"] == "flags-v2" and flag.flag_metadata["propensity"] == 0.5
        assert sdk.get_boolean_value("flags:v2", None, EvaluationContext(user)) == (variant == "v2")
        got.add(variant)
    assert got == {"stable", "v2"}
    missing = sdk.get_string_details("flags", "none", EvaluationContext())
    assert missing.error_code.value == "TARGETING_KEY_MISSING" and missing.value == "none"
    unknown = sdk.get_string_details("nothing", "none", EvaluationContext("user-1"))
    assert unknown.error_code.value == "FLAG_NOT_FOUND"
    bulk = requests.post(f"{server.url}/ofrep/v1/evaluate/flags", json={"context": {"targetingKey": "user-1"}})
    assert "flags" in [f["key"] for f in bulk.json()["flags"]]
    again = requests.post(f"{server.url}/ofrep/v1/evaluate/flags", json={"context": {"targetingKey": "user-1"}}, headers={"If-None-Match": bulk.headers["etag"]})
    assert again.status_code == 304 and not again.content
    # Testers name a variant, and are left out of what is counted.
    for variant in ("stable", "v2"):
        assert ask(**{"x-mainspring-variant": variant}).headers["mainspring-variant"] == variant
    wrong = ask(**{"x-mainspring-variant": "v9"})
    assert wrong.status_code in (400, 404) and "stable, v2" in wrong.text
    server.cli("rollout", "abort", "flags-v2")


def test_simulate_says_how_long_it_would_take(server, models):
    steps = [{"canary": {"weight": 10, "minExposures": 100}}, {"abTest": {"weight": 50, "maxDuration": "4h"}}]
    metrics = {"success": [{"name": "bought", "kind": "mean", "source": "label:bought", "minEffect": 0.1}]}
    file = server.folder / "plan.yaml"
    file.write_text(declared("better", 2, steps, metrics=metrics, maxDuration="5h"))
    told = json.loads(server.cli("rollout", "simulate", "-f", file, "--per-hour", 3000, "--baseline", "bought=0.2", "--runs", 5, "--output", "json"))
    assert told["forecast"]["power"] >= 0.8 and told["forecast"]["falsePromotions"] <= 0.2, told
    refused = server.cli("rollout", "simulate", "-f", file, "--per-hour", 3000, check=False)
    assert refused.returncode == 2 and "--baseline bought" in refused.stderr


def test_azures_sdk_ranks_and_rewards(start):
    from azure.cognitiveservices.personalizer import PersonalizerClient
    from azure.cognitiveservices.personalizer.models import ErrorResponseException, RankableAction, RankRequest
    from msrest.authentication import CognitiveServicesCredentials

    mainspring = start()
    mainspring.apply("apiVersion: mainspring/v1\nkind: Personalizer\nname: front\n")
    key = json.loads(mainspring.cli("key", "create", "azure", "--role", "infer", "--output", "json"))["key"]
    client = PersonalizerClient(f"{mainspring.url}/personalizers/front", CognitiveServicesCredentials(key))
    wants = {"ann": "sport", "bob": "music"}
    actions = [RankableAction(id=topic, features=[{"topic": topic}]) for topic in ("sport", "music", "politics")]

    def rank(user, **more):
        return client.rank(RankRequest(actions=actions, context_features=[{"user": user}], **more))

    end = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(ErrorResponseException):
            rank("ann")
            break
        assert time.monotonic() < end
        time.sleep(0.05)
    right = 0
    for n in range(300):
        user = "ann" if n % 2 else "bob"
        ranked = rank(user)
        assert abs(sum(a.probability for a in ranked.ranking) - 1) < 1e-6
        reward = float(ranked.reward_action_id == wants[user])
        client.events.reward(ranked.event_id, value=reward)
        right += reward if n >= 200 else 0
    assert right > 60, right
    mine = rank("ann", event_id="mine", excluded_actions=["sport"])
    assert mine.ranking[0].id == "sport" and mine.ranking[0].probability == 0 and mine.reward_action_id != "sport"
    assert rank("bob", event_id="mine").reward_action_id == mine.reward_action_id
    client.events.reward("mine", value=1.0)
    with pytest.raises(ErrorResponseException, match="no actions"):
        client.rank(RankRequest(actions=[]))
    rows = mainspring.query('SELECT avg(feedback_number) AS reward, count(*) AS n FROM labeled WHERE deployment = \'front\' AND feedback_name = \'reward\'')
    assert rows[0]["n"] >= 250, rows
    assert json.loads(mainspring.cli("get", "personalizer", "front"))["status"]["learnt"] >= 300


def test_a_candidate_that_crashes_is_out_after_a_handful_of_requests(server, models):
    # Classes of a function travel with the model, those of a module by its name.
    class Sum(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input.sum(axis=1)

    class Broken(mlflow.pyfunc.PythonModel):
        """Answers its example, and fails at real requests."""

        def predict(self, context, model_input, params=None):
            if model_input[0, 0] == 7:
                raise RuntimeError("broken")
            return model_input.sum(axis=1)

    rows = numpy.zeros((5, 3), dtype=numpy.float32)
    for model in (Sum(), Broken()):
        with mlflow.start_run():
            mlflow.pyfunc.log_model(name="model", python_model=model, signature=infer_signature(rows, rows.sum(axis=1)), registered_model_name="crash", pip_requirements=["numpy"])
    server.deploy("crash", "models:/crash/1", engine={"python": {"env": "shared"}})
    document = json.loads(declared("crash", 2, [{"canary": {"weight": 20, "minExposures": 100000, "minDuration": "1h"}}]))
    document |= {"candidates": [{"name": "v2", "model": "models:/crash/2"}], "hardLimits": {"errorRate": 0.3, "window": "60s", "minRequests": 10}}
    begin(server, json.dumps(document))
    until(server, "crash-v2", "step")
    body = {"inputs": [{"name": "input", "shape": [1, 3], "datatype": "FP32", "data": [7, 0, 0]}]}
    codes, session, end = [], requests.Session(), time.monotonic() + PATIENCE
    # Always others: of the same twenty users, perhaps nobody has the candidate.
    users = itertools.count()
    while view(server, "crash-v2")["phase"] != "rolledBack":
        assert time.monotonic() < end, codes
        codes += [session.post(f"{server.url}/v2/models/crash/infer", json=body, headers={"x-user-id": str(next(users))}).status_code for _ in range(20)]
    assert set(codes) == {200, 500} and codes.count(500) <= 12, codes.count(500)
    sentence = next(d for d in decisions(server, "crash-v2") if d["kind"] == "rolledBack")["sentence"]
    assert "hard limit" in sentence and "of 10 requests failed" in sentence
    # From the first request that met it to the last one.
    met = "SELECT CAST(max(at) AS BIGINT) - CAST(min(at) AS BIGINT) AS us FROM predictions WHERE deployment = 'crash' AND variant = 'v2'"
    assert 0 < server.query(met)[0]["us"] < 5_000_000


def asked(server, deployment, rows, n, body=None):
    x, _ = rows
    for row in range(n):
        data = {"inputs": [{"name": "X", "shape": [1, 30], "datatype": "FP32", "data": x[row].tolist()}]}
        assert requests.post(f"{server.url}/v2/models/{deployment}/infer", json=body or data).ok


def journaled(server, deployment):
    return server.query(f"SELECT count(*) AS n FROM predictions WHERE deployment = '{deployment}'")[0]["n"]


def test_recorded_requests_are_asked_again_before_anybody_gets_the_candidate(server, models):
    deployed(server, "golden")
    canary = [{"canary": {"weight": 50, "minExposures": 100000, "minDuration": "1h"}}]
    replay = lambda **more: {"preflight": {"replay": {"requests": 50, "minRequests": 30} | more}, "rollback": {"keepWarm": "0s"}}
    # Nothing was recorded yet.
    begin(server, declared("golden", 2, canary, **replay(minLabelAgreement=50)))
    until(server, "golden-v2", "rolledBack")
    why = decisions(server, "golden-v2")[-1]["sentence"]
    asked(server, "golden", models, 60)
    assert any("0 requests could be asked again, and 30 are wanted" in d["sentence"] for d in decisions(server, "golden-v2")), why
    # Version 3 says the opposite of what version 1 hardly knows.
    begin(server, declared("golden", 3, canary, **replay(minLabelAgreement=99, tolerance={"absolute": 1e-4})))
    until(server, "golden-v3", "rolledBack")
    refused = next(d for d in decisions(server, "golden-v3") if d["kind"] == "rolledBack")
    assert "labels agree, at least 99 % must" in refused["sentence"] and "the worst is request" in refused["sentence"], refused
    numbers = next(c for c in refused["checks"] if c["name"] == "replay")["replay"]
    assert numbers["requests"] == 50 and numbers["failed"] == 0 and 1 <= len(numbers["worst"]) <= 5, numbers
    assert {variant["weights"][1] for variant in view(server, "golden-v3")["weights"]} == {0}
    # The model itself, by another name, answers the same; nothing of all that is in the journal.
    before = journaled(server, "golden")
    document = json.loads(declared("golden", 1, canary, **replay(tolerance={"absolute": 1e-6}, minLabelAgreement=100, maxLatencyRatio=100)))
    begin(server, json.dumps(document | {"name": "golden-v1"}))
    until(server, "golden-v1", "step")
    passed = next(d for d in decisions(server, "golden-v1") if d["kind"] == "advanced")
    numbers = next(c for c in passed["checks"] if c["name"] == "replay")
    assert numbers["passed"] and numbers["replay"]["within"] == numbers["replay"]["rows"] == 50
    assert len(numbers["replay"]["medianUs"]) == 2 and "replay: 50 requests of the journal" in passed["sentence"], passed
    assert journaled(server, "golden") == before == 60
    server.cli("rollout", "abort", "golden-v1")


def test_a_golden_file_says_what_a_candidate_must_answer(server, models):
    deployed(server, "filed")
    x, y = models
    client = mlflow.MlflowClient()
    run = client.create_run(client.get_experiment_by_name("rollouts").experiment_id).info.run_id
    line = lambda row: {"inputs": [{"name": "X", "shape": [1, 30], "datatype": "FP32", "data": x[row].tolist()}],
                        "outputs": [{"name": "label", "shape": [1], "datatype": "INT64", "data": [int(y[row])]}]}
    file = server.folder / "golden.jsonl"
    file.write_text("\n".join(json.dumps(line(row)) for row in range(100)))
    client.log_artifact(run, file)
    canary = [{"canary": {"weight": 50, "minExposures": 100000, "minDuration": "1h"}}]
    replay = {"preflight": {"replay": {"golden": f"runs:/{run}/golden.jsonl", "minLabelAgreement": 90}}, "rollback": {"keepWarm": "0s"}}
    begin(server, declared("filed", 3, canary, **replay))
    until(server, "filed-v3", "rolledBack")
    begin(server, declared("filed", 2, canary, **replay))
    until(server, "filed-v2", "step")
    passed = next(d for d in decisions(server, "filed-v2") if d["kind"] == "advanced")
    assert f"100 requests of runs:/{run}/golden.jsonl" in passed["sentence"], passed
    server.cli("rollout", "abort", "filed-v2")
    replay["preflight"]["replay"]["golden"] = f"runs:/{run}/nothing.jsonl"
    begin(server, declared("filed", 2, canary, **replay).replace("filed-v2", "filed-none"))
    until(server, "filed-none", "rolledBack")
    assert "nothing.jsonl cannot be read" in next(d for d in decisions(server, "filed-none") if d["kind"] == "rolledBack")["sentence"]


def test_what_users_did_before_a_rollout_explains_a_part_of_what_they_do_in_it(server, models):
    x, y = models
    mlflow.MlflowClient().set_registered_model_alias("lump", "history", "1")
    server.deploy("history", "models:/lump@history", journal={"unit": "header:x-user-id"})
    session = requests.Session()

    def spends(user, n):
        """Some users always spend more than others."""
        body = {"inputs": [{"name": "X", "shape": [1, 30], "datatype": "FP32", "data": x[user % len(y)].tolist()}]}
        answer = session.post(f"{server.url}/v2/models/history/infer", json=body, headers={"x-user-id": f"user-{user}"})
        return {"predictionId": answer.headers["mainspring-prediction-id"], "name": "spent", "value": float(user % 10 + n % 2)}

    say = lambda said: [session.post(f"{server.url}/api/v1/feedback", json={"feedback": said[i:i + 50]}).raise_for_status() for i in range(0, len(said), 50)]
    # Whose each request is stands in the journal before there is a rollout; a third of the users come later.
    say([spends(user, n) for n in range(2) for user in range(400)])
    units = server.query("SELECT count(DISTINCT unit) AS n, count(generation) AS decided FROM predictions WHERE deployment = 'history'")[0]
    assert units == {"n": 400, "decided": 0}
    metrics = {"success": [{"name": "spent", "kind": "mean", "source": "label:spent", "cuped": {"covariate": "before:1d"}}],
               "guardrails": [{"name": "errors", "kind": "errors", "nonInferiority": 0.1}]}
    begin(server, declared("history", 2, [{"canary": {"weight": 50, "minExposures": 100000, "minDuration": "1h"}}], metrics=metrics))
    until(server, "history-v2", "step")
    say([spends(user, n) for n in range(3) for user in range(600)])
    end = time.monotonic() + PATIENCE
    while (spent := next(m for m in view(server, "history-v2")["metrics"] if m["name"] == "spent")).get("knownUnits") != 400 or sum(spent["units"]) != 600:
        assert time.monotonic() < end, spent
        time.sleep(0.3)
    assert 0.5 < spent["varianceExplained"] < 1, spent
    assert "of the variance known before of 400 units" in server.cli("rollout", "status", "history-v2")
    server.cli("rollout", "abort", "history-v2")
    assert "decisions follow from the journal" in server.cli("rollout", "replay", "history-v2")
    refused = server.cli("apply", "-f", "-", check=False, stdin="apiVersion: mainspring/v1\nkind: Deployment\nname: history\nmodel: models:/lump/1\njournal: {unit: 'field:x'}\n")
    assert refused.returncode != 0 and "journal.unit" in refused.stderr, refused.stderr


def test_two_of_a_group_must_approve_and_not_who_declared_it(start):
    """Keys with groups, on a server of its own where everybody needs one."""
    server = start()
    made = lambda label, *groups: server.cli("key", "create", label, "--role", "write", *[w for g in groups for w in ("--group", g)]).strip()
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("approvals")
    x, y = data()
    for c in (1e-4, 1.0):
        log("lump", make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=500)).fit(x, y), x)
    ada, bob, eve, pat = made("Ada", "risk"), made("Bob", "risk", "ops"), made("Eve", "risk"), made("Pat")
    listed = json.loads(server.cli("key", "list", "--output", "json"))
    assert next(k for k in listed if k["label"] == "Bob")["groups"] == ["risk", "ops"]
    wrong = server.cli("key", "create", "Mallory", "--group", "not a name", check=False)
    assert wrong.returncode != 0 and "not a name" in wrong.stderr, wrong.stderr
    mlflow.MlflowClient().set_registered_model_alias("lump", "agreed", "1")
    server.deploy("agreed", "models:/lump@agreed")
    document = declared("agreed", 2, [{"canary": {"weight": 50, "minExposures": 100000, "minDuration": "1h"}}], approvals=[{"before": "canary", "group": "risk", "approvals": 2, "expires": "1h"}])
    server.cli("--api-key", ada, "rollout", "start", "-f", "-", stdin=document)
    waits = until(server, "agreed-v2", "approval")
    assert waits["approval"]["needs"] == [{"group": "risk", "wanted": 2, "by": []}] and waits["approval"]["notBy"].startswith("key:")
    approve = lambda key, check=True: server.cli("--api-key", key, "rollout", "approve", "agreed-v2", check=check)
    for key, why in ((pat, "it waits for 2 approvals of group risk"), (ada, "whoever began it may not")):
        refused = approve(key, check=False)
        assert refused.returncode != 0 and why in refused.stderr, refused.stderr
    assert "it waits for 1 more approval of group risk" in approve(bob)
    assert "have already" in approve(bob, check=False).stderr
    assert "1 of 2 approvals of group risk (so far key:" in server.cli("rollout", "status", "agreed-v2")
    bypass = server.cli("rollout", "promote", "agreed-v2", check=False)
    assert bypass.returncode != 0 and "an order is not enough" in bypass.stderr
    approve(eve)
    until(server, "agreed-v2", "step")
    audit = requests.get(f"{server.url}/api/v1/audit").json()["entries"]
    assert sum(e["action"] == "rollout.order" for e in audit) == 2
    server.cli("rollout", "abort", "agreed-v2")
