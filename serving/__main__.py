"""The service's command line: `scoreline serve`."""

import sys
from typing import Annotated

import typer

from messaging.errors import KafkaConfigError
from ml.features.currencies import RatesUnreadable
from ml.features.declared import DeclarationError
from serving.errors import ServiceError
from serving.policy import PolicyError
from serving.server import Server
from settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def serve(
    context: typer.Context,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="begin again from --initial-state, whatever --serve-state holds")
    ] = False,
) -> None:
    """Answer payments by HTTP until a signal. Every flag that is not named here is a setting: see docs/settings.md.

    Its own settings begin with --serve-; a failure that a person can fix is one line, and exit status 1.
    """
    settings = Settings.from_command_line(context.args)
    try:
        Server(settings, rebuild).run()
    except (ServiceError, PolicyError, KafkaConfigError, RatesUnreadable, DeclarationError) as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    app()
