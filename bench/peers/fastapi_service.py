"""Peer: a service as the documentation of FastAPI and scikit-learn teaches it: a pickled model, and a DataFrame a request.

It keeps no state: the features come in the request, made by whoever asks.
"""

import argparse
from typing import Any

import joblib
import pandas as pd
import uvicorn
from fastapi import FastAPI
from pydantic import create_model


def make_app(path: str) -> FastAPI:
    """The application. path: joblib's file of {"pipeline", "threshold", "features"}."""
    kept = joblib.load(path)
    fields: dict[str, Any] = dict.fromkeys(kept["features"], (float, ...))
    request = create_model("Features", **fields)
    app = FastAPI()

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/predict")
    def predict(features: request) -> dict[str, Any]:  # type: ignore[valid-type]
        row = pd.DataFrame([features.model_dump()], columns=kept["features"])  # type: ignore[attr-defined]
        score = float(-kept["pipeline"].score_samples(row)[0])
        return {"anomaly_score": score, "threshold": kept["threshold"], "is_anomaly": score > kept["threshold"]}

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    uvicorn.run(make_app(given.model), host="127.0.0.1", port=given.port, log_level="warning")
