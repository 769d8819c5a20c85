"""Makes `.env` from `.env.example`, with a random secret wherever the example leaves a value empty."""

import re
import secrets
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    target = ROOT / ".env"
    if target.exists():
        print(f"{target} exists already and stays as it is.")
        return
    write(ROOT / ".env.example", target)
    print(f"{target} is written; its secrets are new and nowhere else.")


def write(example: Path, target: Path) -> None:
    """Write `target`, readable by its owner only. Raises FileExistsError where there is one."""
    text = re.sub(r"^(\w+=)$", lambda line: line[1] + secrets.token_hex(24), example.read_text(), flags=re.MULTILINE)
    target.touch(mode=0o600, exist_ok=False)
    target.write_text(text)


if __name__ == "__main__":
    main()
