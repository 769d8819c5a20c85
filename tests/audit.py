"""What `make audit` asks: are vulnerabilities known in the locked libraries, and does a secret stand in the repository?

`--required` makes it fail too where the service of vulnerabilities could not be asked; `--accept` takes what looks like a
secret now into the baseline, after a person has looked at it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
BASELINE: Final = ROOT / ".secrets.baseline"
LOCKS: Final = ("requirements.lock", "requirements-dev.lock")
NO_TEXT: Final = (
    r"\.lock$|go\.sum$|\.csv$|\.xz$|\.png$|\.npz$|/corpus/|^bench/results/|^tests/data/|^\.secrets\.baseline$"
)


class Found(NamedTuple):
    """What looks like a secret: where, of what kind, and the hash by which the baseline knows it."""

    file: str
    digest: str
    line: int
    kind: str


def audited(lock: str) -> tuple[list[str], int, int]:
    """(vulnerabilities, libraries that the service knew, libraries of the lock), by pip-audit, which installs nothing."""
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--progress-spinner", "off"]
    done = subprocess.run(
        [*command, "--timeout", "10", "-f", "json", "-r", lock], cwd=ROOT, capture_output=True, text=True, check=False
    )
    try:
        listed: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        return [], 0, 0
    return vulnerabilities(listed), sum("vulns" in one for one in listed), len(listed)


def vulnerabilities(listed: list[dict[str, Any]]) -> list[str]:
    """Of pip-audit's list of libraries, a line for each vulnerability."""
    return [
        f"{one['name']} {one['version']}: {known['id']} (fixed in {', '.join(known['fix_versions']) or 'no version'})"
        for one in listed
        for known in one.get("vulns", [])
    ]


def look_like_secrets() -> tuple[dict[str, Any], list[Found]]:
    """(detect-secrets' own report, what it found) in all files that git knows."""
    command = [sys.executable, "-m", "detect_secrets", "scan", "--exclude-files", NO_TEXT]
    report = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    return report, found_in(report)


def found_in(report: dict[str, Any]) -> list[Found]:
    """What a report of detect-secrets, or a baseline, names."""
    return [
        Found(file, one["hashed_secret"], one["line_number"], one["type"])
        for file, several in report["results"].items()
        for one in several
    ]


def unknown(found: list[Found], baseline: list[Found]) -> list[Found]:
    """What the baseline does not know, wherever in its file it stands."""
    known = {(one.file, one.digest) for one in baseline}
    return [one for one in found if (one.file, one.digest) not in known]


def main(arguments: list[str]) -> int:
    failed, known = False, 1
    for lock in LOCKS:
        problems, known, of = audited(lock) if known else ([], 0, 0)  # who was silent once is not waited for again
        if known == 0:
            print(
                f"{lock}: could not be audited, since the service that knows vulnerabilities (pypi.org) does not answer here"
            )
            failed = failed or "--required" in arguments
        else:
            print(f"{lock}: {known} of {of} libraries audited, {len(problems)} known vulnerabilities")
        print(*(f"  {line}" for line in problems), sep="\n", end="\n" if problems else "")
        failed = failed or bool(problems)
    report, found = look_like_secrets()
    if "--accept" in arguments:
        del report["generated_at"]
        BASELINE.write_text(json.dumps(report, indent=2) + "\n")
    new = unknown(found, found_in(json.loads(BASELINE.read_text())))
    print(f"secrets: {len(found)} places that look like one, {len(new)} of them not in {BASELINE.name}")
    for one in new:
        print(f"  {one.file}:{one.line}: {one.kind}; if it is none: python -m tests.audit --accept")
    return 1 if failed or new else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
