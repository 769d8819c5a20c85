"""Whether the servers beside the page answer: the service, the job's metrics, InfluxDB, MLflow."""

import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import httpx

from settings import Settings

_SECONDS: Final = 3.0
_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # what listens everywhere is here too
_SERVER_ERROR: Final = 500


class Answered(NamedTuple):
    """state: works, unavailable or none (it is not set up). words: what was seen."""

    name: str
    state: str
    words: str


def servers(settings: Settings) -> list[Answered]:
    """Asks all of them at once, for some seconds at most."""
    scheme = "http" if settings.serve_tls_certificate is None else "https"
    asked = [
        ("service", f"{scheme}://{_host(settings.serve_host)}:{settings.serve_port}/ready"),
        ("metrics of the job", f"http://{_host(settings.metrics_host)}:{settings.metrics_port}/metrics"),
        ("InfluxDB", f"{settings.influxdb_url.rstrip('/')}/ping"),
        ("MLflow", f"{settings.mlflow_tracking_uri.rstrip('/')}/health"),
    ]
    with ThreadPoolExecutor(len(asked)) as pool:
        return list(pool.map(lambda one: _ask(settings, *one), asked))


def _ask(settings: Settings, name: str, address: str) -> Answered:
    if name == "metrics of the job" and not settings.metrics_port:
        return Answered(name, "none", "SCORELINE_METRICS_PORT is 0")
    if not address.startswith(("http://", "https://")):
        return Answered(name, "none", "it is no server, but a file")
    try:
        certificate = settings.serve_tls_certificate if name == "service" else None
        verify = ssl.create_default_context(cafile=None if certificate is None else str(certificate))
        answer = httpx.get(address, timeout=_SECONDS, verify=verify, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return Answered(name, "unavailable", f"{_shown(address)} does not answer ({type(error).__name__})")
    if name == "service":
        return _service(name, answer)
    works = answer.status_code < _SERVER_ERROR
    return Answered(
        name, "works" if works else "unavailable", f"{_shown(address)} answers with status {answer.status_code}"
    )


def _service(name: str, answer: httpx.Response) -> Answered:
    try:
        found = answer.json()
        ready, words = bool(found["ready"]), str(found["state"])[:200]
    except (ValueError, KeyError, TypeError):
        return Answered(name, "unavailable", "something else than the service answers there")
    return Answered(name, "works" if ready else "unavailable", words)


def _host(host: str) -> str:
    own = _EVERY_ADDRESS.get(host, host)
    return f"[{own}]" if ":" in own else own


def _shown(address: str) -> str:
    """Without what may be a password."""
    found = httpx.URL(address)
    return f"{found.scheme}://{found.host}:{found.port}" if found.port else f"{found.scheme}://{found.host}"
