"""The page of TensorFlow, followed by hand."""

import pages


def test_the_page_works(server, tmp_path):
    pages.follow(server, "tensorflow.md", tmp_path)
