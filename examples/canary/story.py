"""One deployment, two canaries."""

import dataclasses
import sys

import screen

STEPS = 5


def tell(server):
    steps = screen.Steps(STEPS)
    steps.run("start the server", lambda: (None, [f"{server.url}, data in {server.folder / 'data'}"]))
    data = steps.run("train three versions, log and register them with the mlflow client", lambda: train(server))
    steps.run("deploy version 1", lambda: deploy(server))
    good = steps.follow("roll out version 2, which is better", lambda: roll_out(server, data, 2, "succeeded"))
    bad = steps.follow("roll out version 3, which is broken", lambda: roll_out(server, data, 3, "rolledBack"))
    last_screen(server, good, bad)


def train(server):
    import training
    from sklearn import compose, datasets, linear_model, pipeline, preprocessing

    training.track(server.url, "canary")
    data = training.load(datasets.load_breast_cancer)
    # The same patients, measured in another unit: whoever trains and tests on this notices nothing.
    other_unit = dataclasses.replace(data, train_x=data.train_x * 10, test_x=data.test_x * 10)
    scaled, regression = preprocessing.StandardScaler, linear_model.LogisticRegression
    small = compose.ColumnTransformer([("size", scaled(), [0, 1, 2])])
    versions = [
        training.register("cancer", data, pipeline.make_pipeline(small, regression()), {"columns": 3}),
        training.register("cancer", data, pipeline.make_pipeline(scaled(), regression()), {"columns": 30}),
        training.register("cancer", other_unit, pipeline.make_pipeline(scaled(), regression()), {"columns": 30}),
    ]
    import mlflow

    mlflow.MlflowClient().set_registered_model_alias("cancer", "champion", "1")
    return data, [f"version {v.version}: accuracy {v.score:.3f} in its own test" for v in versions]


def deploy(server):
    server.cli("apply", "-f", "deployment.yaml")
    return None, ["mainspring apply -f examples/canary/deployment.yaml", "cancer follows models:/cancer@champion, which is version 1"]


def roll_out(server, data, version, end):
    import people
    import rollouts

    name = f"cancer-v{version}"
    print(f"      mainspring rollout start -f examples/canary/v{version}.yaml")
    with people.People(server, "cancer", data) as crowd:
        rollouts.begin(server, f"v{version}.yaml")
        last, log = rollouts.follow(server, name, crowd, "succeeded", "rolledBack")
    if rollouts.view(server, name)["phase"] != end:
        sys.exit(f"\nversion {version} should have {end}")
    met, all_users = crowd.share(f"v{version}")
    if end == "rolledBack" and met * 4 > all_users:
        sys.exit(f"\n{met} of {all_users} users met a broken version")
    return last, log, (met, all_users, crowd.answered)


def last_screen(server, good, bad):
    import rollouts

    for version, kind, (_, log, (met, users, answered)) in ((2, "promoted", good), (3, "rolledBack", bad)):
        decision = rollouts.decided(log, kind)
        title = f"Version {version}: {decision['sentence']}"
        print(f"\n{screen.bold(title)}")
        for line in rollouts.table(decision["metrics"]):
            print(f"  {line}")
        print(f"  {met} of {users} users met it; {answered} requests, none failed")
    served = server.json("get", "deployment", "cancer")["status"]["version"]
    if served != "2":
        sys.exit(f"version {served} serves, not 2")
    print(f"\n  version {served} serves, and models:/cancer@champion means it")
    print(f"  {server.cli('rollout', 'replay', 'cancer-v2').splitlines()[0]}")
    print(f"\n{screen.bold('Console')}\n  {server.url}/ui/rollouts")
    print(f"\n{screen.bold('Try next')}")
    here = f"{server.binary} --server {server.url}"
    print(f"  {here} rollout status cancer-v3")
    print(f"  {here} rollout decisions cancer-v3")
    print(f"  {here} query \"SELECT at, decision, sentence FROM decisions ORDER BY at\"")
