"""The command line of notifications: `scoreline notify`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from messaging.config import KafkaConfig
from messaging.errors import KafkaConfigError
from notifications import checking
from notifications.delivery import listen_to_answers, quiet_apprise
from notifications.errors import NotificationError
from notifications.kept import Kept
from notifications.logs import set_up_logs
from notifications.notifier import Notifier
from notifications.policy_file import PolicyOnDisk, usable
from notifications.records import Records
from notifications.stopping import Stopping
from settings import Settings, private_files

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def notify(
    context: typer.Context,
    check: Annotated[
        Path | None, typer.Option(help="Check this policy, and show which routes sample records take.")
    ] = None,
    test: Annotated[str | None, typer.Option(help="Send a test message to this channel of the policy.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be sent; keep nothing.")] = False,
    early: Annotated[
        bool, typer.Option("--early", help="Read alerts.early too: what both lanes find is notified of once.")
    ] = False,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="At a first start, with all that the topics hold.")
    ] = False,
) -> None:
    """Notify people of alerts and events, by a policy, until a signal. Every flag that is not named here is a setting.

    A failure that a person can fix is one line, and exit status 1.
    """
    settings = Settings.from_command_line(context.args)
    listen_to_answers()
    quiet_apprise()
    try:
        if check is not None:
            print(checking.shown(usable(check)))
        elif test is not None:
            print(checking.tested(usable(_policy(settings)), test, settings.page_url))
        elif dry_run:
            _dry_run(settings, early, from_beginning)
        else:
            _run(settings, early, from_beginning)
    except (NotificationError, KafkaConfigError) as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        raise typer.Exit(1) from None


def _policy(settings: Settings) -> Path:
    if settings.notify_policy is None:
        raise NotificationError(
            "no policy is named: set --notify-policy or SCORELINE_NOTIFY_POLICY (docs/notifications.md)"
        )
    return settings.notify_policy


def _records(settings: Settings, early: bool) -> Records:
    alerts = (settings.alerts_topic, settings.early_alerts_topic) if early else (settings.alerts_topic,)
    return Records(KafkaConfig.from_settings(settings), alerts, settings.events_topic)


def _run(settings: Settings, early: bool, from_beginning: bool) -> None:
    set_up_logs(settings.log_dir, settings.log_level)
    policy, records = PolicyOnDisk(_policy(settings)), _records(settings, early)
    kept = Kept(settings.notify_state)
    with Stopping() as stopping:
        Notifier(policy, records, kept, settings.page_url, not from_beginning).run(lambda: not stopping.asked)
    records.close()
    kept.close()


def _dry_run(settings: Settings, early: bool, from_beginning: bool) -> None:
    policy, records = PolicyOnDisk(_policy(settings)), _records(settings, early)
    with Stopping() as stopping:
        checking.dry_run(policy, records, settings.page_url, not from_beginning, lambda: not stopping.asked)
    records.close()


if __name__ == "__main__":
    private_files()
    app()
