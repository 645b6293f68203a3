"""A language model of transformers as a folder that is served without Python."""

import pathlib

import torch

NAMES = ["input_ids", "attention_mask", "token_type_ids"]


def export(model, split, folder, graph="model.onnx"):
    """Writes the graph, the configuration and the tokenizer of `model` into `folder`."""
    folder = pathlib.Path(folder)
    # A model that was never saved does not say what it is.
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    split.save_pretrained(folder)
    batch = split(["two texts,", "one of them longer"], padding=True, return_tensors="pt")
    names = [name for name in NAMES if name in batch]
    rows, tokens = torch.export.Dim("rows", min=1, max=65536), torch.export.Dim("tokens", min=2, max=min(512, model.config.max_position_embeddings))
    (folder / graph).parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        model.eval(), (), folder / graph, kwargs={name: batch[name] for name in names}, input_names=names,
        output_names=["logits" if hasattr(model, "classifier") else "last_hidden_state"],
        dynamic_shapes={name: {0: rows, 1: tokens} for name in names}, dynamo=True, external_data=False, verbose=False,
    )
    return folder
