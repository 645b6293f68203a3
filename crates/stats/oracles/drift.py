"""Two samples, presets and detectors of drift: more cases for cases.py.

Columns are made by the same integer arithmetic here and in the crate's tests, so that the files hold answers and no
data.
"""

import importlib.util
import json
import math
import os
import pathlib
import sys
import types

MASK = (1 << 64) - 1


def uniforms(seed, n):
    """SplitMix64 as numbers from 0 to 1."""
    made, state = [], seed
    for _ in range(n):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        made.append(((z ^ (z >> 31)) >> 11) / (1 << 53))
    return made


def numbers(spec):
    """n numbers around `shift`, as wide as `scale`; `grid` > 0 rounds them; each `hole`-th is missing."""
    seed, n, scale, shift, grid, hole = spec
    u = uniforms(seed, 3 * n)
    made = [(u[3 * i] + u[3 * i + 1] * u[3 * i + 2] - 0.75) * scale + shift for i in range(n)]
    if grid:
        made = [math.floor(x * grid) / grid for x in made]
    return [math.nan if hole and i % hole == 0 else x for i, x in enumerate(made)]


def categories(spec):
    """n of the categories 0 to k − 1, or None: the first is more frequent with more `tilt`."""
    seed, n, k, tilt, hole = spec
    made = [int((u + (u * u - u) * tilt) * k) for u in uniforms(seed, n)]
    return [None if hole and i % hole == 0 else c for i, c in enumerate(made)]


NUMBERS = [
    ([1, 10, 1.0, 0.0, 0, 0], [2, 12, 1.0, 0.2, 0, 0]),
    ([3, 8, 1.0, 0.0, 0, 0], [4, 30, 1.0, 0.3, 0, 0]),
    ([5, 7, 1.0, 0.0, 0, 0], [6, 7, 1.0, 0.0, 0, 0]),
    ([7, 20, 1.0, 0.0, 8, 0], [8, 18, 1.0, 0.1, 8, 0]),
    ([9, 30, 1.0, 0.0, 0, 0], [10, 40, 1.4, 0.0, 0, 0]),
    ([11, 300, 10.0, 5.0, 4, 0], [12, 200, 10.0, 5.5, 4, 0]),
    ([13, 500, 1.0, 0.0, 0, 0], [14, 500, 1.0, 0.05, 0, 0]),
    ([15, 1200, 1.0, 100.0, 0, 0], [16, 900, 1.0, 100.02, 0, 0]),
    ([17, 3000, 50.0, 0.0, 1, 0], [18, 3000, 50.0, 1.0, 1, 0]),
    ([19, 12000, 1.0, 0.0, 0, 0], [20, 15000, 1.0, 0.005, 0, 0]),
    ([21, 11000, 1.0, 0.0, 0, 0], [22, 700, 1.1, 0.0, 0, 0]),
]
COUNTS = [
    ([30, 10], [25, 18]), ([3, 9], [10, 2]), ([500, 480], [430, 560]), ([40, 35, 25], [30, 45, 20]),
    ([100, 200, 300, 5], [90, 220, 280, 9]), ([10, 20, 30, 40], [25, 25, 25, 25]), ([5000, 4000], [5100, 3900]),
]


def twosample():
    import numpy as np
    from scipy import spatial, stats

    def both(result):
        return [float(result.statistic), float(result.pvalue)]

    pairs = []
    for specs in NUMBERS:
        a, b = (np.array(numbers(spec)) for spec in specs)
        edges = np.histogram_bin_edges(np.concatenate([a, b]), bins="sturges")
        p, q = (np.histogram(x, edges)[0] / len(x) for x in (a, b))
        pairs.append({
            "specs": specs,
            "ks": both(stats.ks_2samp(a, b)), "cvm": both(stats.cramervonmises_2samp(a, b)),
            "es": both(stats.epps_singleton_2samp(a, b)), "t": both(stats.ttest_ind(a, b)),
            "mannw_two": both(stats.mannwhitneyu(a, b)), "mannw_less": both(stats.mannwhitneyu(a, b, alternative="less")),
            "mannw_greater": both(stats.mannwhitneyu(a, b, alternative="greater")),
            "anderson": both(stats.anderson_ksamp([a, b])),
            "wasserstein": float(stats.wasserstein_distance(a, b)), "energy": float(stats.energy_distance(a, b)),
            "sturges": edges.tolist(),
            "doane": np.histogram_bin_edges(a, bins="doane").tolist(),
            "whole": np.histogram_bin_edges(np.floor(a * 4).astype(int), bins="sturges").tolist(),
            "js": float(spatial.distance.jensenshannon(p, q)),
            "hellinger": float(np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / math.sqrt(2)),
            "tv": float(np.abs(p - q).sum() / 2), "linf": float(np.abs(p - q).max()),
        })
    counts = []
    for a, b in COUNTS:
        a, b = np.array(a), np.array(b)
        expected = a / a.sum() * b.sum()
        case = {"reference": a.tolist(), "current": b.tolist(), "chi2": both(stats.chisquare(b, expected)),
                "g": both(stats.power_divergence(b, expected, lambda_="log-likelihood")),
                "contingency": both(stats.chi2_contingency(np.array([a, b])))}
        if len(a) == 2:
            case["fisher"] = float(stats.fisher_exact(np.array([a, b])).pvalue)
            pooled = (a[0] + b[0]) / (a.sum() + b.sum())
            z = (a[0] / a.sum() - b[0] / b.sum()) / math.sqrt(pooled * (1 - pooled) * (1 / a.sum() + 1 / b.sum()))
            case["z"] = [float(z), float(2 * stats.norm.sf(abs(z)))]
        counts.append(case)
    tail = [[n, d / math.sqrt(n), float(stats.kstwo.sf(d / math.sqrt(n), n))]
            for n in (2, 5, 50, 140, 141, 1000, 20_000, 200_000)
            for d in (0.45, 0.6, 0.8, 0.9, 1.1, 1.4, 1.6, 2.2, 3.5, 6.0)]
    return "scipy", {"pairs": pairs, "counts": counts, "tail": tail}


# Reference and current columns of the presets: ("numbers" or "whole", spec, spec) or ("categories", spec, spec).
COLUMNS = [
    ("numbers", [31, 900, 1.0, 0.0, 0, 0], [32, 700, 1.0, 0.0, 0, 0]),
    ("numbers", [33, 900, 1.0, 0.0, 0, 0], [34, 20000, 1.0, 0.03, 0, 0]),
    ("numbers", [35, 1000, 1.0, 0.0, 0, 7], [36, 1000, 1.0, 0.1, 0, 5]),
    ("numbers", [37, 1001, 1.0, 0.0, 0, 0], [38, 900, 1.0, 0.02, 0, 0]),
    ("numbers", [39, 5000, 2.0, 1.0, 0, 9], [40, 3003, 2.0, 1.2, 0, 0]),
    ("numbers", [41, 800, 2.0, 0.0, 1, 0], [42, 800, 2.4, 0.0, 1, 0]),
    ("numbers", [43, 2000, 2.0, 0.0, 1, 0], [44, 900, 2.4, 0.0, 1, 0]),
    ("whole", [45, 900, 8.0, 0.0, 1, 0], [46, 900, 8.0, 0.4, 1, 0]),
    ("whole", [47, 2500, 8.0, 0.0, 1, 0], [48, 2000, 8.0, 2.0, 1, 0]),
    ("whole", [49, 2500, 60.0, 0.0, 1, 0], [50, 2000, 60.0, 2.0, 1, 0]),
    ("whole", [51, 900, 1.3, 0.0, 1, 0], [52, 900, 1.3, 0.0, 1, 0]),
    ("categories", [61, 800, 6, 0.0, 0], [62, 700, 6, 0.1, 0]),
    ("categories", [63, 800, 2, 0.0, 0], [64, 700, 2, 0.3, 0]),
    ("categories", [65, 1500, 6, 0.5, 11], [66, 1001, 6, 0.5, 0]),
    ("categories", [67, 4000, 40, 0.0, 0], [68, 4000, 45, 0.6, 13]),
    ("categories", [69, 999, 2, 0.0, 9], [70, 999, 2, 0.0, 0]),
]
# As many rows on both sides, which some of Evidently's tests ask for.
EQUAL = [
    ("categories", [71, 900, 2, 0.0, 0], [72, 900, 2, 0.1, 0]),
    ("categories", [73, 900, 5, 0.0, 0], [74, 900, 5, 0.2, 0]),
]
# Enough rows for what is kept as bins: the second and third go beyond the reference's ends.
LARGE = [
    ("numbers", [75, 12000, 2.0, 1.0, 0, 0], [76, 9000, 2.0, 1.0, 0, 11]),
    ("numbers", [77, 10000, 2.0, 1.0, 0, 0], [78, 3001, 2.6, 1.3, 0, 0]),
    ("whole", [79, 11000, 60.0, 0.0, 1, 0], [80, 2000, 90.0, -3.0, 1, 0]),
]


def frames(columns=COLUMNS):
    import pandas as pd

    for kind, a, b in columns:
        if kind == "categories":
            made = [[None if c is None else f"c{c:02}" for c in categories(spec)] for spec in (a, b)]
        else:
            made = [numbers(spec) for spec in (a, b)]
            made = [[int(x) for x in column] for column in made] if kind == "whole" else made
        yield {"kind": kind, "specs": [a, b]}, *(pd.DataFrame({"x": column}) for column in made)


def evidently():
    import warnings

    warnings.simplefilter("ignore")
    from evidently import Dataset, Report
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType
    from evidently.metrics import ValueDrift

    columns, explicit = [], []
    for case, reference, current in frames(COLUMNS + EQUAL):
        report = Report([ValueDrift(column="x")], include_tests=True)
        found = report.run(Dataset.from_pandas(current), Dataset.from_pandas(reference)).dict()
        config = found["metrics"][0]["config"]
        columns.append({**case, "method": config["method"], "threshold": config["threshold"],
                        "score": float(found["metrics"][0]["value"]), "drift": found["tests"][0]["status"].name == "FAIL"})
        a, b = reference["x"].dropna(), current["x"].dropna()
        kind = ColumnType.Categorical if case["kind"] == "categories" else ColumnType.Numerical
        names = ["psi", "kl_div", "jensenshannon", "hellinger"]
        if kind == ColumnType.Numerical:
            names += ["ed", "es", "cramer_von_mises", "anderson", "t_test", "mannw", "wasserstein", "ks"]
        else:
            two = len(set(a) | set(b)) == 2
            names += ["chisquare", "TVD"] * (len(a) < 2000) + ["z"] * two
            names += (["g_test"] + ["fisher_exact"] * two) * (len(a) == len(b))
        scores = {}
        for name in names:
            test = get_stattest(a, b, kind, name)
            found = test(a.copy(), b.copy(), kind, None)
            scores[name] = {"score": float(found.drift_score), "threshold": float(found.actual_threshold), "drift": bool(found.drifted)}
        explicit.append({**case, "scores": scores})
    return "evidently", {"columns": columns, "explicit": explicit}


class Anything(types.ModuleType):
    """Stands for what only draws."""

    def __getattr__(self, name):
        return Anything(name)

    def __call__(self, *args, **kwargs):
        return self


def package(name, *inside):
    """The package's folders without its `__init__`, which wants more than is installed."""
    root = pathlib.Path(importlib.util.find_spec(name).origin).parent
    for module in (name, *inside):
        made = types.ModuleType(module)
        made.__path__ = [str(root.joinpath(*module.split(".")[1:]))]
        sys.modules[module] = made


def nannyml():
    package("nannyml", "nannyml.drift", "nannyml.drift.univariate")
    # Plots are not drawn.
    sys.modules["nannyml.base"] = types.ModuleType("nannyml.base")
    sys.modules["nannyml.base"]._remove_nans = lambda data: data[~data.isna()]
    for name in ("nannyml.plots", "nannyml.plots.colors", "nannyml.plots.components"):
        sys.modules[name] = Anything(name)
    from nannyml.chunk import DefaultChunker
    from nannyml.drift.univariate.methods import FeatureType, MethodFactory
    from nannyml.thresholds import StandardDeviationThreshold

    names = {FeatureType.CATEGORICAL: ["jensen_shannon", "chi2", "l_infinity", "hellinger"],
             FeatureType.CONTINUOUS: ["jensen_shannon", "kolmogorov_smirnov", "wasserstein", "hellinger"]}
    columns = []
    for case, reference, current in frames(COLUMNS + LARGE):
        kind = FeatureType.CATEGORICAL if case["kind"] == "categories" else FeatureType.CONTINUOUS
        chunker, methods = DefaultChunker(), {}
        for name in names[kind]:
            # The calculator's own default for the method.
            threshold = StandardDeviationThreshold(std_lower_multiplier=None)
            method = MethodFactory.create(name, kind, chunker=chunker, threshold=threshold)
            method.fit(reference["x"])
            chunks, alerts = [], []
            for chunk in chunker.split(current):
                value = float(method.calculate(chunk.data["x"]))
                # chi2 has a p-value for its last chunk, and asks nothing else of it.
                chunks.append(float(method._p_value) if name == "chi2" else value)
                alerts.append(bool(method.alert(value)))
            threshold = 0.05 if name == "chi2" else float(method.upper_threshold_value)
            methods[name] = {"threshold": threshold, "chunks": chunks, "alerts": alerts}
        columns.append({**case, "methods": methods})
    return "nannyml", {"columns": columns}


def whylogs():
    for name in ("IPython", "IPython.core", "IPython.core.display", "IPython.display", "pybars"):
        sys.modules[name] = Anything(name)
    import whylogs as why
    from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

    columns = []
    for case, reference, current in frames():
        # Beyond this its sketches are no longer exact.
        if max(len(reference), len(current)) > 1024:
            continue
        score = calculate_drift_scores(why.log(current).view(), why.log(reference).view(), with_thresholds=True)["x"]
        columns.append({**case, "method": score["algorithm"], "score": float(score["pvalue"]),
                        "category": score["drift_category"]})
    return "whylogs", {"columns": columns}


def river():
    from river import drift as detectors
    from river._river_rust.drift import AdaptiveWindowing
    from river.drift import binary

    # Level, spread and length of each part.
    stream = []
    for seed, (level, n) in enumerate([(0.0, 700), (0.8, 500), (0.8, 300), (0.1, 900), (3.0, 400)], start=80):
        stream += [u + level for u in uniforms(seed, n)]
    found = {}
    # Without the class around it, which forgets all of the window after a change, the new part too.
    for name, delta, clock in (("adwin", 0.002, 32), ("adwin_often", 0.05, 1)):
        window = AdaptiveWindowing(delta=delta, clock=clock, max_buckets=5, min_window_length=5, grace_period=10)
        found[name] = [i for i, x in enumerate(stream) if window.update(x)]
    for name, detector in (
            ("page_hinkley", detectors.PageHinkley(threshold=5.0)),
            ("page_hinkley_up", detectors.PageHinkley(threshold=20.0, delta=0.05, mode="up")),
            ("page_hinkley_down", detectors.PageHinkley(threshold=5.0, mode="down")),
            # As many older values as newer: all are drawn, and chance has no part.
            ("kswin", detectors.KSWIN(alpha=0.0001, window_size=60, stat_size=30, seed=1))):
        found[name] = []
        for i, x in enumerate(stream):
            detector.update(x)
            if detector.drift_detected:
                found[name].append(i)
                # Else it forgets also the newest values, which its authors have it keep.
                detector._drift_detected = name != "kswin"
    ddm = binary.DDM()
    found["ddm"], found["ddm_warning"] = [], []
    for i, x in enumerate(stream):
        ddm.update(x % 1.0 < 0.1 + 0.2 * (i >= 1200))
        if ddm.drift_detected:
            found["ddm"].append(i)
        elif ddm.warning_detected:
            found["ddm_warning"].append(i)
    return "river", found


def datasketches():
    import datasketches as library

    here = pathlib.Path(__file__).resolve().parent / "datasketches.json"
    sizes = [2, 60, 1000, 50_000, 1_000_000]
    # Our bytes: new ones from `cargo run --example kll_bytes -- 2 60 … > FILE`, else those that are written down.
    made = os.environ.get("KLL_BYTES")
    ours = pathlib.Path(made).read_text().split() if made else [
        case["ours"] for case in json.loads(here.read_text())["cases"]["kll"]]
    written = {} if made else {case["n"]: case["theirs"] for case in json.loads(here.read_text())["cases"]["kll"]}
    cases = []
    for n, mine in zip(sizes, ours):
        if n in written:
            # Its coin is not seeded: the bytes that it once wrote are read again.
            theirs = library.kll_doubles_sketch.deserialize(bytes.fromhex(written[n]))
        else:
            theirs = library.kll_doubles_sketch(200)
            for x in uniforms(n, n):
                theirs.update(x)
        read = library.kll_doubles_sketch.deserialize(bytes.fromhex(mine))
        assert read.n == n, (read.n, n)
        points = [i / 20 for i in range(1, 20)]
        cases.append({"n": n, "ours": mine, "theirs": theirs.serialize().hex(),
                      "ranks": [[x, theirs.get_rank(x, True)] for x in points],
                      "read": [[x, read.get_rank(x, True)] for x in points]})
    return "datasketches", {"kll": cases}
