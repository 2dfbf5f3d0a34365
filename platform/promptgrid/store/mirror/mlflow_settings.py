"""MLflow without its noise: short waits for dead servers, no telemetry, no log lines, no fsync for a mirror."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
}
_LOGGERS = ("mlflow", "alembic", "sqlalchemy", "urllib3")
_one_at_a_time = threading.Lock()
_mirrors: set[Path] = set()


@contextmanager
def mlflow_client(uri: str, mirror: Path) -> Iterator[Any]:
    """An ``MlflowClient`` for ``uri``; what the user has set in the environment wins over our defaults.

    ``mirror`` is the SQLite file that holds nothing but what can be mirrored again: it is written without fsync, which
    takes 9 of 10 parts of the time on a busy disk. Databases of the user's own are left as they are.
    """
    with _one_at_a_time:
        added = {name: value for name, value in _DEFAULTS.items() if name not in os.environ}
        os.environ.update(added)
        levels = {name: logging.getLogger(name).level for name in _LOGGERS}
        try:
            _hush()
            from mlflow import MlflowClient

            _mirrors.add(mirror.resolve())
            _listen()
            _hush()  # importing MLflow sets its levels anew
            with _few_retries():
                yield MlflowClient(tracking_uri=uri)
        finally:
            for name in added:
                os.environ.pop(name, None)
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


@contextmanager
def _few_retries() -> Iterator[None]:
    """MLflow tries 10 times, for 100 s in all, to open a database that is broken or gone; no setting says otherwise."""
    from mlflow.store.db import utils

    usual = utils.MAX_RETRY_COUNT
    utils.MAX_RETRY_COUNT = 2
    try:
        yield
    finally:
        utils.MAX_RETRY_COUNT = usual


def _hush() -> None:
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)


@cache
def _listen() -> None:
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "connect", _relax)


def _relax(connection: Any, _: object) -> None:
    """A mirror survives the death of its writer (the journal stays); after a power cut it may have to be rebuilt."""
    if isinstance(connection, sqlite3.Connection):
        file = connection.execute("PRAGMA database_list").fetchone()[2]
        if file and Path(file).resolve() in _mirrors:
            connection.execute("PRAGMA synchronous=OFF")
