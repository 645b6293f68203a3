"""Metrics with labels: more cases for cases.py, by scikit-learn and statsmodels."""

from drift import uniforms


def binary(spec):
    """n scores that are probabilities to the power of `bend`; `grid` > 0 rounds them."""
    seed, n, grid, bend = spec
    u = uniforms(seed, 2 * n)
    scores = [int(u[2 * i] * grid) / grid if grid else u[2 * i] for i in range(n)]
    return scores, [int(u[2 * i + 1] < scores[i] ** bend) for i in range(n)]


def classes(spec):
    """n rows of k classes: truth, prediction, probabilities; a share of `hit` is surely right."""
    seed, n, k, hit = spec
    u = uniforms(seed, (3 + k) * n)
    truth, predicted, given = [], [], []
    for i in range(n):
        a, b, c, *weights = u[(3 + k) * i : (3 + k) * (i + 1)]
        truth.append(int(a * a * k))
        predicted.append(truth[-1] if b < hit else int(c * k))
        weights[truth[-1]] += hit
        total = 0.0
        for weight in weights:
            total += weight
        given.append([weight / total for weight in weights])
    return truth, predicted, given


def numbers(spec):
    """n true numbers above zero and their predictions."""
    seed, n, scale, noise = spec
    u = uniforms(seed, 2 * n)
    truth = [u[2 * i] * scale + 0.5 for i in range(n)]
    return truth, [t * (1 + noise * (u[2 * i + 1] - 0.4)) for i, t in enumerate(truth)]


def query(spec):
    """n items as (score, relevance): `grid` makes ties, a share of `rare` is relevant, from 1 to 3."""
    seed, n, grid, rare = spec
    u = uniforms(seed, 2 * n)
    scores = [int(u[2 * i] * grid) / grid if grid else u[2 * i] for i in range(n)]
    return scores, [float(int(u[2 * i + 1] / rare * 3) + 1) if u[2 * i + 1] < rare else 0.0 for i in range(n)]


def sklearn_binary(spec):
    import numpy as np
    import statsmodels.api as sm
    from sklearn import calibration, metrics

    scores, truth = (np.array(x) for x in binary(spec))
    positive, negative = scores[truth == 1], scores[truth == 0]
    # DeLong's by its definition, each pair on its own.
    wins = (positive[:, None] > negative).astype(float) + (positive[:, None] == negative) / 2
    variance = wins.mean(1).var(ddof=1) / len(positive) + wins.mean(0).var(ddof=1) / len(negative)
    observed, predicted = calibration.calibration_curve(truth, scores, n_bins=10)
    inside = np.clip(scores, 1e-12, 1 - 1e-12)
    logit = np.log(inside / (1 - inside))
    line = sm.Logit(truth, sm.add_constant(logit)).fit(disp=0, tol=1e-14, method="newton", maxiter=100)
    large = sm.GLM(truth, np.ones(len(truth)), family=sm.families.Binomial(), offset=logit).fit(tol=1e-14)
    return {
        "spec": spec, "roc_auc": metrics.roc_auc_score(truth, scores), "delong": float(np.sqrt(variance)),
        "average_precision": metrics.average_precision_score(truth, scores),
        "log_loss": metrics.log_loss(truth, scores), "brier": metrics.brier_score_loss(truth, scores),
        "curve": [[float(p), float(o)] for p, o in zip(predicted, observed)],
        "line": [[float(v), float(e)] for v, e in zip(line.params, line.bse)],
        "large": [float(large.params[0]), float(large.bse[0])],
    }


def sklearn_classes(spec):
    from sklearn import metrics
    from statsmodels.stats.inter_rater import cohens_kappa

    truth, predicted, given = classes(spec)
    k = spec[2]
    each = metrics.precision_recall_fscore_support(truth, predicted, labels=range(k), zero_division=0)
    averages = {how: [float(x) for x in metrics.precision_recall_fscore_support(
        truth, predicted, average=how, zero_division=0)[:3]] for how in ("macro", "weighted", "micro")}
    table = metrics.confusion_matrix(truth, predicted, labels=range(k))
    return {
        "spec": spec, "accuracy": metrics.accuracy_score(truth, predicted),
        "balanced": metrics.balanced_accuracy_score(truth, predicted),
        "each": [[float(x) for x in row] for row in each], **averages, "table": table.tolist(),
        "matthews": float(metrics.matthews_corrcoef(truth, predicted)), "kappa": float(metrics.cohen_kappa_score(truth, predicted)),
        "kappa_error": float(cohens_kappa(table).std_kappa),
        "log_loss": metrics.log_loss(truth, given, labels=range(k)),
        "brier": metrics.brier_score_loss(truth, given, labels=range(k), scale_by_half=False),
        "roc_auc": float(metrics.roc_auc_score(truth, [row[1] for row in given] if k == 2 else given, multi_class="ovr")),
    }


def sklearn_numbers(spec):
    from sklearn import metrics

    truth, predicted = numbers(spec)
    names = {"mae": "mean_absolute_error", "mse": "mean_squared_error", "rmse": "root_mean_squared_error",
             "rmsle": "root_mean_squared_log_error", "mape": "mean_absolute_percentage_error", "r2": "r2_score",
             "median": "median_absolute_error"}
    return {"spec": spec, **{name: float(getattr(metrics, of)(truth, predicted)) for name, of in names.items()}}


def sklearn_query(spec, k):
    from sklearn import metrics

    scores, relevance = query(spec)
    found = {"spec": spec, "k": k, "ndcg": float(metrics.ndcg_score([relevance], [scores], k=k))}
    if not spec[2]:
        found["average"] = float(metrics.average_precision_score([r > 0 for r in relevance], scores))
        # With one relevant item this is the reciprocal rank.
        best = [float(r == max(relevance)) if i == relevance.index(max(relevance)) else 0.0 for i, r in enumerate(relevance)]
        found["reciprocal"] = float(metrics.label_ranking_average_precision_score([best], [scores]))
    return found


def performance():
    from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

    shares = [[part, n, *map(float, proportion_confint(part, n, alpha, "wilson")), alpha]
              for part, n in ((0, 12), (3, 12), (12, 12), (480, 1000), (1, 100_000)) for alpha in (0.05, 0.01)]
    apart = [[*counts, *map(float, confint_proportions_2indep(*counts, method="newcomb", compare="diff"))]
             for counts in ((56, 70, 48, 80), (9, 10, 3, 10), (10, 10, 0, 20), (0, 10, 0, 20), (500, 900, 480, 1000))]
    return "scikit-learn", {
        "binary": [sklearn_binary(s) for s in ([1, 60, 0, 1.0], [2, 400, 20, 1.0], [3, 2000, 0, 2.0], [4, 900, 0, 0.6])],
        "classes": [sklearn_classes(s) for s in ([5, 80, 3, 0.6], [6, 1500, 2, 0.5], [7, 900, 7, 0.2], [8, 300, 4, 0.95])],
        "numbers": [sklearn_numbers(s) for s in ([9, 11, 3.0, 0.2], [10, 500, 100.0, 0.5], [11, 3000, 1e6, 0.05])],
        "queries": [sklearn_query(s, k) for s, k in (([12, 20, 0, 0.3], 20), ([13, 30, 5, 0.4], 10), ([14, 8, 3, 0.9], 3))],
        "shares": shares, "apart": apart,
    }
