"""Token buckets per client and per visitor, in each process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from cds.settings import Limits


@dataclass
class _Bucket:
    rate: float
    burst: float
    tokens: float
    at: float

    def take(self, monotonic: float) -> float:
        """Take one request out; seconds to wait when there is none."""
        elapsed = max(0.0, monotonic - self.at)
        self.tokens = min(self.burst, self.tokens + elapsed * self.rate)
        self.at = monotonic
        if self.tokens >= 1.0:
            self.tokens -= 1.0
            return 0.0
        return (1.0 - self.tokens) / self.rate


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
            return self._buckets[client].take(monotonic)


class Crowd:
    """Allows each of many, of whom nobody is known beforehand, the same rate and burst."""

    def __init__(self, limit: Limits, most: int = 4096) -> None:
        self._limit = limit
        self._most = most
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_for(self, who: str, monotonic: float) -> float:
        """Take one request from somebody's bucket; seconds to wait when it is empty."""
        limit = self._limit
        with self._lock:
            bucket = self._buckets.setdefault(
                who, _Bucket(limit.requests_per_second, limit.burst, limit.burst, monotonic)
            )
            self._buckets.move_to_end(who)
            while len(self._buckets) > self._most:  # who was silent longest has a full one anyway
                self._buckets.popitem(last=False)
            return bucket.take(monotonic)
