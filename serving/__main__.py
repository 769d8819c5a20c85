"""The service's command line: `scoreline serve`."""

import sys

from messaging.errors import KafkaConfigError
from ml.features.currencies import RatesUnreadable
from ml.features.declared import DeclarationError
from serving.errors import ServiceError
from serving.policy import PolicyError
from serving.server import Server
from settings import Settings


def main() -> None:
    """Serve until a signal; every failure that a person can fix is one line on standard error and exit status 1."""
    arguments = sys.argv[1:]
    rebuild = "--rebuild" in arguments
    settings = Settings.from_command_line([each for each in arguments if each != "--rebuild"])
    try:
        Server(settings, rebuild).run()
    except (ServiceError, PolicyError, KafkaConfigError, RatesUnreadable, DeclarationError) as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
