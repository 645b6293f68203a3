"""Answers that are kept, over every door: `tritonclient` by HTTP and gRPC, MLflow's scoring, the journal, metrics and costs."""

import json

import numpy
import pytest
import requests
import tritonclient.grpc
import tritonclient.http

NAME = "kept"


@pytest.fixture(scope="module")
def kept(deployed):
    spec = {"apiVersion": "mainspring/v1", "kind": "Deployment", "name": NAME, "model": "models:/oip-simple/1"}
    deployed.apply(json.dumps({**spec, "cache": {"ttl": "10m", "maxBytes": "1MiB"}}))
    return deployed


def inputs(triton, first):
    both = [numpy.full((1, 16), first, dtype=numpy.int32), numpy.ones((1, 16), dtype=numpy.int32)]
    given = [triton.InferInput(name, [1, 16], "INT32") for name in ("INPUT0", "INPUT1")]
    for one, values in zip(given, both):
        one.set_data_from_numpy(values)
    return given


def counts(client):
    stats = client.get_inference_statistics(NAME)["model_stats"][0]
    return {key: stats["inference_stats"][key]["count"] for key in ("cache_hit", "cache_miss", "success")}, stats["execution_count"]


def test_every_door_gets_what_was_kept(kept):
    web = tritonclient.http.InferenceServerClient(kept.base)
    assert web.get_model_config(NAME)["response_cache"] == {"enable": True}
    before, calls = counts(web)
    first = web.infer(NAME, inputs(tritonclient.http, 3))
    assert first.as_numpy("OUTPUT0").tolist() == [[4] * 16]
    again = web.infer(NAME, inputs(tritonclient.http, 3))
    with tritonclient.grpc.InferenceServerClient(kept.base) as client:
        other = client.infer(NAME, inputs(tritonclient.grpc, 3))
        config = client.get_model_config(NAME, as_json=True)["config"]
        grpc = client.get_inference_statistics(NAME).model_stats[0].inference_stats
    assert config["response_cache"] == {"enable": True}, config
    for answer in (again, other):
        for name in ("OUTPUT0", "OUTPUT1"):
            assert answer.as_numpy(name).tolist() == first.as_numpy(name).tolist()
    after, done = counts(web)
    assert {key: after[key] - before[key] for key in after} == {"cache_hit": 2, "cache_miss": 1, "success": 3}
    assert done - calls == 1, "the model was asked once"
    assert (grpc.cache_hit.count, grpc.cache_miss.count) == (after["cache_hit"], after["cache_miss"])
    assert grpc.cache_hit.ns > 0
    text = requests.get(f"{kept.url}/metrics").text
    assert f'nv_cache_num_hits_per_model{{model="{NAME}",version="1"}} {after["cache_hit"]}' in text


def test_the_header_says_it_and_the_journal_whose_it_was(kept):
    body = {"inputs": [{"name": name, "shape": [1, 16], "datatype": "INT32", "data": [value] * 16} for name, value in (("INPUT0", 70), ("INPUT1", 1))]}
    answers = [requests.post(f"{kept.url}/v2/models/{NAME}/infer", json=body) for _ in range(3)]
    assert [a.headers["cache-status"] for a in answers] == ["mainspring; fwd=miss", "mainspring; hit", "mainspring; hit"]
    ids = [a.headers["mainspring-prediction-id"] for a in answers]
    assert len(set(ids)) == 3
    scored = requests.post(f"{kept.url}/deployments/{NAME}/invocations", json={"inputs": {"INPUT0": [[70] * 16], "INPUT1": [[1] * 16]}})
    assert scored.headers.get("cache-status") == "mainspring; hit", (scored.status_code, scored.text, scored.headers)
    told = ", ".join(f"'{id}'" for id in ids + [scored.headers["mainspring-prediction-id"]])
    asked = f"SELECT event_id, cached_from, engine_us, saved_us, rows FROM predictions WHERE event_id IN ({told}) ORDER BY at"
    rows = json.loads(kept.cli("query", asked, "--output", "json"))["rows"]
    assert [row[1] for row in rows] == [None] + [ids[0]] * 3, rows
    (_, _, took, saved, _), *others = rows
    assert took > 0 and saved is None
    assert all(row[2] == 0 and row[3] == pytest.approx(took) for row in others), rows


def test_costs_say_what_was_saved(kept):
    report = json.loads(kept.cli("cost", "--deployment", NAME, "--output", "json"))
    answers = report["total"]["answers"]
    (asked,) = json.loads(kept.cli("query", f"SELECT count(*), count(cached_from), sum(saved_us) FROM predictions WHERE deployment = '{NAME}'", "--output", "json"))["rows"]
    assert answers == asked[0]
    saved = report["total"]["saved"]
    assert saved["answers"] == asked[1] > 0
    assert saved["computeSeconds"] == pytest.approx(asked[2] / 1e6, rel=1e-6)
    people = kept.cli("cost", "--deployment", NAME)
    assert f"{asked[1]} answers were kept and given again" in people, people
