"""Models whose input is more than numbers and texts in columns, and whose answers are more than one array."""

import base64
import sys

import cloudpickle
import mlflow
import pandas
import pydantic
from mlflow.models import ModelSignature
from mlflow.pyfunc import ChatModel, PythonModel
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.llm import (
    ChatChoice, ChatChoiceDelta, ChatChunkChoice, ChatCompletionChunk, ChatCompletionResponse, ChatMessage, TokenUsageStats,
)
from mlflow.types.schema import AnyType, Array, Map, Object, Property

cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Told(PythonModel):
    """Says which parameters it got."""

    def predict(self, context, model_input, params=None):
        return pandas.DataFrame({"x": model_input["x"], "heat": params["heat"], "top": params["top"], "stop": "|".join(params["stop"])})


class Deaf(PythonModel):
    """Takes no parameters."""

    def predict(self, context, model_input):
        return model_input["x"] * 2


class Seen(PythonModel):
    """Says what it got, cell by cell, and gives it back."""

    def predict(self, context, model_input, params=None):
        seen = [repr(row) for row in model_input.to_dict(orient="records")]
        names = ("list", "deep", "object", "map", "any")
        return pandas.DataFrame({"seen": seen, **{f"{name} back": model_input.get(name) for name in names}})


class Images(PythonModel):
    """Bytes in, a number and bytes out."""

    def predict(self, context, model_input, params=None):
        held = model_input["image"]
        return pandas.DataFrame({"size": [len(each) for each in held], "back": [each[::-1] for each in held]})


class Days(PythonModel):
    def predict(self, context, model_input, params=None):
        return pandas.DataFrame({
            "next": model_input["day"] + pandas.Timedelta(days=1), "type": [str(model_input["day"].dtype)] * len(model_input),
        })


class Message(pydantic.BaseModel):
    role: str
    content: str
    scores: list[float] = []


class Hinted(PythonModel):
    """A model that says what it takes with a type hint."""

    def predict(self, model_input: list[Message], params=None) -> list[dict]:
        return [{"said": each.content.upper(), "by": each.role, "sum": sum(each.scores), "deep": {"scores": each.scores}} for each in model_input]


class Vectors(PythonModel):
    """Lists of one length, as an encoder answers; of several, as a tagger does."""

    def predict(self, context, model_input, params=None):
        count = model_input["n"]
        return pandas.DataFrame({"vector": [[float(each), 0.5] for each in count], "tags": [["t"] * int(each) for each in count]})


class Parts(PythonModel):
    """Answers word by word."""

    def predict(self, context, model_input, params=None):
        return [f"{text}!" for text in model_input["text"]]

    def predict_stream(self, context, model_input, params=None):
        row = model_input[0] if isinstance(model_input, list) else model_input
        for word in row["text"].split():
            print("saying", word)
            if word == "fail":
                raise ValueError("a secret")
            yield {"word": word} if word == "json" else word


class Chat(ChatModel):
    """A model with MLflow's signature of a chat."""

    def predict(self, context, messages, params):
        said = messages[-1].content.upper()
        choice = ChatChoice(index=0, message=ChatMessage(role="assistant", content=f"{said} {params.temperature}"))
        words = sum(len(message.content.split()) for message in messages)
        usage = TokenUsageStats(prompt_tokens=words, completion_tokens=2, total_tokens=words + 2)
        return ChatCompletionResponse(choices=[choice], usage=usage, model="chat", created=1)

    def predict_stream(self, context, messages, params):
        for word in messages[-1].content.split():
            yield ChatCompletionChunk(choices=[ChatChunkChoice(index=0, delta=ChatChoiceDelta(content=word))], model="chat", created=1)
        # As OpenAI's last one.
        yield ChatCompletionChunk(choices=[], usage=TokenUsageStats(prompt_tokens=7, completion_tokens=5, total_tokens=12), model="chat", created=1)


NESTED = Schema([
    ColSpec(Array(DataType.double), "list"), ColSpec(Array(Array(DataType.string)), "deep"),
    ColSpec(Object([Property("a", DataType.long), Property("b", Array(DataType.string), required=False)]), "object"),
    ColSpec(Map(DataType.double), "map"), ColSpec(AnyType(), "any", required=False),
])
NESTED_ROWS = [
    {"list": [1.0, 2.5], "deep": [["a"], []], "object": {"a": 1, "b": ["x", "ü"]}, "map": {"k": 0.1}, "any": {"z": [1, None, "s"]}},
    {"list": [3.0], "deep": [["b", "c"]], "object": {"a": -9007199254740993}, "map": {"m": 1.0, "n": 2.0}, "any": 7},
]
IMAGE = bytes(range(256))


def split(rows):
    columns = list(rows[0])
    return {"columns": columns, "data": [[row[name] for name in columns] for row in rows]}


def doubles(*names):
    return Schema([ColSpec(DataType.double, name) for name in names])


MODELS = {
    "told": (Told(), ModelSignature(doubles("x"), params=ParamSchema([
        ParamSpec("heat", DataType.double, 1.0), ParamSpec("top", DataType.long, 3), ParamSpec("stop", DataType.string, ["."], shape=(-1,))]))),
    "deaf": (Deaf(), ModelSignature(doubles("x"))),
    "seen": (Seen(), ModelSignature(NESTED)),
    "images": (Images(), ModelSignature(Schema([ColSpec(DataType.binary, "image")]), Schema([ColSpec(DataType.long, "size"), ColSpec(DataType.binary, "back")]))),
    "days": (Days(), ModelSignature(Schema([ColSpec(DataType.datetime, "day")]))),
    "hinted": (Hinted(), None),
    "vectors": (Vectors(), ModelSignature(Schema([ColSpec(DataType.long, "n")]), Schema([
        ColSpec(Array(DataType.double), "vector"), ColSpec(Array(DataType.string), "tags")]))),
    "chat": (Chat(), None),
    "parts": (Parts(), ModelSignature(Schema([ColSpec(DataType.string, "text")]), Schema([ColSpec(DataType.string)]))),
}

CHAT = [{"role": "system", "content": "be loud"}, {"role": "user", "content": "hi there"}]
X = [{"x": 1.5}, {"x": -2.0}]
TEXT = base64.b64encode(IMAGE).decode()

# Model, and the body of a scoring request.
BODIES = {
    "params": ("told", {"dataframe_records": X, "params": {"heat": 0.25, "top": 7, "stop": ["a", "b"]}}),
    "some params": ("told", {"dataframe_split": split(X), "params": {"heat": 2}}),
    "no params": ("told", {"dataframe_records": X}),
    "null params": ("told", {"inputs": {"x": [1.5]}, "params": None}),
    "unknown params": ("told", {"dataframe_records": X, "params": {"cold": 1}}),
    "a param of another type": ("told", {"dataframe_records": X, "params": {"heat": "hot"}}),
    "a param that is no list": ("told", {"dataframe_records": X, "params": {"stop": "a"}}),
    "params that are no object": ("told", {"dataframe_records": X, "params": [1]}),
    "params for a model without": ("deaf", {"dataframe_records": X, "params": {"heat": 1}}),
    "nested records": ("seen", {"dataframe_records": NESTED_ROWS}),
    "nested split": ("seen", {"dataframe_split": split(NESTED_ROWS)}),
    "a list of nested rows": ("seen", {"inputs": NESTED_ROWS}),
    "an optional column left out": ("seen", {"dataframe_records": [{name: row[name] for name in ("list", "deep", "object", "map")} for row in NESTED_ROWS]}),
    "a text in a list of numbers": ("seen", {"dataframe_records": [{**NESTED_ROWS[0], "list": ["a"]}]}),
    "a member too many": ("seen", {"dataframe_records": [{**NESTED_ROWS[0], "object": {"a": 1, "c": 2}}]}),
    "a member too few": ("seen", {"dataframe_records": [{**NESTED_ROWS[0], "object": {}}]}),
    "a list for a map": ("seen", {"dataframe_records": [{**NESTED_ROWS[0], "map": []}]}),
    "images": ("images", {"dataframe_records": [{"image": TEXT}, {"image": ""}]}),
    "images split": ("images", {"dataframe_split": {"columns": ["image"], "data": [[TEXT]]}}),
    "days": ("days", {"dataframe_records": [{"day": "2026-01-31T12:00:00"}, {"day": "2026-02-28T00:00:00"}]}),
    "days to the microsecond": ("days", {"dataframe_records": [{"day": "2026-02-28T00:00:00.123456"}]}),
    "days in several forms": ("days", {"dataframe_records": [{"day": "2026-01-31T12:00:00"}, {"day": "2026-02-28"}]}),
    "days split": ("days", {"dataframe_split": {"columns": ["day"], "data": [["2026-01-31"], ["2024-02-29"]]}}),
    "hinted": ("hinted", {"inputs": [{"role": "user", "content": "hi", "scores": [1.0, 0.5]}, {"role": "bot", "content": "ho", "scores": []}]}),
    "vectors": ("vectors", {"dataframe_records": [{"n": 2}, {"n": 0}, {"n": 3}]}),
    "vectors of one length": ("vectors", {"dataframe_records": [{"n": 2}, {"n": 2}]}),
    "a chat": ("chat", {"messages": CHAT, "temperature": 0.5}),
    "a chat in columns": ("chat", {"inputs": {"messages": CHAT}}),
    "a whole answer of a model that streams": ("parts", {"dataframe_records": [{"text": "a b"}, {"text": ""}]}),
}

# What MLflow cannot read though it fits the signature: NumPy does not take uneven lists, pandas only one form of date.
TAKEN = {"a list of nested rows": "nested records", "days in several forms": None}

# Not a value of the signature: MLflow and this server refuse them.
REFUSED = {name for name in BODIES if name.startswith(("a param", "params that are", "a text in", "a member", "a list for"))}


def register(server):
    """Registers and deploys every model; by name, the model as mlflow loads it."""
    mlflow.set_tracking_uri(server.url)
    mlflow.set_experiment("rich")
    loaded = {}
    for name, (model, signature) in MODELS.items():
        with mlflow.start_run():
            mlflow.pyfunc.log_model(name="model", python_model=model, signature=signature, registered_model_name=f"rich-{name}")
        server.deploy(f"rich-{name}", f"models:/rich-{name}/1", engine={"python": {"env": "shared"}})
        loaded[name] = mlflow.pyfunc.load_model(f"models:/rich-{name}/1")
    return loaded
