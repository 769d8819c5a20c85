"""What can go wrong in an evaluation, beside what `ml.dataset.history.HistoryError` says."""


class EvaluationError(Exception):
    """It can't be judged; the text says what was required and what came."""
