"""One deployment, one test."""

import sys

import screen

STEPS = 5
TEST = "whole-digits"


def tell(server):
    steps = screen.Steps(STEPS)
    steps.run("start the server", lambda: (None, [f"{server.url}, data in {server.folder / 'data'}"]))
    data = steps.run("train two versions, log and register them with the mlflow client", lambda: train(server))
    steps.run("deploy version 1", lambda: deploy(server))
    steps.run("plan: how long would it take, and how often would it be right?", lambda: plan(server))
    last, log, crowd = steps.follow("test version 2 against it", lambda: test(server, data))
    last_screen(server, last, log, crowd)


def train(server):
    import mlflow
    import training
    from sklearn import compose, datasets, linear_model, pipeline, preprocessing

    training.track(server.url, "ab-testing")
    data = training.load(datasets.load_digits)
    # What a scanner of a quarter of the price would see.
    centre = [row * 8 + column for row in range(2, 6) for column in range(2, 6)]
    part = compose.ColumnTransformer([("centre", preprocessing.StandardScaler(), centre)])
    regression = lambda: linear_model.LogisticRegression(max_iter=300)
    first = training.register("digits", data, pipeline.make_pipeline(part, regression()), {"pixels": len(centre)})
    second = training.register("digits", data, pipeline.make_pipeline(preprocessing.StandardScaler(), regression()), {"pixels": 64})
    mlflow.MlflowClient().set_registered_model_alias("digits", "champion", first.version)
    lines = [f"version {v.version}, {n} pixels: accuracy {v.score:.3f} on held-out digits" for v, n in ((first, len(centre)), (second, 64))]
    return data, lines


def deploy(server):
    server.cli("apply", "-f", "deployment.yaml")
    return None, ["mainspring apply -f examples/ab-testing/deployment.yaml"]


def plan(server):
    words = ["rollout", "simulate", "-f", "test.yaml", "--per-hour", "200000", "--baseline", "correct=0.8", "--runs", "10"]
    told = server.json(*words)["forecast"]
    return told, [
        "mainspring " + " ".join(words),
        f"an effect of 0.03 is found in {told['power']:.0%} of {told['runs']} simulated tests, after {told['hours'][0] * 60:.1f} minutes in the median",
        f"without any effect version 2 is promoted in {told['falsePromotions']:.0%}",
    ]


def test(server, data):
    import people
    import rollouts

    print("      mainspring rollout start -f examples/ab-testing/test.yaml")
    with people.People(server, "digits", data) as crowd:
        rollouts.begin(server, "test.yaml")
        last, log = rollouts.follow(server, TEST, crowd, "succeeded", "rolledBack")
    return last, log, crowd


SQL = """
SELECT variant, count(*) AS answers, count(DISTINCT unit) AS users, avg(CASE WHEN feedback_number = 1 THEN 1.0 ELSE 0.0 END) AS correct
FROM labeled WHERE deployment = 'digits' AND feedback_name = 'correct' AND generation IS NOT NULL
GROUP BY variant ORDER BY variant
"""


def last_screen(server, last, log, crowd):
    import rollouts

    promoted = rollouts.decided(log, "promoted")
    print(f"\n{screen.bold(promoted['sentence'])}")
    for line in rollouts.table(promoted["metrics"]):
        print(f"  {line}")
    correct = next(metric for metric in promoted["metrics"] if metric["name"] == "correct")
    effect = correct["effect"]
    if not (correct["finding"] == "better" and effect["estimate"] > 0):
        sys.exit(f"version 2 was promoted without a reason: {correct}")
    between = f"between {effect['low']:+.3f} and {effect['high']:+.3f}"
    print(f"\n  {effect['estimate']:+.3f} more answers are right; at 95 % {between}, whenever one had looked")
    both = sum(len(variants) > 1 for variants in crowd.met.values())
    for row in server.query(SQL):
        print(f"  {row['variant']}: {row['users']} users, {row['answers']} answers that count, {row['correct']:.3f} right")
    counted = sum(variant["answers"] for variant in last["variants"])
    print(f"  {crowd.answered} requests, none failed; {counted} counted when it was last looked at: 5 % of the users are held out")
    print(f"  {both} of {len(crowd.met)} users met both versions, when the second took over from the first")
    print("  " + "\n  ".join(server.cli("rollout", "replay", TEST).splitlines()))
    print(f"\n{screen.bold('Console')}\n  {server.url}/ui/rollouts/{TEST}")
    print(f"\n{screen.bold('Try next')}")
    here = f"{server.binary} --server {server.url}"
    print(f"  {here} rollout status {TEST}")
    print(f"  {here} query \"SELECT decision, sentence FROM decisions ORDER BY at\"")
    print(f"  {here} query \"SELECT variant, propensity, generation, unit FROM predictions WHERE deployment = 'digits' LIMIT 5\"")
