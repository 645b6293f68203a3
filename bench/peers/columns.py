"""What others do with two tables' columns, or one's: `columns.py NAME REFERENCE [CURRENT]` prints JSON.

Called in the environment of the package. `seconds` are of the comparison alone, with the tables in memory and everything
imported (DuckDB reads the file itself, as it does); `cpu` is what that took of all cores; `peak` is the process's most
memory, `data` what it held before the comparison, bytes.
"""

import importlib.util
import json
import pathlib
import resource
import sys
import time
import types
import warnings

warnings.simplefilter("ignore")


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def tables(paths):
    """The tables beside these files, as NumPy keeps them: not every environment reads Parquet."""
    import numpy
    import pandas

    return [pandas.DataFrame(dict(numpy.load(pathlib.Path(path).with_suffix(".npz")))) for path in paths]


def evidently(paths):
    """Its preset of drift with its own choice of tests."""
    from evidently import Dataset, Report
    from evidently.presets import DataDriftPreset

    reference, current = (Dataset.from_pandas(table) for table in tables(paths))
    return lambda: Report([DataDriftPreset()]).run(current, reference).dict()


class Anything(types.ModuleType):
    """Stands for what only draws."""

    def __getattr__(self, name):
        return Anything(name)

    def __call__(self, *args, **kwargs):
        return self


def nannyml(paths):
    """Its method for numbers, by chunk, without the calculator around it: what draws is not installed."""
    root = pathlib.Path(importlib.util.find_spec("nannyml").origin).parent
    for name in ("nannyml", "nannyml.drift", "nannyml.drift.univariate"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(root.joinpath(*name.split(".")[1:]))]
    sys.modules["nannyml.base"] = types.ModuleType("nannyml.base")
    sys.modules["nannyml.base"]._remove_nans = lambda data: data[~data.isna()]
    for name in ("nannyml.plots", "nannyml.plots.colors", "nannyml.plots.components"):
        sys.modules[name] = Anything(name)
    from nannyml.chunk import DefaultChunker
    from nannyml.drift.univariate.methods import FeatureType, MethodFactory
    from nannyml.thresholds import StandardDeviationThreshold

    reference, current = tables(paths)

    def compare():
        for column in reference:
            chunker, threshold = DefaultChunker(), StandardDeviationThreshold(std_lower_multiplier=None)
            method = MethodFactory.create("jensen_shannon", FeatureType.CONTINUOUS, chunker=chunker, threshold=threshold)
            method.fit(reference[column])
            for chunk in chunker.split(current[[column]]):
                method.alert(method.calculate(chunk.data[column]))

    return compare


def loop(test):
    """A loop of `test` over the columns."""
    def made(paths):
        reference, current = tables(paths)
        return lambda: [test(reference[column].to_numpy(), current[column].to_numpy()) for column in reference]
    return made


def ks(a, b):
    from scipy import stats

    return stats.ks_2samp(a, b)


def wasserstein(a, b):
    from scipy import stats

    return stats.wasserstein_distance(a, b)


def psi(a, b):
    import numpy

    edges = numpy.quantile(a, numpy.linspace(0, 1, 11))
    edges[[0, -1]] = -numpy.inf, numpy.inf
    p, q = (numpy.histogram(side, edges)[0] / len(side) for side in (a, b))
    return numpy.sum((p - q) * numpy.log(p / q))


def summarize(paths):
    """DuckDB's SUMMARIZE of the file."""
    import duckdb

    connection = duckdb.connect()
    return lambda: connection.execute(f"SUMMARIZE SELECT * FROM '{paths[0]}'").fetchall()


def read(paths):
    """Both tables from their files, and nothing else."""
    import pyarrow.parquet

    return lambda: [pyarrow.parquet.read_table(path) for path in paths]


NAMES = {"read": read, "evidently": evidently, "nannyml": nannyml, "ks": loop(ks), "wasserstein": loop(wasserstein), "psi": loop(psi), "summarize": summarize}


def main():
    import scipy.stats  # noqa: F401  its import is no part of a test

    compare = NAMES[sys.argv[1]](sys.argv[2:])
    data, used, began = peak(), cpu(), time.perf_counter()
    compare()
    print(json.dumps({"seconds": time.perf_counter() - began, "cpu": cpu() - used, "peak": peak(), "data": data}))


if __name__ == "__main__":
    main()
