"""The pages of PyTorch and of what is built on it, followed by hand."""

import pages
import texts


def test_pytorch(server, tmp_path):
    pages.follow(server, "pytorch.md", tmp_path)


def test_transformers(server, tmp_path):
    model, split = texts.sentiment()
    model.save_pretrained(tmp_path / "reviews-model")
    split.save_pretrained(tmp_path / "reviews-model")
    pages.follow(server, "transformers.md", tmp_path)


def test_sentence_transformers(server, tmp_path):
    texts.minilm(tmp_path).rename(tmp_path / "minilm")
    pages.follow(server, "sentence-transformers.md", tmp_path)
