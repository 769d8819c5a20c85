"""A command's help with the settings that are its alone, which every flag that is not its own is taken for."""

from collections.abc import Mapping
from typing import Any, Protocol

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand


class _Field(Protocol):
    @property
    def default(self) -> Any: ...
    @property
    def description(self) -> str | None: ...


def listing(prefix: str, fields: Mapping[str, _Field], secrets: Mapping[str, str]) -> type[TyperCommand]:
    """The class of a command whose help lists, of all settings, those whose names begin so: `page_`.

    secrets: for what is no flag, being secret, the variable that it is read from.
    """

    class WithSettings(TyperCommand):
        """See `listing`."""

        def format_help(self, ctx: Any, formatter: Any) -> None:
            """See `TyperCommand`."""
            super().format_help(ctx, formatter)
            listed = Table.grid(padding=(0, 2))
            for name, field in fields.items():
                if name.startswith(prefix):
                    default = "" if field.default is None else f" [{field.default}]"
                    flag = f"--{name.replace('_', '-')}"
                    listed.add_row(Text(secrets.get(flag, flag)), Text(f"{field.description}{default}"))
            Console().print(Panel(listed, title="Settings", title_align="left", border_style="dim"))

    return WithSettings
