"""The registered versions as rows of text, for a table."""

from typing import Final

from ml.registry.model_store import Registered

HEADER: Final = ["version", "alias", "detector", "trained (UTC)", "rows", "customers", "budget", "threshold", "alerts"]


def cells(registered: Registered) -> list[str]:
    """The row of a version; empty where something is not known."""

    def number(value: float | str | None, form: str) -> str:
        return "" if value is None else format(float(value), form)

    params, metrics = registered.params, registered.metrics
    return [
        str(registered.version),
        ", ".join(registered.aliases),
        params.get("detector", ""),
        f"{registered.trained_at:%Y-%m-%d %H:%M}",
        number(params.get("rows"), ",.0f"),
        number(params.get("customers"), ",.0f"),
        number(params.get("budget"), ".2%"),
        number(metrics.get("threshold"), ".4f"),
        number(metrics.get("alert_share_check_part"), ".2%"),
    ]
