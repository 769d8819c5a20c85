"""What an application's main does: logs, checks, then its queries until it has to stop."""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence

from jobs.runtime import logs
from jobs.runtime.ending import Ending
from jobs.runtime.errors import Fatal
from jobs.runtime.gate import Gate
from jobs.runtime.known_causes import explain
from jobs.runtime.session import launch_java
from jobs.runtime.supervisor import Recovery, Starter, Supervisor
from settings import Settings, private_files

_log = logging.getLogger(__name__)


def run(
    settings: Settings,
    starters: Mapping[str, Starter],
    recoveries: Mapping[str, Recovery],
    checks: Sequence[Callable[[], None]],
) -> int:
    """Run an application until it has to stop. Returns the exit status.

    recoveries: by the name of a known cause, what is done where a query fails by it.
    """
    private_files()
    try:
        logs.set_up_logs(settings, next(iter(starters)))
    except OSError as error:
        print(f"error: the log folder {settings.log_dir} can't be used: {explain(error)}", file=sys.stderr)
        return 1
    gateway, jvm = launch_java()
    gate = Gate()
    ending = Ending(gate, jvm)
    ending.listen(gateway)
    status = 0
    try:
        for check in checks:
            check()
        Supervisor(settings, starters, recoveries, gate, ending).run(jvm)
    except Fatal as fatal:
        print("error:", " ".join(str(fatal).split()), file=sys.stderr)
        status = 1
    except Exception as error:  # noqa: BLE001  # whatever it is: one line on the console, the rest in the log
        _log.info("the application can't start or go on, in full", exc_info=error)
        print(f"error: {next(iter(starters))} can't start or go on: {explain(error)}", file=sys.stderr)
        status = 1
    return ending.finish(status)
