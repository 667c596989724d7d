"""Logs and metrics that cannot carry patient data.

Logs pass through an allow-list of fields: what is not named here is not written, whoever passes it.
An exception is logged by its type and the line that raised it, never by its message, because the
message may quote a request. Metrics have only labels from closed sets.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess

LOG_FIELDS = frozenset(
    {
        "address",
        "attempt",
        "client",
        "count",
        "deviations",
        "duration_ms",
        "error_type",
        "error_at",
        "evaluation",
        "event",
        "field",
        "hook",
        "level",
        "path",
        "port",
        "problem",
        "request",
        "revision",
        "rules",
        "service",
        "status",
        "threads",
        "timestamp",
        "version",
        "workers",
    }
)
"""The only keys a log line may have; each holds identifiers of ours, codes, counts or times."""

_TALKATIVE = ("httpx", "httpcore", "alembic", "sqlalchemy", "urllib3", "werkzeug")
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 1.5, 2.5)
_MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def keep_allowed_fields(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Drop every field that is not on the allow-list."""
    return {key: value for key, value in event.items() if key in LOG_FIELDS}


def configure_logging(*, json_lines: bool | None = None, file: TextIO | None = None) -> None:
    """Send structlog and the standard library's warnings to a file, by default standard error."""
    file = file or sys.stderr
    as_json = not file.isatty() if json_lines is None else json_lines
    renderer: Any = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            keep_allowed_fields,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=file),
        cache_logger_on_first_use=False,
    )
    # These libraries log request addresses, and an address of a FHIR search names the patient.
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def log() -> Any:
    """Return the logger of the product."""
    return structlog.get_logger()


def error_fields(error: BaseException) -> dict[str, str]:
    """Describe an exception by type and place, and by its `problem` if it has a word for it.

    Its message is left out: it may quote a request.
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    problem = getattr(error, "problem", None)
    named = {"problem": problem} if isinstance(problem, str) else {}
    return {"error_type": type(error).__name__, "error_at": place, **named}


class Metrics:
    """The counters and histograms of one process, merged over processes when they are read."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = self._counter("calls", "Hook calls by outcome", "hook", "outcome")
        self.rejected = self._counter("rejected", "Requests refused before a decision", "reason")
        self.deviations = self._counter(
            "deviations", "Departures from CDS Hooks that were read leniently", "client", "code"
        )
        self.rules = self._counter(
            "rule", "Rule outcomes in decisions, but for silence", "hook", "rule", "outcome"
        )
        self.cards = self._counter("cards", "Cards by what became of them", "hook", "outcome")
        self.prefetch = self._counter("prefetch", "Where each prefetch key came from", "source")
        self.disagreements = self._counter(
            "engine_disagreements", "Evaluations in which the two rule evaluators disagreed"
        )
        self.feedback = self._counter("feedback", "Feedback entries", "outcome")
        self.latency = Histogram(
            "tdm_call_seconds",
            "Time to answer a hook call",
            ["hook"],
            buckets=_BUCKETS,
            registry=self.registry,
        )

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"tdm_{name}", meaning, labels, registry=self.registry)

    def render(self) -> bytes:
        """Return the text a Prometheus server reads, over all worker processes."""
        if os.environ.get(_MULTIPROCESS_VARIABLE):
            merged = CollectorRegistry()
            multiprocess.MultiProcessCollector(merged)
            return generate_latest(merged)
        return generate_latest(self.registry)
