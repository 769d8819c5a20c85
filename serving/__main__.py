"""The service's command line: `scoreline serve`."""

import sys
from typing import Annotated

import typer

from messaging.errors import KafkaConfigError
from ml.features.currencies import RatesUnreadable
from ml.features.declared import DeclarationError
from programs.settings_help import listing
from serving.errors import ServiceError
from serving.log_files import set_up_logs
from serving.policy import PolicyError
from serving.server import Server
from settings import Settings, private_files

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    cls=listing("serve_", Settings.model_fields, Settings.secrets()),
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def serve(
    context: typer.Context,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="begin again from --initial-state, whatever --serve-state holds")
    ] = False,
) -> None:
    """Answer payments by HTTP until a signal. Every flag that is not named here is a setting: see docs/settings.md.

    A failure that a person can fix is one line, and exit status 1.
    """
    settings = Settings.from_command_line(context.args)
    try:
        set_up_logs(settings)
        Server(settings, rebuild).run()
    except (ServiceError, PolicyError, KafkaConfigError, RatesUnreadable, DeclarationError) as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    private_files()
    app()
