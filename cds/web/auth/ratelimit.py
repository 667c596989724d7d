"""Token buckets per client, in each process."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from cds.settings import Limits


@dataclass
class _Bucket:
    rate: float
    burst: float
    tokens: float
    at: float


class RateLimits:
    """Allows each client its rate and burst, divided among the worker processes."""

    def __init__(self, limits: Mapping[str, Limits], workers: int, monotonic: float) -> None:
        self._lock = threading.Lock()
        self._buckets = {
            client: _Bucket(
                limit.requests_per_second / workers,
                max(1.0, limit.burst / workers),
                max(1.0, limit.burst / workers),
                monotonic,
            )
            for client, limit in limits.items()
        }

    def wait_for(self, client: str, monotonic: float) -> float:
        """Take one request from the client's bucket; seconds to wait when it is empty."""
        with self._lock:
            bucket = self._buckets[client]
            elapsed = max(0.0, monotonic - bucket.at)
            bucket.tokens = min(bucket.burst, bucket.tokens + elapsed * bucket.rate)
            bucket.at = monotonic
            if bucket.tokens >= 1.0:
                bucket.tokens -= 1.0
                return 0.0
            return (1.0 - bucket.tokens) / bucket.rate
