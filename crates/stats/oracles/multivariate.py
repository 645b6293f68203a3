"""Tables and vectors: more cases for cases.py, of columns made as drift.py makes them."""

import math
import sys
import types

from drift import Anything, categories, numbers, package

# Columns of both sides; each column of numbers has `mix` times the one before it added.
TABLES = [
    {"name": "steady", "mix": 0.8, "columns": [
        ("numbers", [201 + 2 * i, 1500, 1.0 + i, i, 0, 0], [202 + 2 * i, 1300, 1.0 + i, i, 0, 0]) for i in range(6)]},
    # Each column alone is nearly as it was, but they no longer go together.
    {"name": "untied", "mix": 0.8, "apart": True, "columns": [
        ("numbers", [221 + 2 * i, 2000, 1.0, 0.0, 0, 0], [222 + 2 * i, 2003, 1.0, 0.0, 0, 0]) for i in range(5)]},
    {"name": "shifted", "mix": 0.5, "columns": [
        ("numbers", [241, 1200, 1.0, 0.0, 0, 7], [242, 1005, 1.0, 0.5, 0, 5]),
        ("numbers", [243, 1200, 5.0, 10.0, 1, 0], [244, 1005, 5.0, 13.0, 1, 0]),
        ("categories", [245, 1200, 6, 0.4, 9], [246, 1005, 8, 0.0, 0]),
        ("categories", [247, 1200, 2, 0.0, 0], [248, 1005, 2, 0.6, 4])]},
    {"name": "categories", "mix": 0.0, "columns": [
        ("categories", [251 + 2 * i, 900, 4 + i, 0.3, i and 5 + i], [252 + 2 * i, 950, 4 + i, 0.3, i and 5 + i]) for i in range(4)]},
    {"name": "constant", "mix": 0.0, "columns": [
        ("numbers", [261, 800, 0.0, 3.0, 0, 0], [262, 800, 0.0, 3.0, 0, 0]),
        ("numbers", [263, 800, 1.0, 0.0, 0, 3], [264, 800, 1.4, 0.0, 0, 3])] + [
        ("numbers", [265 + 2 * i, 800, 1.0, 0.0, 0, 0], [266 + 2 * i, 800, 1.0, 0.0, 0, 0]) for i in range(4)]},
]


def tables():
    import pandas as pd

    for case in TABLES:
        sides = []
        for side in (1, 2):
            frame, before = {}, None
            for at, column in enumerate(case["columns"]):
                if column[0] == "categories":
                    # Not None, which scikit-learn takes for a category.
                    frame[f"x{at}"] = [math.nan if c is None else f"c{c:02}" for c in categories(column[side])]
                    continue
                made = numbers(column[side])
                mix = 0.0 if side == 2 and case.get("apart") else case["mix"]
                if before is not None and mix:
                    made = [x + mix * y for x, y in zip(made, before)]
                frame[f"x{at}"] = before = made
            sides.append(pd.DataFrame(frame))
        yield case, *sides


def multivariate():
    import warnings

    warnings.simplefilter("ignore")
    import numpy as np

    package("category_encoders")
    from category_encoders.count import CountEncoder

    sys.modules["category_encoders"].CountEncoder = CountEncoder
    package("nannyml", "nannyml.drift", "nannyml.drift.multivariate", "nannyml.drift.multivariate.data_reconstruction",
            "nannyml.drift.multivariate.domain_classifier")
    for name in ("flaml", "plotly", "plotly.graph_objects", "nannyml.plots"):
        sys.modules[name] = Anything(name)
    # It reports each use to its makers.
    quiet = sys.modules["nannyml.usage_logging"] = types.ModuleType("nannyml.usage_logging")
    quiet.UsageEvent, quiet.log_usage = Anything("event"), lambda *_, **__: lambda f: f

    class Result:
        """Only its table; its plots are not drawn."""

        def __init__(self, results_data, **_):
            self.data = results_data

        def filter(self, **_):
            return self

    for method in ("data_reconstruction", "domain_classifier"):
        name = f"nannyml.drift.multivariate.{method}.result"
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].Result = Result
    from nannyml.drift.multivariate.data_reconstruction.calculator import DataReconstructionDriftCalculator
    from nannyml.drift.multivariate.domain_classifier.calculator import DomainClassifierCalculator

    cases = []
    for case, reference, current in tables():
        pca = DataReconstructionDriftCalculator(column_names=list(reference.columns))
        pca._fit(reference)
        known = pca.result.data["reconstruction_error"]["value"].tolist()
        found = pca._calculate(current.copy()).data.iloc[len(known):]
        error = found["reconstruction_error"]
        trees = DomainClassifierCalculator(feature_column_names=list(reference.columns), chunk_number=1)
        trees.hyperparameters = {"verbosity": -1, "deterministic": True, "n_jobs": 1, "random_state": 1}
        trees.timestamp_column_name = None
        trees._fit(reference)
        area = trees._calculate(current.copy()).data.iloc[1:]["domain_classifier_auroc"]
        cases.append({**case, "components": int(pca._pca.n_components_), "upper": float(pca.upper_threshold_value),
                      "lower": None if pca.lower_threshold_value is None else float(pca.lower_threshold_value),
                      "reference": known, "chunks": error["value"].tolist(),
                      "alerts": [bool(a) for a in error["alert"]], "trees": bool(area["alert"].any())})
    matrix = [[1 / (1 + i + j) + (0.1 * i if i == j else 0) for j in range(40)] for i in range(40)]
    return "nannyml", {"tables": cases, "eigenvalues": np.linalg.eigvalsh(matrix)[::-1].tolist()}


# Vectors: so many components, made as columns are; each side's seed, rows, scale and shift.
VECTORS = [
    {"width": 8, "sides": [[301, 300, 1.0, 0.0], [302, 250, 1.0, 0.0]]},
    {"width": 8, "sides": [[303, 300, 1.0, 0.0], [304, 250, 1.0, 0.15]]},
    {"width": 5, "sides": [[305, 400, 1.0, 1.0], [306, 401, 1.6, 1.0]]},
    {"width": 32, "sides": [[307, 999, 0.2, 0.1], [308, 900, 0.2, 0.12]]},
]


def embeddings():
    import warnings

    warnings.simplefilter("ignore")
    import numpy as np
    import pandas as pd
    from evidently.legacy.features.non_letter_character_percentage_feature import NonLetterCharacterPercentage
    from evidently.legacy.features.sentence_count_feature import SentenceCount
    from evidently.legacy.features.text_length_feature import TextLength
    from evidently.legacy.features.word_count_feature import WordCount
    from evidently.legacy.metrics.data_drift.embedding_drift_methods import distance, mmd, model, ratio

    vectors = []
    for case in VECTORS:
        a, b = (pd.DataFrame(np.array(numbers([seed, rows * case["width"], scale, shift, 0, 0])).reshape(rows, -1))
                for seed, rows, scale, shift in case["sides"])

        def score(method):
            value, drifted, _ = method(b.copy(), a.copy())
            return [float(value), bool(drifted)]

        vectors.append({**case, "mmd": score(mmd()), "ratio": score(ratio()),
                        "distance": {d: score(distance(dist=d)) for d in ("euclidean", "cosine", "cityblock", "chebyshev")},
                        "model": score(model(bootstrap=len(a) < 1000))[1]})
    texts = ["", "Hello there. How are you? Fine!", "It costs 3.50 at e.g. Mr. Smith's shop. Really?", "no end",
             "Don't   stop. Go on", "Zwölf Boxkämpfer jagen Viktor. Ja."]
    forms = [[f("x").apply(text) if text or f is not NonLetterCharacterPercentage else 0
              for f in (TextLength, WordCount, SentenceCount, NonLetterCharacterPercentage)] for text in texts]
    return "evidently", {"vectors": vectors, "texts": [[t, [float(x) for x in f]] for t, f in zip(texts, forms)]}
