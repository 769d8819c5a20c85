"""No secret among the arguments of a process, where all users of its machine can read it."""

import re
from collections.abc import Iterable
from typing import Final

from settings import SecretRefused, Settings

# What spark.redaction.regex hides, and what Kafka's clients call a login.
_SECRET: Final = re.compile(r"secret|passw|passphrase|token$|access[.]?key|jaas", re.IGNORECASE)


def refuse_secrets(arguments: list[str], properties: Iterable[str]) -> None:
    """Raises `SecretRefused` for a secret among a job's flags, or among Spark's properties, which are name=value."""
    Settings.refuse_secrets(arguments)
    for name in (one.partition("=")[0] for one in properties):
        if _SECRET.search(name):
            raise SecretRefused(
                f"--conf {name}=… would show a secret in the list of processes: put the property in the file "
                "spark-defaults.conf of the folder that SPARK_CONF_DIR names"
            )
