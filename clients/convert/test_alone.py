"""The proof of a conversion asks about rows one at a time, too: most requests have one."""

import pathlib
import sys
import types

import numpy
import pandas
import pytest

SOURCES = pathlib.Path(__file__).parents[2] / "crates"


@pytest.fixture
def common(monkeypatch):
    """The module of that name, with the worker's program beside it as it has when it runs."""
    parts = [(SOURCES / "engine-python" / "src" / name).read_text() for name in ("values.py", "worker.py")]
    worker = types.ModuleType("worker")
    exec("\n".join(parts), worker.__dict__)
    monkeypatch.setitem(sys.modules, "worker", worker)
    module = types.ModuleType("common")
    exec((SOURCES / "convert" / "src" / "python" / "common.py").read_text(), module.__dict__)
    return module


class Doubles:
    """A model of one column that answers with twice its values."""

    class inputs:
        @staticmethod
        def build(given):
            return pandas.DataFrame(given)

    class outputs:
        form, fields = "array", [{"name": "y", "dtype": "FP64", "shape": [-1], "content": "text"}]

    @staticmethod
    def call(data):
        return data["x"].to_numpy() * 2


def proven(common, run, rows=4):
    given = {"x": numpy.arange(1.0, rows + 1)}
    got = run({"x": given["x"]})
    _, agree = common.compare(Doubles.outputs.fields, common.answers(Doubles, given), got, {"absolute": 1e-6, "relative": 1e-6})
    common.alone(Doubles, run, given, agree, {"absolute": 1e-6, "relative": 1e-6})
    return agree.tolist()


def test_a_graph_that_holds_for_any_size_passes(common):
    assert proven(common, lambda feeds: [feeds["x"] * 2]) == [True] * 4


def test_a_graph_that_is_wrong_about_one_row_is_refused(common):
    with pytest.raises(common.Refused, match=r"row 0 alone .* output 'y' is 3\.0, and the model says 2\.0"):
        proven(common, lambda feeds: [feeds["x"] * (2 if len(feeds["x"]) > 1 else 3)])


def test_a_later_row_is_asked_about_too(common):
    with pytest.raises(common.Refused, match="row 2 alone"):
        proven(common, lambda feeds: [numpy.where((feeds["x"] == 3) & (len(feeds["x"]) == 1), 0.0, feeds["x"] * 2)])


def test_rows_that_differ_among_others_are_told_of_elsewhere(common):
    assert proven(common, lambda feeds: [numpy.where(feeds["x"] == 1, 7.0, feeds["x"] * 2)]) == [False, True, True, True]
