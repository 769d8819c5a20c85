"""The page's command line: `scoreline page`."""

import os
import signal
import sys
import threading
from typing import Annotated

import typer

from messaging.errors import KafkaConfigError
from page.errors import PageError
from page.log_files import set_up_logs
from page.server import run
from page.user_commands import app as users
from programs.settings_help import listing
from settings import Settings, private_files

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    cls=listing("page_", Settings.model_fields, Settings.secrets()),
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def page(
    context: typer.Context,
    end_with_input: Annotated[
        bool,
        typer.Option("--end-with-input", help="end when standard input does, as for a page that the service starts"),
    ] = False,
) -> None:
    """Serve the analyst's page until a signal: alerts as cases, verdicts. Every flag is a setting: see docs/settings.md.

    A failure that a person can fix is one line, and exit status 1.
    """
    settings = Settings.from_command_line(context.args)
    try:
        set_up_logs(settings)
        if end_with_input:
            threading.Thread(target=_end_with_input, name="input", daemon=True).start()
        run(settings)
    except (PageError, KafkaConfigError) as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        raise typer.Exit(1) from None


def _end_with_input() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run the command line: `users` and its commands, else the page."""
    if sys.argv[1:2] == ["users"]:
        users(sys.argv[2:], prog_name=f"{sys.argv[0]} users")
    else:
        app()


if __name__ == "__main__":
    private_files()
    main()
