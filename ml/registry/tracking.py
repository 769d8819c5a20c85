"""MLflow as a program needs it: quiet, with short waits where the server is unavailable, its failures as one line each."""

import logging
import os
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final

# Read at MLflow's import or at each of its calls; values that are set already win. MLflow's own patience is seven retries of
# two minutes each, for which neither a command line nor a running job should wait.
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}.items():
    os.environ.setdefault(_name, _value)

import alembic.util  # noqa: E402
import mlflow  # noqa: E402
import requests  # noqa: E402
import sqlalchemy  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402

_LOCKED_SECONDS: Final = 20.0
"""How long another program's lock on a sqlite file is waited for, as MLflow itself does once it is at work."""

_CONNECT_SECONDS: Final = 10

_OF_SERVER: Final = "mlflow-artifacts:/"
_MISSING: Final = "RESOURCE_DOES_NOT_EXIST"


class RegistryError(Exception):
    """The registry can't do what it was asked; the text is one line for a person that includes the fix."""


class RegistryUnavailable(RegistryError):
    """MLflow does not answer."""


@lru_cache
def client(uri: str) -> MlflowClient:
    """The client of one tracking server or sqlite file, made once. A sqlite file is made where there is none."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # `talking_to` reports it as a text
    file = _sqlite_file(uri)
    if file is None:
        _connect_once(uri)
        return MlflowClient(uri, uri)
    _open_once(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sqlalchemy.exc.SADeprecationWarning)  # MLflow's own mappings
        return MlflowClient(uri, uri)


def _sqlite_file(uri: str) -> Path | None:
    return Path(sqlalchemy.make_url(uri).database or "") if uri.startswith("sqlite:") else None


def _open_once(file: Path) -> None:
    """Raise `RegistryUnavailable` where a sqlite file can't be opened, which MLflow itself would try again for minutes."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file, timeout=_LOCKED_SECONDS)) as connection:
            connection.execute("PRAGMA schema_version")
    except (OSError, sqlite3.Error) as error:
        if _is_locked(error):
            raise RegistryUnavailable(_locked(file)) from error
        raise RegistryUnavailable(
            f"the model registry's file {file} can't be opened ({error}); set MLFLOW_TRACKING_URI to another"
        ) from error


def _connect_once(uri: str) -> None:
    """Raise SQLAlchemy's error where a database server can't be reached, which MLflow itself tries again for 100 s."""
    if uri.startswith(("postgresql", "mysql")):
        patience = {"connect_timeout": _CONNECT_SECONDS}
        with closing(sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool, connect_args=patience).connect()):
            pass


def _is_locked(error: object) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def _locked(file: Path | None) -> str:
    return (
        f"the model registry's file {file} is locked by another program, which {_LOCKED_SECONDS:.0f} s of waiting did not "
        f"change: end that program (`fuser {file}` names it) and repeat, or set MLFLOW_TRACKING_URI to another registry"
    )


def experiment(uri: str, name: str) -> str:
    """The id of the experiment of this name, made where there is none.

    Artifacts are where the server keeps them; for a sqlite file in `artifacts` beside it, never in the working folder. That
    is another experiment than a server's over the same file, because an experiment fixes where its artifacts are.
    """
    file = _sqlite_file(uri)
    full_name = f"{name} (by file)" if file else name
    found = client(uri).get_experiment_by_name(full_name)
    if found is not None:
        return str(found.experiment_id)
    return str(client(uri).create_experiment(full_name, _artifacts_beside(file).as_uri() if file else None))


def _artifacts_beside(file: Path) -> Path:
    return file.resolve().parent / "artifacts"


@contextmanager
def chosen(uri: str) -> Iterator[None]:
    """What MLflow looks up by itself, and `run`, goes to this registry inside; for the whole process, so it is put back."""
    before = os.environ.get("MLFLOW_TRACKING_URI", "")
    mlflow.set_tracking_uri(uri)  # in the environment too
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


@contextmanager
def sent_once() -> Iterator[None]:
    """Inside, a request whose answer is lost is not sent again, for what it asks for may be done; for the whole process."""
    before = os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    try:
        yield
    finally:
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = before


@contextmanager
def run(uri: str, experiment_name: str) -> Iterator[str]:
    """An MLflow run of the registry that is `chosen`, which `mlflow.log_…` inside writes to; yields its id.

    An exception that leaves it marks it failed.
    """
    started = mlflow.start_run(experiment_id=experiment(uri, experiment_name))
    with started, warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*Any type hint", UserWarning)  # from MLflow's import of its own modules
        yield started.info.run_id


def download(uri: str, name: str, version: int, folder: Path) -> Path:
    """Download a model version's files into a folder; returns where they are.

    Raises MLflow's exception or an OSError where there is no such version or where its files on this machine are broken;
    `RegistryUnavailable` where they are elsewhere and not available now.
    """
    # Not `models:/name/version`: such an address MLflow looks up in the registry of the whole process.
    source = client(uri).get_model_version_download_uri(name, str(version))
    file = _sqlite_file(uri)
    if file and source.startswith(_OF_SERVER):  # written by a server over this file
        source = (_artifacts_beside(file) / source.removeprefix(_OF_SERVER)).as_uri()
    try:
        return Path(mlflow.artifacts.download_artifacts(source, dst_path=str(folder), tracking_uri=uri))
    except (MlflowException, OSError) as error:
        if source.startswith("file:"):
            raise
        raise RegistryUnavailable(
            f"the files of version {version} are not available from {source} by way of {without_secrets(uri)}: {error}"
        ) from error


@contextmanager
def talking_to(uri: str) -> Iterator[None]:
    """Around calls of MLflow: whatever it raises becomes a `RegistryError` of one line; `RegistryUnavailable` where it
    is not the question that failed but the connection."""
    try:
        yield
    except RegistryError:
        raise
    except Exception as error:
        cause = connection_failure(error)
        if cause is not None and "locked" in cause and _sqlite_file(uri) is not None:
            raise RegistryUnavailable(_locked(_sqlite_file(uri))) from error
        if cause is not None:
            raise RegistryUnavailable(
                f"the model registry {without_secrets(uri)} does not answer ({' '.join(cause.split())}); start it, or set "
                "MLFLOW_TRACKING_URI to another (after make stack: `python -m stack run COMMAND` sets it)"
            ) from error
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        if isinstance(error, alembic.util.CommandError):
            raise RegistryError(
                f"the model registry {without_secrets(uri)} was written by another release of MLflow than {mlflow.__version__} "
                f"({said.rstrip('.')}): use that release, or set MLFLOW_TRACKING_URI to another registry"
            ) from error
        if isinstance(error, ImportError):
            raise RegistryError(
                f"the model registry {without_secrets(uri)} needs a Python package that is not installed ({said}): install "
                "it, or set MLFLOW_TRACKING_URI to another registry"
            ) from error
        if isinstance(error, MlflowException | OSError | sqlalchemy.exc.SQLAlchemyError):
            raise RegistryError(f"the model registry {without_secrets(uri)} refuses: {said}") from error
        raise RegistryError(  # MLflow passes on whatever its libraries raise
            f"the model registry {without_secrets(uri)} gives an answer that can't be read ({type(error).__name__}: {said}): "
            "check that MLFLOW_TRACKING_URI is an MLflow server"
        ) from error


def without_secrets(uri: str) -> str:
    """An address without user, password and query.

    >>> without_secrets("https://me:secret@registry:5000/path?token=abc"), without_secrets("sqlite:////data/mlflow.db")
    ('https://registry:5000/path', 'sqlite:////data/mlflow.db')
    """
    scheme, separator, rest = uri.partition("://")
    place, slash, path = rest.partition("?")[0].partition("/")
    return f"{scheme}{separator}{place.rpartition('@')[2]}{slash}{path}"


def is_missing(error: MlflowException) -> bool:
    """Whether MLflow says that what was asked for does not exist."""
    return bool(error.error_code == _MISSING)


def connection_failure(error: BaseException | None) -> str | None:
    """What went wrong with the connection, where that caused an exception, and not the request itself."""
    while error is not None:
        if (failure := _own_connection_failure(error)) is not None:
            return failure
        error = error.__cause__ or error.__context__
    return None


def _own_connection_failure(error: BaseException) -> str | None:
    match error:
        case requests.exceptions.Timeout():
            return "no answer in time"
        case requests.exceptions.ConnectionError():
            return "no connection"
        case requests.exceptions.RetryError():
            return "it answers with errors, such as status 502"
        case requests.exceptions.HTTPError(response=requests.Response(status_code=status)) if status >= 500:
            return f"status {status}"
        case sqlalchemy.exc.OperationalError():
            return str(error.orig)
        case sqlite3.OperationalError():
            return str(error)
    return None
