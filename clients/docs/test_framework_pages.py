"""The pages of the frameworks that `.venv` has, followed by hand."""

import pages
import pytest


@pytest.mark.parametrize("page", ["scikit-learn.md", "xgboost.md", "lightgbm.md", "catboost.md"])
def test_the_page_works(server, page, tmp_path):
    pages.follow(server, page, tmp_path)
