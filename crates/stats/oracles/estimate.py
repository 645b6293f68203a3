"""Performance without labels, by NannyML: more cases for cases.py."""

import contextlib
import logging
import os
import sys
import types

from drift import Anything, package, uniforms
from performance import binary, classes


class Result:
    """What NannyML's results are without their plots."""

    def __init__(self, results_data, *args, **kwargs):
        self.data = results_data.copy()

    def filter(self, period):
        return Result(self.data[self.data[("chunk", "period")] == period])


def quiet():
    package("nannyml", "nannyml.performance_estimation")
    # `nannyml.plots` itself is only named by others.
    for name in ("plotly", "plotly.graph_objects", "nannyml.plots", "nannyml.plots.blueprints.comparisons",
                 "nannyml.plots.blueprints.metrics", "flaml"):
        sys.modules[name] = Anything(name)
    logs = types.ModuleType("nannyml.usage_logging")
    logs.UsageEvent = Anything("UsageEvent")
    logs.log_usage = lambda *args, **kwargs: lambda method: method
    sys.modules["nannyml.usage_logging"] = logs
    for name in ("confidence_based.results", "direct_loss_estimation.result"):
        made = types.ModuleType(f"nannyml.performance_estimation.{name}")
        made.Result = Result
        sys.modules[made.__name__] = made
    logging.disable(logging.CRITICAL)


def told(result, names):
    """Of each chunk of the analysis: estimate, sampling error, thresholds, alert."""
    data = result.data[result.data[("chunk", "period")] == "analysis"]
    keys = ("value", "sampling_error", "lower_threshold", "upper_threshold", "alert")
    return {name: [[None if row[(name, key)] is None else float(row[(name, key)]) for key in keys]
                   for _, row in data.iterrows()] for name in names}


def nannyml_binary(reference, analysis):
    import pandas as pd
    from nannyml.performance_estimation.confidence_based.cbpe import CBPE

    frames = []
    for spec in (reference, analysis):
        scores, truth = binary(spec)
        frames.append(pd.DataFrame({"p": scores, "y": truth, "said": [int(s >= 0.5) for s in scores]}))
    names = ["roc_auc", "average_precision", "f1", "precision", "recall", "specificity", "accuracy"]
    made = CBPE(metrics=names, y_pred_proba="p", y_pred="said", y_true="y", problem_type="classification_binary")
    made.fit(frames[0])
    return {"reference": reference, "analysis": analysis, "calibrated": bool(made.needs_calibration),
            "metrics": told(made.estimate(frames[1].drop(columns="y")), names)}


def nannyml_classes(reference, analysis):
    import pandas as pd
    from nannyml.performance_estimation.confidence_based.cbpe import CBPE

    frames = []
    for spec in (reference, analysis):
        truth, said, given = classes(spec)
        columns = {f"p{c}": [row[c] for row in given] for c in range(spec[2])}
        frames.append(pd.DataFrame({**columns, "y": [str(t) for t in truth], "said": [str(s) for s in said]}))
    names = ["roc_auc", "f1", "precision", "recall", "specificity", "accuracy"]
    given = {str(c): f"p{c}" for c in range(reference[2])}
    made = CBPE(metrics=names, y_pred_proba=given, y_pred="said", y_true="y", problem_type="classification_multiclass")
    made.fit(frames[0])
    return {"reference": reference, "analysis": analysis, "metrics": told(made.estimate(frames[1].drop(columns="y")), names)}


def regression(spec):
    """n rows of two inputs, what is true, and a prediction whose errors grow with the first; `lift` moves that up."""
    seed, n, lift = spec
    u = uniforms(seed, 4 * n)
    rows = [(u[4 * i] * (1 - lift) + lift, u[4 * i + 1], u[4 * i + 2], u[4 * i + 3]) for i in range(n)]
    truth = [10 * a + 5 * b + 20 for a, b, _, _ in rows]
    return [[a, b] for a, b, _, _ in rows], truth, [t + 4 * a * (c + d - 1) for t, (a, _, c, d) in zip(truth, rows)]


def nannyml_numbers(reference, analysis):
    import pandas as pd
    from nannyml.performance_estimation.direct_loss_estimation.dle import DLE

    frames = []
    for spec in (reference, analysis):
        inputs, truth, said = regression(spec)
        frames.append(pd.DataFrame({"a": [r[0] for r in inputs], "b": [r[1] for r in inputs], "y": truth, "said": said}))
    names = ["mae", "mape", "mse", "rmse", "msle", "rmsle"]
    made = DLE(feature_column_names=["a", "b"], y_pred="said", y_true="y", metrics=names)
    # LightGBM prints.
    with contextlib.redirect_stdout(sys.stderr):
        made.fit(frames[0])
        found = made.estimate(frames[1].drop(columns="y"))
    return {"reference": reference, "analysis": analysis, "metrics": told(found, names)}


def cbpe():
    # Resamples are drawn, and trees depend on the order of sums: the same each time.
    os.environ["OMP_NUM_THREADS"] = "1"
    import numpy

    numpy.random.seed(0)
    quiet()
    return "nannyml", {
        "binary": [nannyml_binary(*pair) for pair in (
            ([101, 2000, 0, 1.0], [102, 1200, 0, 1.0]), ([115, 1000, 0, 1.1], [116, 800, 0, 1.1]), ([103, 3000, 0, 2.0], [104, 1503, 0, 2.0]),
            ([105, 2500, 0, 0.5], [106, 900, 0, 0.5]))],
        "classes": [nannyml_classes(*pair) for pair in (
            ([107, 2000, 3, 0.6], [108, 1100, 3, 0.4]), ([109, 3000, 4, 1.5], [110, 1000, 4, 1.2]))],
        "numbers": [nannyml_numbers(*pair) for pair in (
            ([111, 4000, 0.0], [112, 2000, 0.0]), ([113, 4000, 0.0], [114, 2000, 0.5]))],
    }
