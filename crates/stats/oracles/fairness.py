"""Whether groups are treated alike: more cases for cases.py, by Fairlearn."""

from drift import uniforms


def groups(spec):
    """n rows of k groups: truth, prediction, group; a later group is found less often, by `bias` in all."""
    seed, n, k, bias = spec
    u = uniforms(seed, 3 * n)
    truth, predicted, of = [], [], []
    for i in range(n):
        group = int(u[3 * i] * u[3 * i] * k)
        truth.append(int(u[3 * i + 1] < 0.4))
        hit = 0.8 - bias * group / k
        predicted.append(int(u[3 * i + 2] < (hit if truth[-1] else 0.3 * hit)))
        of.append(group)
    return truth, predicted, of


def fairlearn_of(spec):
    from fairlearn import metrics
    from sklearn.metrics import precision_score

    truth, predicted, of = groups(spec)
    found = {"spec": spec}
    for name in ("demographic_parity", "equalized_odds", "equal_opportunity"):
        for how in ("difference", "ratio"):
            found[f"{name}_{how}"] = float(getattr(metrics, f"{name}_{how}")(truth, predicted, sensitive_features=of))
    frame = metrics.MetricFrame(metrics=precision_score, y_true=truth, y_pred=predicted, sensitive_features=of)
    found["predictive_parity_difference"] = float(frame.difference())
    found["predictive_parity_ratio"] = float(frame.ratio())
    return found


def fairlearn():
    return "fairlearn", [fairlearn_of(s) for s in ([1, 400, 2, 0.0], [2, 400, 2, 0.4], [3, 3000, 5, 0.3], [4, 20000, 9, 0.1])]
