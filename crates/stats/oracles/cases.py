"""The cases, each computed by one package: `cases.py NAME` prints them. Called by run.py, in NAME's environment."""

import importlib.metadata
import importlib.util
import json
import math
import pathlib
import random
import sys
import types

from drift import datasketches, evidently, nannyml, river, twosample, whylogs  # noqa: F401 - called by name
from multivariate import embeddings, multivariate  # noqa: F401 - called by name
from estimate import cbpe  # noqa: F401 - called by name
from fairness import fairlearn  # noqa: F401 - called by name
from performance import performance  # noqa: F401 - called by name
from quality import great_expectations  # noqa: F401 - called by name


def units(seed, n, lift):
    """n units as [value, denominator, covariate]: skewed values, several requests each, a covariate that explains."""
    rng = random.Random(seed)
    made = []
    for _ in range(n):
        covariate = rng.gauss(3.0, 1.0)
        denominator = float(rng.randint(1, 9))
        made.append([lift + 0.8 * covariate + rng.expovariate(1.0) * denominator, denominator, covariate])
    return made


PAIRS = [(units(1, 40, 0.0), units(2, 55, 0.4)), (units(3, 400, 1.0), units(4, 90, 1.0))]


def gbstats():
    from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
    from gbstats.models.statistics import (
        RatioStatistic, RegressionAdjustedStatistic, SampleMeanStatistic, compute_theta)
    from gbstats.utils import check_srm

    def sums(column, rows):
        xs = [row[column] for row in rows]
        return SampleMeanStatistic(n=len(xs), sum=math.fsum(xs), sum_squares=math.fsum(x * x for x in xs))

    def product(a, b, rows):
        return math.fsum(row[a] * row[b] for row in rows)

    def mean(rows):
        return sums(0, rows)

    def ratio(rows):
        return RatioStatistic(n=len(rows), m_statistic=sums(0, rows), d_statistic=sums(1, rows),
                              m_d_sum_of_products=product(0, 1, rows))

    def adjusted(rows, theta=0.0):
        return RegressionAdjustedStatistic(n=len(rows), post_statistic=sums(0, rows), pre_statistic=sums(2, rows),
                                           post_pre_sum_of_products=product(0, 2, rows), theta=theta)

    cases = []
    for pair, (control, treatment) in enumerate(PAIRS):
        theta = compute_theta(adjusted(control), adjusted(treatment))
        for measure, make in (("mean", mean), ("ratio", ratio), ("cuped", lambda rows: adjusted(rows, theta))):
            for scale in ("absolute", "relative"):
                for alpha, tuned_for in ((0.05, 5000.0), (0.01, 100.0)):
                    config = SequentialConfig(alpha=alpha, sequential_tuning_parameter=tuned_for, difference_type=scale)
                    test = SequentialTwoSidedTTest(make(control), make(treatment), config)
                    low, high = test.confidence_interval
                    cases.append({"pair": pair, "measure": measure, "scale": scale,
                                  "alpha": alpha, "tuned_for": tuned_for, "estimate": test.point_estimate,
                                  "variance": test.variance, "low": low, "high": high, "p": test.p_value})
    srm = [{"counts": c, "weights": w, "p": float(check_srm(c, w))} for c, w in
           (([500, 520], [0.5, 0.5]), ([9100, 790, 110], [0.9, 0.08, 0.02]), ([1000, 1200], [0.5, 0.5]))]
    return "gbstats", {"pairs": PAIRS, "sequential": cases, "srm": srm}


def savvi():
    import numpy as np
    from savvi.multinomial import Multinomial

    cases = []
    for theta, k, batches in (
        ([0.5, 0.5], 100.0, [[10, 12], [40, 60], [3, 0], [500, 610]]),
        ([0.75, 0.125, 0.125], 10.0, [[75, 12, 13], [700, 150, 150], [0, 1, 0]]),
    ):
        test = Multinomial(0.05, np.array(theta), k)
        log_odds = []
        for batch in batches:
            test.update(np.array(batch))
            log_odds.append(float(np.log(test.odds)))
        cases.append({"theta": theta, "k": k, "batches": batches, "log_e": log_odds})
    return "savvi", {"multinomial": cases}


def spotify():
    import numpy as np
    import pandas as pd
    from spotify_confidence import ZTest
    from spotify_confidence.analysis.frequentist.sequential_bound_solver import bounds

    designs = []
    for rho, t in ((1.0, [0.2, 0.4, 0.6, 0.8, 1.0]), (2.0, [0.3, 0.7, 1.0]), (3.0, [0.1, 0.5, 0.55, 1.0])):
        found = bounds(np.array(t), alpha=0.05, rho=rho, ztrun=8.0, sides=2)
        designs.append({"alpha": 0.05, "rho": rho, "fractions": t, "bounds": [float(z) for z in found.bounds]})
    tests = []
    for pair, (control, treatment) in enumerate(PAIRS):
        rows = []
        for name, group in (("control", control), ("treatment", treatment)):
            xs = [row[0] for row in group]
            rows.append({"group": name, "sum": math.fsum(xs), "squares": math.fsum(x * x for x in xs), "n": len(xs)})
        test = ZTest(pd.DataFrame(rows), numerator_column="sum", numerator_sum_squares_column="squares",
                     denominator_column="n", categorical_group_columns="group", interval_size=0.95)
        found = test.difference(level_1="control", level_2="treatment").iloc[0]
        tests.append({"pair": pair, "difference": float(found["difference"]),
                      "low": float(found["ci_lower"]), "high": float(found["ci_upper"])})
    return "spotify-confidence", {"pairs": PAIRS, "bounds": designs, "z_test": tests}


def mixtures(module):
    """The mixture martingales."""
    normal = [{"s": s, "v": v, "v_opt": v_opt, "alpha": alpha, "one_sided": one,
               "log_e": float(module.normal_log_mixture(s, v, v_opt, alpha_opt=alpha, is_one_sided=one))}
              for s, v, v_opt, alpha in ((10.0, 100.0, 50.0, 0.05), (-3.0, 40.0, 1000.0, 0.01), (80.0, 900.0, 400.0, 0.05))
              for one in (False, True)]
    beta = []
    for k, n, p, tuned in ((60, 100, 0.5, 200.0), (985, 1000, 0.99, 1000.0), (900, 1000, 0.95, 300.0), (3, 5, 0.99, 100.0)):
        for one in (False, True):
            # Their one-sided mixture is tuned at twice alpha.
            alpha = 0.025 if one else 0.05
            log_e = module.beta_binomial_log_mixture(float(k - p * n), float(n * p * (1 - p)), tuned * p * (1 - p), p,
                                                     1 - p, alpha_opt=alpha, is_one_sided=one)
            beta.append({"k": k, "n": n, "p": p, "tuned_for": tuned, "one_sided": one, "log_e": float(log_e)})
    return {"normal": normal, "beta_binomial": beta}


def confseq():
    import numpy as np
    from confseq import betting, boundaries

    rng = random.Random(5)
    bets = []
    for n, m, shape in ((30, 0.4, (2.0, 3.0)), (300, 0.5, (5.0, 3.0)), (100, 0.9, (1.0, 4.0)), (60, 0.02, (0.5, 8.0))):
        xs = [rng.betavariate(*shape) for _ in range(n)]
        capital = betting.betting_mart(np.array(xs), m, alpha=0.05, trunc_scale=0.5, theta=0.5)
        bets.append({"values": xs, "null": m, "alpha": 0.05, "log_e": [float(x) for x in np.log(capital)]})
    return "confseq", {"betting": bets, **mixtures(boundaries)}


def expectation():
    from expectation.modules import boundaries

    return "expectation", mixtures(boundaries)


def obp():
    import numpy as np

    # The package imports torch at its top and uses it for gradient-based learners alone.
    sys.modules["torch"] = types.ModuleType("torch")
    sys.modules["torch"].Tensor = type("Tensor", (), {})
    root = pathlib.Path(importlib.util.find_spec("obp").origin).parent
    package = types.ModuleType("obp.ope")
    package.__path__ = [str(root / "ope")]
    sys.modules["obp.ope"] = package
    from obp.ope.estimators import (
        DoublyRobust, InverseProbabilityWeighting, SelfNormalizedInverseProbabilityWeighting)

    rng = random.Random(6)
    n, arms = 200, 3
    logged, target, model, action, reward = [], [], [], [], []
    for _ in range(n):
        weights = [rng.uniform(0.1, 1.0) for _ in range(arms)]
        logged.append([w / sum(weights) for w in weights])
        weights = [rng.uniform(0.0, 1.0) for _ in range(arms)]
        target.append([w / sum(weights) for w in weights])
        model.append([rng.uniform(0.0, 1.0) for _ in range(arms)])
        action.append(rng.choices(range(arms), logged[-1])[0])
        reward.append(float(rng.random() < 0.3 + 0.2 * action[-1]))
    pscore = [row[a] for row, a in zip(logged, action)]
    common = dict(reward=np.array(reward), action=np.array(action), pscore=np.array(pscore),
                  action_dist=np.array(target)[:, :, None], position=np.zeros(n, dtype=int))
    modelled = np.array(model)[:, :, None]
    values = {
        "ips": InverseProbabilityWeighting().estimate_policy_value(**common),
        "snips": SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**common),
        "dr": DoublyRobust().estimate_policy_value(**common, estimated_rewards_by_reg_model=modelled),
    }
    rows = [[r, p, t[a], q[a], math.fsum(x * y for x, y in zip(t, q))]
            for r, p, t, q, a in zip(reward, pscore, target, model, action)]
    return "obp", {"answers": rows, **{k: float(v) for k, v in values.items()}}


def scipy():
    import numpy as np
    from scipy import integrate, stats

    two = []
    for t, bounds, drift in ((0.5, [2.9626, 1.9686], 0.0), (0.3, [2.5, 2.0], 2.8), (0.7, [2.2, 2.2], -1.0)):
        rho = math.sqrt(t)
        joint = stats.multivariate_normal([drift * math.sqrt(t), drift], [[1.0, rho], [rho, 1.0]])

        def box(low, high):
            return joint.cdf(high, lower_limit=low)

        far = 40.0
        first = [stats.norm.sf(bounds[0] - drift * math.sqrt(t)), stats.norm.cdf(-bounds[0] - drift * math.sqrt(t))]
        inside = [-bounds[0], bounds[0]]
        second = [box([inside[0], bounds[1]], [inside[1], far]), box([inside[0], -far], [inside[1], -bounds[1]])]
        two.append({"fractions": [t, 1.0], "bounds": bounds, "drift": drift,
                    "crossing": [float(sum(first)), float(sum(second))]})
    arms = []
    for kind, parameters in (("beta", [(20, 80), (30, 70), (2, 5)]), ("beta", [(900, 99100), (950, 99050)]),
                             ("normal", [(0.0, 1.0), (0.5, 0.1), (-1.0, 2.0)]), ("normal", [(1.0, 0.01), (1.02, 0.02)])):
        laws = [stats.beta(1 + a, 1 + b) if kind == "beta" else stats.norm(a, b) for a, b in parameters]

        def best(i):
            cuts = sorted({float(law.ppf(q)) for law in laws for q in (1e-12, 1e-4, 0.05, 0.5, 0.95, 1 - 1e-4, 1 - 1e-12)})
            rest = [law for j, law in enumerate(laws) if j != i]
            value = 0.0
            for low, high in zip(cuts, cuts[1:]):
                value += integrate.quad(lambda x: laws[i].pdf(x) * np.prod([law.cdf(x) for law in rest]), low, high,
                                        epsabs=1e-13, epsrel=1e-13, limit=200)[0]
            return float(value)

        arms.append({"kind": kind, "parameters": [list(map(float, p)) for p in parameters],
                     "best": [best(i) for i in range(len(laws))]})
    return "scipy", {"two_looks": two, "best_arm": arms}


if __name__ == "__main__":
    package, cases = globals()[sys.argv[1]]()
    print(json.dumps({"package": package, "version": importlib.metadata.version(package), "cases": cases},
                     allow_nan=False))
