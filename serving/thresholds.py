"""Shares of the traffic → scores of a model, by what its scores were like in training."""

import numpy as np

from ml.model import Model
from serving.policy import PolicyError, PolicyFile, Thresholds


def thresholds_for(file: PolicyFile, model: Model) -> Thresholds:
    """A policy's thresholds as scores of a model. Raises `PolicyError` where the model can't say."""
    review = _above(file.review, model, "review")
    if file.decline == "training":
        return Thresholds(review, _of_training(model))
    return Thresholds(review, _above(file.decline, model, "decline"))


def _of_training(model: Model) -> float:
    if model.decline_threshold is None:
        raise PolicyError(
            f"decline is the threshold of training, but version {model.version} of {model.name} has none: it was trained "
            "without labels, with too few known frauds, or by an earlier release. Give decline as a share of the traffic"
        )
    return model.decline_threshold


def _above(share: float | None, model: Model, name: str) -> float | None:
    """The score that so large a share of the training's traffic was above."""
    if share is None:
        return None
    if share == 0:
        return 1.0
    if model.reference is None:
        raise PolicyError(
            f"{name} is a share of the traffic, but version {model.version} of {model.name} was stored without what its "
            f"scores were like: train it again, or leave {name} out of the policy"
        )
    shares = np.array(model.reference.shares)
    thresholds = model.reference.grid.thresholds
    if not shares[-1] <= share <= shares[0]:
        raise PolicyError(
            f"{name} has to be between {shares[-1]:.5f} and {shares[0]:.5f} for version {model.version} of {model.name}, whose "
            f"budget is {model.budget:g}, but it is {share:g}: choose one between, or train with another budget"
        )
    return float(np.interp(-share, -shares, thresholds))
