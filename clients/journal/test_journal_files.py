"""The journal's Parquet files, read by DuckDB, pandas and pyarrow as they are."""

import datetime
import json
import urllib.error
import urllib.request

import duckdb
import pandas
import pyarrow.dataset
import pyarrow.parquet
import pytest
from journal_model import NAME, TABLE, register

CITIES = ["Århus", "Łódź", ""]


def post(server, path, body):
    """The answer and its JSON body, whatever the status."""
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def predict(server, rows, own_id=None):
    tensor = lambda name, datatype, shape, data: {"name": name, "datatype": datatype, "shape": shape, "data": data}
    n = len(rows)
    body = {
        "inputs": [
            tensor("features", "FP32", [n, 2], [x for row in rows for x in row[0]]),
            tensor("age", "INT64", [n], [row[1] for row in rows]),
            tensor("city", "BYTES", [n], [row[2] for row in rows]),
        ]
    }
    if own_id:
        body["id"] = own_id
    status, answer = post(server, f"/v2/models/{NAME}/infer", body)
    assert status == 200, answer
    return answer


def row(i):
    return ([float(i), 0.5], 20 + i, CITIES[i % len(CITIES)])


def today():
    return datetime.datetime.now(datetime.timezone.utc).date()


# When the folder was filled: two of them if that was over midnight.
DAYS = set()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The journal folder that a server with 30 single rows, one request of three rows and one refused
    request left behind when it was stopped."""
    from mainspring_server import Mainspring

    data = tmp_path_factory.mktemp("journal") / "data"
    DAYS.add(today())
    server = Mainspring(data=data)
    try:
        register(server.url)
        server.deploy(NAME, f"models:/{NAME}/1")
        for i in range(30):
            predict(server, [row(i)], own_id=f"mine-{i}")
        predict(server, [row(100), row(101), row(102)])
        status, _ = post(server, f"/v2/models/{NAME}/infer", {"inputs": []})
        assert status == 400
        counted = server.query("select outcome, count(*) as n from predictions group by 1 order by 1")
        assert [list(r.values()) if isinstance(r, dict) else r for r in counted] == [["failed", 1], ["ok", 33]]
    finally:
        server.stop()
    DAYS.add(today())
    found = data / "artifacts" / "journal"
    assert list(found.rglob("*.parquet")), f"nothing was sealed under {found}"
    return found


def test_duckdb_reads_partitions_types_and_values(folder):
    db = duckdb.connect()
    files = f"read_parquet('{folder}/**/*.parquet', hive_partitioning = true, union_by_name = true)"
    db.execute(f"create view p as select * from {files} where kind = 'prediction'")
    assert db.execute("select outcome, count(*) from p group by 1 order by 1").fetchall() == [("failed", 1), ("ok", 33)]
    types = {name: kind for name, kind, *_ in db.execute("describe p").fetchall()}
    assert types["at"] == "TIMESTAMP WITH TIME ZONE"
    assert types["in.features"] == "FLOAT[]" and types["in.age"] == "BIGINT" and types["in.city"] == "VARCHAR"
    assert types["out.sum"] == "FLOAT" and types["total_us"] == "DOUBLE" and types["forced"] == "BOOLEAN"
    assert db.execute("select distinct tenant, deployment from p").fetchall() == [("default", NAME)]
    wrong = db.execute("""
        select count(*) from p where outcome = 'ok' and (
            "out.sum" != "in.features"[1] + "in.features"[2] or "in.age" != "out.age_out"
            or "in.city" != "out.city_out" or total_us <= 0 or "in.age" is null)
    """).fetchone()
    assert wrong == (0,)
    batch = db.execute('select row, rows, "in.age", "in.city" from p where rows = 3 and outcome = \'ok\' order by row').fetchall()
    assert batch == [(i, 3, 120 + i, CITIES[(100 + i) % 3]) for i in range(3)]
    assert db.execute("select count(distinct event_id), count(distinct client_id) from p").fetchone() == (32, 30)


def test_pandas_reads_the_folder(folder):
    frame = pandas.read_parquet(folder / "tenant=default" / "kind=prediction")
    assert len(frame) == 34
    ok = frame[frame["outcome"] == "ok"].sort_values(["event_id", "row"])
    assert ok["in.age"].tolist() == [20 + i for i in range(30)] + [120, 121, 122]
    assert [list(x) for x in ok["in.features"].head(2)] == [[0.0, 0.5], [1.0, 0.5]]
    assert ok["out.sum"].head(3).tolist() == [0.5, 1.5, 2.5]
    assert str(ok["at"].dtype).endswith("UTC]") and set(ok["at"].dt.date) <= DAYS
    assert set(frame["deployment"]) == {NAME}


def test_pyarrow_prunes_by_partition_and_sees_the_envelope(folder):
    dataset = pyarrow.dataset.dataset(folder, partitioning="hive")
    wanted = (pyarrow.dataset.field("kind") == "prediction") & (pyarrow.dataset.field("deployment") == NAME)
    assert dataset.count_rows(filter=wanted) == 34
    assert dataset.count_rows(filter=pyarrow.dataset.field("deployment") == "other") == 0
    for path in folder.rglob("kind=prediction/**/*.parquet"):
        about = pyarrow.parquet.read_metadata(path).metadata
        assert about[b"mainspring.envelope"] == b"4" and about[b"mainspring.deployment"] == NAME.encode()
        assert b"ARROW:schema" not in about, "plain Parquet types, the same for every reader"
        assert path.parent.name in {f"date={day}" for day in DAYS}


def test_killed_after_the_answer_the_prediction_is_there(start, tmp_path):
    data = tmp_path / "data"
    server = start("--journal-sync", "always", data=data)
    register(server.url)
    server.deploy(NAME, f"models:/{NAME}/1")
    for i in range(20):
        predict(server, [row(i)])
    server.kill()
    again = start(data=data)
    answer = again.query("select count(*) as n, count(distinct event_id) as ids, max(\"in.age\") as age from predictions")[0]
    assert (answer if isinstance(answer, list) else list(answer.values())) == [20, 20, 39]


def test_named_columns_of_a_tabular_model_are_a_typed_column_each(start, tmp_path):
    data = tmp_path / "data"
    server = start(data=data)
    register(server.url)
    server.deploy(TABLE, f"models:/{TABLE}/1")
    body = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [2, 2], "data": [20, 0.5, 21, 1.5]}]}
    status, answer = post(server, f"/v2/models/{TABLE}/infer", body)
    assert status == 200, answer
    rows = server.query('select "in.age", "in.income", "out.sum" from predictions order by 1')
    assert [list(r.values()) for r in rows] == [[20.0, 0.5, 20.5], [21.0, 1.5, 22.5]]
    server.process.terminate()
    server.process.wait(120)
    files = f"read_parquet('{data}/artifacts/journal/tenant=default/kind=prediction/**/*.parquet', hive_partitioning = true)"
    found = duckdb.execute(f'select typeof("in.age"), "in.age", "in.income", "out.sum" from {files} order by 2').fetchall()
    assert found == [("FLOAT", 20.0, 0.5, 20.5), ("FLOAT", 21.0, 1.5, 22.5)]


def test_feedback_joins_by_either_id_and_a_reused_one_is_refused(start):
    import time

    server = start()
    register(server.url)
    server.deploy(NAME, f"models:/{NAME}/1")
    for own_id in ["once", "twice", "twice"]:
        predict(server, [row(1)], own_id=own_id)
    status, answer = post(server, "/api/v1/feedback", {"deployment": NAME, "id": "once", "name": "label", "value": True})
    assert status == 200, answer
    until = time.monotonic() + 60
    while True:
        # The index of callers' own ids follows the answer within a moment.
        status, answer = post(server, "/api/v1/feedback", {"deployment": NAME, "id": "twice", "name": "label", "value": 1})
        if status == 409 or time.monotonic() > until:
            break
    assert status == 409, answer
    while True:
        rows = server.query("select client_id, feedback_name, feedback_value from labeled where client_id = 'once'")
        if rows or time.monotonic() > until:
            break
    assert [list(r.values()) if isinstance(r, dict) else r for r in rows] == [["once", "label", "true"]]
