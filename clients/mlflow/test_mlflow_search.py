"""Searches answer as MLflow's own SQL store does: the same calls on both, the results compared."""

import itertools
import math

import pytest
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

RUNS = [
    # name, metrics, params, tags, start, end
    ("ada", {"loss": 0.1, "acc": 0.9}, {"lr": "0.1", "opt": "adam"}, {"team": "red", "a b": "x"}, 1000, 2000),
    ("Bob", {"loss": 0.2, "acc": float("nan")}, {"lr": "0.01"}, {"team": "Red"}, 3000, None),
    ("cyd", {"loss": -1.5}, {"lr": "0.1", "opt": "SGD_x"}, {}, 2000, 5000),
    ("dan", {"acc": float("inf")}, {}, {"team": "blue", "note": "100%"}, 2100, 2500),
    ("eve", {"loss": 0.0, "deep/key": 3}, {"opt": "adam*w"}, {"team": "b[l]ue"}, 500, 900),
    ("fay", {}, {"lr": "1"}, {"a b": "it's"}, 4000, None),
]

FILTERS = [
    "",
    "metrics.loss < 0.15",
    "metrics.loss >= -1.5 AND metrics.loss <= 0",
    "metrics.acc != 0.9",
    "metrics.acc > 0",
    "metrics.acc = 0.9",
    "metrics.`deep/key` = 3",
    "metric.loss > -1e-1",
    "params.lr = '0.1'",
    "params.lr != '0.1'",
    "param.opt LIKE 'adam%'",
    "params.opt LIKE 'ADAM%'",
    "params.opt ILIKE 'ADAM%'",
    "params.opt LIKE '%_x'",
    "params.opt LIKE 'sgd%'",
    "params.opt ILIKE 'sgd%'",
    "params.opt LIKE 'adam*%'",
    "params.opt IS NULL",
    "params.opt IS NOT NULL AND tags.team IS NULL",
    "tags.team = 'red'",
    "tags.team ILIKE 'r_d'",
    "tags.team LIKE 'b[l]ue'",
    "tags.note LIKE '%\\%'",
    "tags.`a b` = 'x'",
    'tags."a b" = "x"',
    "tags.team != 'red'",
    "attributes.status = 'RUNNING'",
    "status != 'RUNNING'",
    "attributes.start_time > 1000",
    "start_time <= 2000 AND end_time > 2000",
    "end_time < 100000",
    "run_name = 'ada'",
    "attributes.run_name LIKE 'b%'",
    "attributes.`run name` ILIKE 'b%'",
    "user_id = 'u1'",
    "artifact_uri LIKE '%artifacts'",
    "metrics.loss > -2 and params.lr like '0.%' And tags.team ilike 'RED'",
    "datasets.name = 'd1'",
    "dataset.digest IN ('x1', 'x2')",
    "dataset.context = 'train'",
    "dataset.context LIKE 't%' AND metrics.loss < 1",
    "dataset.name NOT IN ('d1')",
]

ORDERS = [
    [],
    ["metrics.loss"],
    ["metrics.loss DESC"],
    ["metrics.acc ASC"],
    ["metrics.acc DESC"],
    ["params.lr ASC", "metrics.loss DESC"],
    ["params.opt DESC"],
    ["tags.team", "attributes.start_time ASC"],
    ["attributes.start_time ASC"],
    ["start_time DESC", "run_name ASC"],
    ["end_time DESC"],
    ["end_time"],
    ["metrics.`deep/key` DESC", "tags.`a b` ASC"],
    ["status", "user_id DESC"],
]

REFUSED = [
    "metrics.loss",
    "metrics.loss <",
    "metrics.loss < 'x'",
    "metrics.loss LIKE '1'",
    "params.lr > '1'",
    "params.lr = 0.1",
    "params.lr = lr",
    "params.lr <> '1'",
    "params.lr == '1'",
    "tags.team = 'red' OR tags.team = 'blue'",
    "colour.x = '1'",
    "attributes.colour = '1'",
    "dataset.colour = '1'",
    "status IN ('RUNNING')",
    "run_id IN ()",
    "run_id IN (1)",
    "start_time = 'x'",
    "metrics.loss IS NULL",
    "params.`lr = '1'",
    "'a' = 'b'",
]


def fill(client, name):
    from mlflow.entities import Dataset, DatasetInput, InputTag

    exp = client.create_experiment(name)
    for i, (run_name, metrics, params, tags, start, end) in enumerate(RUNS):
        run = client.create_run(exp, start_time=start, run_name=run_name, tags={"mlflow.user": f"u{i % 2}"})
        id_ = run.info.run_id
        client.log_batch(
            id_,
            [Metric(k, v, 10 + i, 0) for k, v in metrics.items()],
            [Param(k, v) for k, v in params.items()],
            [RunTag(k, v) for k, v in tags.items()],
        )
        if i in (0, 2, 4):
            dataset = Dataset(f"d{i % 3 + 1}", f"x{i}", "local", "{}")
            client.log_inputs(id_, [DatasetInput(dataset, [InputTag("mlflow.data.context", "train" if i else "test")])])
        if end:
            client.set_terminated(id_, "FINISHED" if i % 2 else "FAILED", end_time=end)
    return exp


@pytest.fixture(scope="module")
def both(url, oracle):
    from mlflow import MlflowClient

    ours = MlflowClient(url, url)
    import uuid

    name = f"search-{uuid.uuid4().hex[:8]}"
    return (ours, fill(ours, name)), (oracle, fill(oracle, name))


def names(side, **query):
    client, exp = side
    return [r.data.tags["mlflow.runName"] for r in client.search_runs([exp], **query)]


@pytest.mark.parametrize("filter_string", FILTERS)
def test_filters_find_the_same_runs(both, filter_string):
    ours, theirs = both
    assert names(ours, filter_string=filter_string) == names(theirs, filter_string=filter_string)


@pytest.mark.parametrize("order_by", ORDERS, ids=str)
def test_orders_are_the_same(both, order_by):
    ours, theirs = both
    assert names(ours, order_by=order_by) == names(theirs, order_by=order_by)


def test_filters_and_orders_combine_the_same(both):
    ours, theirs = both
    for filter_string, order_by in itertools.product(FILTERS[1:20:3], ORDERS[1::2]):
        query = {"filter_string": filter_string, "order_by": order_by}
        assert names(ours, **query) == names(theirs, **query), query


@pytest.mark.parametrize("filter_string", REFUSED)
def test_what_mlflow_refuses_is_refused(both, filter_string):
    for side in both:
        with pytest.raises(MlflowException) as error:
            names(side, filter_string=filter_string)
        assert error.value.error_code == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize("order_by", ["colour.x", "attributes.colour", "metrics.loss upwards", "metrics.loss desc desc"])
def test_orders_that_mlflow_refuses_are_refused(both, order_by):
    for side in both:
        with pytest.raises(MlflowException) as error:
            names(side, order_by=[order_by])
        assert error.value.error_code == "INVALID_PARAMETER_VALUE"


def test_run_ids_in_a_list(both):
    for client, exp in both:
        all_ids = {r.data.tags["mlflow.runName"]: r.info.run_id for r in client.search_runs([exp])}
        two = f"run_id IN ('{all_ids['ada']}', '{all_ids['eve']}')"
        assert {r.info.run_id for r in client.search_runs([exp], two)} == {all_ids["ada"], all_ids["eve"]}
        rest = f"attributes.run_id NOT IN ('{all_ids['ada']}')"
        assert len(client.search_runs([exp], rest)) == len(RUNS) - 1


def test_pages_cover_everything_once(both):
    for client, exp in both:
        seen, token = [], None
        while True:
            page = client.search_runs([exp], order_by=["metrics.loss"], max_results=2, page_token=token)
            seen += [r.info.run_id for r in page]
            token = page.token
            if not token:
                break
            assert len(page) == 2
        assert len(seen) == len(set(seen)) == len(RUNS)


def test_the_same_runs_come_back_whole(both):
    def shape(r):
        return (
            {k: ("nan" if math.isnan(v) else v) for k, v in r.data.metrics.items()},
            r.data.params,
            {k: v for k, v in r.data.tags.items()},
            r.info.status,
            r.info.start_time,
            r.info.end_time,
            r.info.lifecycle_stage,
            r.info.run_name,
            sorted((i.dataset.name, i.dataset.digest, [(t.key, t.value) for t in i.tags]) for i in r.inputs.dataset_inputs),
        )

    ours, theirs = ([shape(r) for r in client.search_runs([exp])] for client, exp in both)
    assert ours == theirs


EXPERIMENT_FILTERS = [
    "name LIKE '{p}%'",
    "name ILIKE '{P}-B%'",
    "name LIKE '{p}%' AND tags.k = 'v1'",
    "name LIKE '{p}%' AND tags.k != 'v1'",
    "name LIKE '{p}%' AND tags.k IS NULL",
    "name LIKE '{p}%' AND tag.k IS NOT NULL",
    "name = '{p}-a' AND attribute.creation_time > 0",
    "name LIKE '{p}%' AND last_update_time < 5",
    "name != '{p}-a' AND name LIKE '{p}%'",
]


@pytest.fixture(scope="module")
def experiments(url, oracle):
    import uuid

    from mlflow import MlflowClient

    prefix = f"e{uuid.uuid4().hex[:8]}"
    ours = MlflowClient(url, url)
    for client in (ours, oracle):
        client.create_experiment(f"{prefix}-a", tags={"k": "v1"})
        client.create_experiment(f"{prefix}-B", tags={"k": "v2"})
        client.create_experiment(f"{prefix}-c")
        client.delete_experiment(client.create_experiment(f"{prefix}-d"))
    return prefix, ours, oracle


@pytest.mark.parametrize("pattern", EXPERIMENT_FILTERS)
@pytest.mark.parametrize("order", [None, ["name ASC"], ["name DESC"], ["experiment_id ASC"], ["creation_time DESC", "name"]], ids=str)
def test_experiments(experiments, pattern, order):
    prefix, ours, theirs = experiments
    text = pattern.format(p=prefix, P=prefix.upper())
    for view in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL):
        found = [[e.name for e in c.search_experiments(view_type=view, filter_string=text, order_by=order)] for c in (ours, theirs)]
        if order and order[0] != "creation_time DESC":
            assert found[0] == found[1]
        else:
            # Created within one millisecond or not: the clock decides.
            assert sorted(found[0]) == sorted(found[1])


MODEL_FILTERS = [
    "name LIKE '{p}%'",
    "name ILIKE '{P}-B%'",
    "name = '{p}-a'",
    "name != '{p}-a' AND name LIKE '{p}%'",
    "name IN ('{p}-a', '{p}-c')",
    "name NOT IN ('{p}-a') AND name LIKE '{p}%'",
    "name LIKE '{p}%' AND tags.k = 'v1'",
    "name LIKE '{p}%' AND tags.k != 'v1'",
    "name LIKE '{p}%' AND tags.k LIKE 'v%' AND tags.k LIKE '%2'",
    "name LIKE '{p}%' AND tags.`mlflow.prompt.is_prompt` = 'true'",
    "name LIKE '{p}%' AND tags.`mlflow.prompt.is_prompt` != 'true'",
]
VERSION_FILTERS = [
    "name LIKE '{p}%'",
    "name = '{p}-a'",
    "name = '{p}-a' AND version_number > 1",
    "name = '{p}-a' AND version_number != 2",
    "name LIKE '{p}%' AND tags.k = 'v1'",
    "name LIKE '{p}%' AND source_path LIKE 's3://%'",
    "name LIKE '{p}%' AND run_id = 'r1'",
    "name LIKE '{p}%' AND run_id IN ('r1', 'r2')",
]


@pytest.fixture(scope="module")
def models(url, oracle):
    import uuid

    from mlflow import MlflowClient

    prefix = f"m{uuid.uuid4().hex[:8]}"
    ours = MlflowClient(url, url)
    for client in (ours, oracle):
        client.create_registered_model(f"{prefix}-a", tags={"k": "v1"}, description="first")
        client.create_registered_model(f"{prefix}-B", tags={"k": "v2", "other": "x"})
        client.create_registered_model(f"{prefix}-c")
        client.register_prompt(f"{prefix}-p", "Say {{{{what}}}}")
        for i in range(3):
            client.create_model_version(f"{prefix}-a", f"s3://bucket/{i}", run_id=f"r{i}", tags={"k": f"v{i}"})
        client.create_model_version(f"{prefix}-B", "gs://bucket/x", run_id="r1")
        client.transition_model_version_stage(f"{prefix}-a", "1", "Production")
        client.transition_model_version_stage(f"{prefix}-a", "2", "staging")
        client.set_registered_model_alias(f"{prefix}-a", "champion", "2")
        client.delete_model_version(f"{prefix}-a", "3")
    return prefix, ours, oracle


@pytest.mark.parametrize("pattern", MODEL_FILTERS)
@pytest.mark.parametrize("order", [None, ["name DESC"], ["timestamp ASC", "name ASC"]], ids=str)
def test_registered_models(models, pattern, order):
    prefix, ours, theirs = models
    text = pattern.format(p=prefix, P=prefix.upper())

    def shape(m):
        return m.name, m.tags, {k: int(v) for k, v in m.aliases.items()}, m.description or "", sorted((int(v.version), v.current_stage) for v in m.latest_versions)

    found = [[shape(m) for m in c.search_registered_models(text, order_by=order)] for c in (ours, theirs)]
    if order and order[0].startswith("timestamp"):
        found = [sorted(f, key=lambda m: m[0]) for f in found]
    assert found[0] == found[1]


@pytest.mark.parametrize("pattern", VERSION_FILTERS)
@pytest.mark.parametrize("order", [None, ["name DESC", "version_number ASC"], ["version_number DESC"], ["creation_timestamp ASC"]], ids=str)
def test_model_versions(models, pattern, order):
    prefix, ours, theirs = models
    text = pattern.format(p=prefix)

    def shape(v):
        return v.name, int(v.version), v.current_stage, v.source, v.run_id or "", v.description or "", v.tags, v.status

    found = [[shape(v) for v in c.search_model_versions(text, order_by=order)] for c in (ours, theirs)]
    if order is None or order[0].startswith("creation"):
        found = [sorted(f, key=lambda v: v[:2]) for f in found]
    assert found[0] == found[1]


@pytest.mark.parametrize("text", ["run_id = 'x'", "tags.k IS NULL", "name > 'a'", "colour.x = '1'", "tags.k IN ('a')"])
def test_model_filters_that_mlflow_refuses(models, text):
    for client in models[1:]:
        with pytest.raises(Exception) as error:
            client.search_registered_models(text)
        assert isinstance(error.value, (MlflowException, ValueError))


LOGGED_FILTERS = [
    "",
    "name = 'm1'",
    "name LIKE 'm%'",
    "attributes.name IN ('m1', 'm3')",
    "params.p = '1'",
    "params.p IN ('1', '2')",
    "tags.t = 'x'",
    "tags.t != 'x'",
    "metrics.acc > 0.5",
    "metrics.acc > 0.5 AND params.p = '2'",
    "metrics.acc != 0.9",
    "model_type = 'agent'",
    "creation_timestamp > 0",
]


@pytest.fixture(scope="module")
def logged(url, oracle):
    import uuid

    from mlflow import MlflowClient

    name = f"lm-{uuid.uuid4().hex[:8]}"
    sides = []
    for client in (MlflowClient(url, url), oracle):
        exp = client.create_experiment(name)
        run = client.create_run(exp).info.run_id
        for i in (1, 2, 3):
            m = client.create_logged_model(exp, name=f"m{i}", source_run_id=run, params={"p": str(i)}, tags={"t": "x" if i < 3 else "y"}, model_type="agent" if i == 2 else None)
            for step in (0, 1):
                client.log_metric(run, "acc", i * 0.3 + step * 0.01, step=step, timestamp=step, model_id=m.model_id, dataset_name=f"d{i % 2}", dataset_digest="z")
            client.log_metric(run, "other", 1.0, step=0, timestamp=0, model_id=m.model_id)
        sides.append((client, exp))
    return sides


@pytest.mark.parametrize("filter_string", LOGGED_FILTERS)
def test_logged_models(logged, filter_string):
    orders = [
        None,
        [{"field_name": "name", "ascending": False}],
        [{"field_name": "metrics.acc", "ascending": True}],
        [{"field_name": "metrics.acc", "ascending": False, "dataset_name": "d1"}],
    ]
    for order in orders:
        found = [[m.name for m in c.search_logged_models([e], filter_string=filter_string, order_by=order)] for c, e in logged]
        if order is None:
            found = [sorted(f) for f in found]
        assert found[0] == found[1], order
    ours, theirs = ([(m.name, m.params, sorted((x.key, x.value, x.step, x.dataset_name) for x in m.metrics or [])) for m in c.search_logged_models([e], order_by=orders[1])] for c, e in logged)
    assert ours == theirs


def test_logged_models_on_datasets(logged):
    for datasets in ([{"dataset_name": "d1"}], [{"dataset_name": "d0", "dataset_digest": "z"}], [{"dataset_name": "d0", "dataset_digest": "other"}]):
        found = [sorted(m.name for m in c.search_logged_models([e], datasets=datasets)) for c, e in logged]
        assert found[0] == found[1], datasets
        found = [sorted(m.name for m in c.search_logged_models([e], "metrics.acc > 0.5", datasets=datasets)) for c, e in logged]
        assert found[0] == found[1], datasets
