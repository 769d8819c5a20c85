"""The command line: `python -m ml train | register | report | evaluate | models | promote | rollback | gate | …`."""

import sys
from typing import Final

import typer

from messaging.errors import KafkaConfigError
from ml.commands import backtest, champion, evaluate, gate, models, report, train
from ml.dataset.history import HistoryError
from ml.evaluation.errors import EvaluationError
from ml.features.currencies import RatesUnreadable
from ml.features.declared import DeclarationError
from ml.registry.model_store import RegistryError
from ml.training.train import TrainingError
from settings import private_files

_FOR_PEOPLE: Final = (
    RegistryError,
    HistoryError,
    RatesUnreadable,
    DeclarationError,
    TrainingError,
    EvaluationError,
    KafkaConfigError,
    OSError,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train models and choose the one that judges.",
)
app.command("train")(train.train_command)
app.command("register")(train.register_command)
app.command("report")(report.report_command)
app.command("evaluate")(evaluate.evaluate_command)
app.add_typer(models.app, name="models")
app.command("promote")(champion.promote_command)
app.command("rollback")(champion.rollback_command)
app.command("challenge")(champion.challenge_command)
app.command("gate")(gate.gate_command)
app.command("backtest")(backtest.backtest_command)


def main() -> None:
    """Run the command line; every failure that a person can fix is one line on standard error and exit status 1."""
    try:
        app()
    except _FOR_PEOPLE as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    private_files()
    main()
