"""One deployment, one monitor, one change of a unit."""

import dataclasses
import sys
import time

import oncall
import screen

STEPS = 6
# A monitor looks at ten seconds once they are over, and five seconds more; on a busy machine it has fewer rows by then.
PATIENCE = 300
A_SECOND = 100
# Alerts go to public addresses, unless somebody says otherwise; this receiver is on this machine.
SETTINGS = {"MAINSPRING_ALERTS_REACH": "anywhere", "MAINSPRING_SECRET_ONCALL": f"whsec_{oncall.KEY}"}
INCH = 2.54
# What is a length; the other measurements have no unit, or their own.
LENGTHS = ("mean_radius", "mean_perimeter", "worst_radius", "worst_perimeter")


def tell(server):
    import people

    steps = screen.Steps(STEPS)
    steps.run("start the server", lambda: (None, [f"{server.url}, data in {server.folder / 'data'}"]))
    data = steps.run("train two versions; keep the profile of the training data with the first", lambda: train(server))
    receiver = steps.run("deploy version 1, watch its rows, and say who is on call", lambda: deploy(server))
    with people.People(server, "cancer", data, a_second=A_SECOND) as crowd:
        steps.follow("users ask, and version 2 gets a fifth of them", lambda: calm(server, crowd))
    in_inches = data.test_x.copy()
    in_inches[list(LENGTHS)] /= INCH
    inches = dataclasses.replace(data, test_x=in_inches)
    changed = time.time()
    with people.People(server, "cancer", inches, a_second=A_SECOND) as crowd:
        found = steps.follow("the laboratory begins to send lengths in inches", lambda: drift(server, crowd))
    told = steps.run("who is on call hears of it", lambda: heard(receiver, found))
    last_screen(server, found, told, changed)


def train(server):
    import training
    from sklearn import compose, datasets, linear_model, pipeline, preprocessing

    training.track(server.url, "drift")
    data = training.load(datasets.load_breast_cancer)
    scaled, regression = preprocessing.StandardScaler, linear_model.LogisticRegression
    small = compose.ColumnTransformer([("size", scaled(), [0, 1, 2])])
    versions = [
        training.register("cancer", data, pipeline.make_pipeline(small, regression()), {"columns": 3}),
        training.register("cancer", data, pipeline.make_pipeline(scaled(), regression()), {"columns": 30}),
    ]
    import mlflow

    mlflow.MlflowClient().set_registered_model_alias("cancer", "champion", "1")
    file = server.folder / "train.parquet"
    data.train_x.to_parquet(file)
    server.cli("profile", str(file), "--version", "cancer@champion")
    lines = [f"version {v.version}: accuracy {v.score:.3f} in its own test" for v in versions]
    return data, [*lines, "mainspring profile train.parquet --version cancer@champion"]


def deploy(server):
    receiver = oncall.Receiver()
    channel = server.folder / "channel.yaml"
    channel.write_text((server.home / "channel.yaml").read_text().replace("http://127.0.0.1:9099/", receiver.url))
    for file in ("deployment.yaml", "monitor.yaml", str(channel)):
        server.cli("apply", "-f", file)
    server.cli("alert", "test", "oncall")
    if len(receiver.taken) != 1:
        sys.exit("the test notice did not arrive")
    return receiver, [f"mainspring apply -f examples/drift-monitoring/{name}.yaml" for name in ("deployment", "monitor", "channel")]


def monitor(server):
    return server.json("monitor", "show", "cancer-drift")


def until(server, crowd, done):
    """Print how the columns stand each time that changes, until `done` says so."""
    began, before = time.monotonic(), None
    while True:
        view = monitor(server)
        counts = {}
        for column in view["columns"]:
            counts[column["standing"]] = counts.get(column["standing"], 0) + 1
        now = ", ".join(f"{count} {standing}" for standing, count in sorted(counts.items()))
        if now and now != before:
            print(f"      {time.monotonic() - began:5.1f} s  {view['sampled']} rows of {view['rows']}: {now}", flush=True)
        before = now
        if done(view):
            return view
        if crowd.failures:
            sys.exit(f"\na request failed: {crowd.failures[0]}")
        if time.monotonic() - began > PATIENCE:
            sys.exit(f"\nthe monitor did not come to an end: {view}")
        time.sleep(0.5)


def calm(server, crowd):
    import rollouts

    rollouts.begin(server, "v2.yaml")
    judged = ("steady", "shifted", "drift")
    # It looks twice, so that what follows is not the first thing that it sees.
    looked = lambda v: v.get("sampled", 0) >= 400 and all(c["standing"] in judged for c in v["columns"])  # noqa: E731
    view = until(server, crowd, looked)
    if view["state"] == "drifting":
        sys.exit(f"\nnothing had changed, and the monitor saw drift: {view}")
    print("      no column has drifted; the rollout of version 2 goes on", flush=True)


def drift(server, crowd):
    import rollouts

    view = until(server, crowd, lambda v: v["state"] == "drifting")
    _, log = rollouts.follow(server, "cancer-v2", crowd, "rolledBack", "closed")
    return view, log


def drifted(view):
    return {column["name"]: column for column in view["columns"] if column["standing"] == "drift"}


def heard(receiver, found):
    # Which of the lengths is the first whose drift is sure is a matter of chance.
    names = drifted(found[0])
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        # The first was the test.
        for notice in receiver.taken[1:]:
            if any(name in str(notice) for name in names):
                return notice, ["a signed webhook, whose signature was right"]
        time.sleep(0.2)
    sys.exit(f"\nno notice of the drift arrived: {receiver.taken}")


def last_screen(server, found, told, changed):
    view, log = found
    columns = drifted(view)
    named = {name.removeprefix("in.") for name in columns}
    if not named & set(LENGTHS) or named - set(LENGTHS):
        sys.exit(f"\nthe lengths changed, and the monitor names {sorted(named)}")
    print(f"\n{screen.bold('What changed')}")
    rows = [("column", "rows that would have to move", "by chance alone", "since")]
    rows += [(name, f"{100 * c['distance']:.0f} %", f"{100 * c['chance']:.0f} %", c.get("changedAt", c.get("since", ""))) for name, c in columns.items()]
    for line in screen.table(rows):
        print(f"  {line}")
    event = server.json("monitor", "events", "cancer-drift")["events"][-1]
    print(f"\n  {event['sentence']}")
    print(f"\n{screen.bold('What it did')}")
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(changed))
    right = "SELECT avg(feedback_number) AS share FROM labeled WHERE feedback_name = 'correct' AND at"
    before, after = (server.query(f"{right} {sign} TIMESTAMP '{at}'")[0]["share"] for sign in ("<", ">="))
    print(f"  answers that were right: {100 * float(before):.1f} % before, {100 * float(after):.1f} % after")
    print(f"\n{screen.bold('What was done')}")
    print(f"  the rollout: {log[-1]['sentence']}")
    print(f"  who is on call was told: {told.get('type', 'a notice')}")
    print(f"\n{screen.bold('Console')}\n  {server.url}/ui/alerts")
    print(f"\n{screen.bold('Try next')}")
    here = f"{server.binary} --server {server.url}"
    print(f"  {here} monitor show cancer-drift")
    print(f"  {here} alert list")
    print(f"  {here} drift models:/cancer@champion 'deployment:cancer?last=10m'")
