"""A scikit-learn model inside MLServer, with MLServer's own codecs and none of MLflow's checks."""

import os

import joblib
import pandas
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, PandasCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Sklearn(MLModel):
    async def load(self):
        self.model = joblib.load(os.environ["BENCH_MODEL"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows: pandas.DataFrame = PandasCodec.decode_request(payload)
        outputs = [NumpyCodec.encode_output("predict", self.model.predict(rows))]
        return InferenceResponse(model_name=self.name, model_version="1", outputs=outputs)
