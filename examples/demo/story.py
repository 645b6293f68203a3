"""The main job, step by step."""

import statistics
import sys
import time

import screen

STEPS = 9


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def tell(server, requests):
    steps = screen.Steps(STEPS)
    steps.run("start the server", lambda: (None, [f"{server.url}, data in {server.folder / 'data'}"]))
    data, first, second, others = steps.run("train four models, log and register them with the mlflow client", lambda: train(server))
    steps.run("declare three deployments", lambda: deploy(server))
    steps.run("call one of them with four clients", lambda: call(server, data, first))
    logged = steps.run("deploy a model as scikit-learn made it", lambda: deploy_python(server, data))
    faster = steps.run("convert it to ONNX, and prove that nothing changed", lambda: convert(server, data, logged))
    crowd, moved = steps.run("promote version 2 while four clients keep calling", lambda: promote(server, data, requests))
    feedback = steps.run("send the true labels back", lambda: label(server, data, crowd))
    verdict = steps.run("ask the journal which version was better", lambda: ask(server))
    last_screen(server, crowd, moved, feedback, verdict, (logged, faster))


def train(server):
    import mlflow
    import models
    import training
    from sklearn import datasets

    training.track(server.url, "demo")
    data = training.load(datasets.load_breast_cancer)
    first, second = models.train_cancer(data)
    _, wine = models.train_wine()
    _, diabetes = models.train_diabetes()
    client = mlflow.MlflowClient()
    for model in (first, wine, diabetes):
        client.set_registered_model_alias(model.name, "champion", model.version)
    everything = [first, second, wine, diabetes]
    lines = [f"{m.name} {m.version}: {'r²' if m.name == 'diabetes' else 'accuracy'} {m.score:.3f} on held-out data" for m in everything]
    return (data, first, second, everything), lines


def deploy(server):
    server.cli("apply", "-f", "deployments.yaml")
    return None, ["mainspring apply -f examples/demo/deployments.yaml", "cancer follows models:/cancer@champion, which is version 1"]


def call(server, data, first):
    import traffic

    rows = data.test_x.head(8)
    expected = first.model.predict(rows.to_numpy())
    clients = [
        ("tritonclient.http, binary tensors", traffic.rest),
        ("tritonclient.grpc", traffic.grpc),
        ("requests, JSON", traffic.json_over_http),
        ("mlflow ScoringServerClient", traffic.scoring),
    ]
    for name, client in clients:
        got = client(server.base, rows)
        if list(got) != list(expected):
            sys.exit(f"\n{name} got {list(got)}, scikit-learn says {list(expected)}")
    return None, [f"{', '.join(name for name, _ in clients)}: all four get scikit-learn's own answers"]


def deploy_python(server, data):
    import mlflow
    import models
    import traffic

    version = models.log_as_trained("tumour", data, models.boosting())
    mlflow.MlflowClient().set_registered_model_alias("tumour", "champion", version)
    server.cli("apply", "-f", "as-logged.yaml")
    answers, served, seconds = measured(traffic, server, data)
    if served != version:
        sys.exit(f"\nversion {served} answered, not {version}")
    median = statistics.median(seconds)
    return (answers, median), [f"it runs in a Python process beside the server: p50 {median * 1e3:.2f} ms, one row a request"]


def convert(server, data, logged):
    import traffic

    proof = server.cli("convert", "tumour@champion", "--env", "shared").splitlines()
    until = time.monotonic() + 120
    while True:
        answers, version, seconds = measured(traffic, server, data)
        if version != "1":
            break
        if time.monotonic() > until:
            sys.exit("\nthe deployment did not take the converted model")
    if answers != logged[0]:
        sys.exit("\nthe converted model answers otherwise")
    median = statistics.median(seconds)
    said = [line for line in proof if line.startswith(("rows", "tolerance", "VARIANT", "in Python", "float", "✓"))]
    return median, [*said, f"the same {len(answers)} requests, the same answers: p50 {median * 1e3:.2f} ms, {logged[1] / median:.1f} times as fast"]


def measured(traffic, server, data):
    """Every held-out row once, after a few that are not counted."""
    traffic.one_by_one(server.base, "tumour", data.test_x.head(10))
    return traffic.one_by_one(server.base, "tumour", data.test_x)


def promote(server, data, requests):
    import mlflow
    import traffic

    crowd = traffic.Crowd(server.base, data.test_x)
    crowd.start()
    crowd.wait_for(requests // 2)
    asked = time.perf_counter()
    mlflow.MlflowClient().set_registered_model_alias("cancer", "champion", "2")
    until = time.perf_counter() + 60
    while not any(c.version == "2" for c in crowd.calls[-50:]) and not crowd.failures and time.perf_counter() < until:
        time.sleep(0.005)
    crowd.wait_for(len(crowd.calls) + requests // 2)
    crowd.stop()
    new = [c.at for c in crowd.calls if c.version == "2"]
    if not new:
        sys.exit("\nversion 2 never answered")
    lines = [f"{len(crowd.calls)} requests, {len(crowd.failures)} failed", f"version 2 answered {(min(new) - asked) * 1000:.0f} ms after the alias moved"]
    lines += [f"failed: {text}" for text in crowd.failures[:3]]
    return (crowd, min(new) - asked), lines


def label(server, data, crowd):
    import requests as http

    truth = data.test_y.to_numpy()
    items = [{"predictionId": c.prediction, "name": "label", "value": int(truth[c.row])} for c in crowd.calls]
    accepted = orphans = 0
    for start in range(0, len(items), 1000):
        answer = http.post(f"{server.url}/api/v1/feedback", json={"feedback": items[start : start + 1000]}, timeout=60)
        answer.raise_for_status()
        accepted += answer.json()["accepted"]
        orphans += answer.json()["orphans"]
    return accepted, [f"{accepted} labels taken, {orphans} of them about predictions that are not known"]


SQL = """
SELECT version, count(*) AS predictions,
       avg(CASE WHEN "out.label" = feedback_number THEN 1.0 ELSE 0.0 END) AS accuracy,
       approx_percentile_cont(total_us, 0.5) AS p50_us,
       approx_percentile_cont(total_us, 0.99) AS p99_us
FROM labeled
WHERE deployment = 'cancer' AND feedback_name = 'label'
GROUP BY version ORDER BY version
"""


def ask(server):
    rows = server.query(SQL)
    if len(rows) != 2:
        sys.exit(f"\nthe journal tells of {len(rows)} versions, not of two: {rows}")
    return rows, ["mainspring query, predictions joined with the labels that came back"]


def last_screen(server, crowd, moved, feedback, verdict, lanes):
    seconds = [c.seconds for c in crowd.calls]
    print()
    rows = [("version", "predictions", "accuracy", "server p50", "server p99")]
    for row in verdict:
        rows.append((row["version"], row["predictions"], f"{row['accuracy']:.3f}", f"{row['p50_us']:.0f} µs", f"{row['p99_us']:.0f} µs"))
    for line in screen.table(rows):
        print(f"  {line}")
    p50, p99 = statistics.median(seconds) * 1000, percentile(seconds, 0.99) * 1000
    print(f"\n  {len(crowd.calls)} requests under load, {len(crowd.failures)} failed; the version changed in {moved * 1000:.0f} ms")
    print(f"  seen by the clients: p50 {p50:.2f} ms, p99 {p99:.2f} ms (four Python threads on this machine)")
    print(f"  {feedback} labels joined to their predictions")
    (_, python), onnx = lanes
    print(f"  one scikit-learn model, seen by one client: p50 {python * 1e3:.2f} ms as it was logged, {onnx * 1e3:.2f} ms as ONNX")
    print(f"\n{screen.bold('Console')}")
    pages = [
        ("/deployments/cancer?range=hour", "traffic and latency of both versions, and how each client calls it"),
        ("/experiments/1?show=charts", "the four runs and their curves"),
        ("/models/cancer", "where each version comes from; move the alias here"),
    ]
    for page, what in pages:
        print(f"  {(server.url + '/ui' + page).ljust(len(server.url) + 36)} {screen.dim(what)}")
    print(f"\n{screen.bold('Try next')}")
    here = f"{server.binary} --server {server.url}"
    print(f"  {here} get deployment")
    print(f"  {here} query \"SELECT protocol, count(*) AS n FROM predictions GROUP BY protocol\"")
    print(f"  {here} history deployment cancer")
    if crowd.failures:
        sys.exit("requests failed while the version changed")
