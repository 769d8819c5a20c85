"""The service's command line: `scoreline serve`."""

import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand

from messaging.errors import KafkaConfigError
from ml.features.currencies import RatesUnreadable
from ml.features.declared import DeclarationError
from serving.errors import ServiceError
from serving.log_files import set_up_logs
from serving.policy import PolicyError
from serving.server import Server
from settings import Settings, private_files

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class _WithSettings(TyperCommand):
    """A command whose help lists the settings that are its alone, which `settings.Settings` reads."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """See `TyperCommand`."""
        super().format_help(ctx, formatter)
        listed = Table.grid(padding=(0, 2))
        for name, field in Settings.model_fields.items():
            if name.startswith("serve_"):
                default = "" if field.default is None else f" [{field.default}]"
                listed.add_row(Text(f"--{name.replace('_', '-')}"), Text(f"{field.description}{default}"))
        Console().print(Panel(listed, title="Settings", title_align="left", border_style="dim"))


@app.command(cls=_WithSettings, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
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
