"""Schemathesis holds a running service to its own OpenAPI description: what it documents it does, and nothing else."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from settings import Settings
from tests.integration.service import ROOT, Service

SECONDS = 60
COMMAND = "from schemathesis.cli import schemathesis; schemathesis()"
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance"),
    *("response_schema_conformance", "negative_data_rejection", "unsupported_method", "allow_header_conformance"),
)
"""Not positive_data_acceptance: a time in the future, or another data set's columns, are refused, which no schema can say."""


@pytest.mark.long
@pytest.mark.timeout(400)
def test_the_service_keeps_to_its_description_whatever_is_asked(settings: Settings, tmp_path: Path) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text(f"till: {{sha256: {hashlib.sha256(b'secret').hexdigest()}}}\n")
    flags = [
        *("--header", "Authorization: Bearer secret"),
        *("--checks", ",".join(CHECKS)),
        *("--phases", "examples,coverage,fuzzing"),
        *("--max-time", str(SECONDS)),
        *("--max-examples", "60"),
        *("--seed", "101"),
        *("--request-timeout", "30"),
        "--continue-on-failure",
        "--no-shrink",
    ]
    with Service(settings, tmp_path / "one", "--serve-keys", str(keys)).wait_until_ready() as service:
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, "run", f"http://127.0.0.1:{service.port}/openapi.json", *flags],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
        assert service.get("/health").status == 200
        assert "Traceback" not in service.output.read_text()
