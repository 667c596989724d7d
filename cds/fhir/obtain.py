"""The data of one hook call: what was sent, completed by what can be fetched in time.

What a client sends under a key is one of: a resource or searchset (used, further pages followed),
`null` (there is no data: not asked again), anything else such as an OperationOutcome, a Bundle of
errors or an HTML page (taken as missing). What is missing is fetched in parallel; what cannot be
had is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct, field

from cds.fhir.client import FetchError, FhirClient, next_link, same_origin
from cds.fhir.prefetch import PrefetchKey, fill
from cds.fhir.reported import failed_partly, failed_wholly

MEDICINES: Final = "medicines"
"""The key under which Medications that orders refer to are put; it is fetched, never declared."""

_THREADS: Final = 6
_MOST_MEDICATIONS: Final = 20
_MEDICATION: Final = re.compile(r"Medication/(?!\.{1,2}\Z)[A-Za-z0-9\-._]{1,255}", re.ASCII)

Pages = list[dict[str, Any]]


class Source(StrEnum):
    """Where the data of a key came from."""

    SENT = "sent"
    NO_DATA = "no-data"
    FETCHED = "fetched"
    UNAVAILABLE = "unavailable"
    NOT_NEEDED = "not-needed"


class Obtained(Struct, frozen=True):
    """What there is to read.

    `resources` has an entry for every key that was obtained: a resource, a Bundle with the pages of
    a search merged, or None for no data. `unavailable` says why a key, or a part of it, could not
    be obtained; `missing` are the required ones among those obtained not at all.
    """

    resources: Mapping[str, dict[str, Any] | None]
    unavailable: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    concerned: bool = True
    """False when nothing mentions the drug; then the other keys were not fetched."""

    @property
    def asked_for(self) -> frozenset[str]:
        """The kinds of data that were obtained whole, for `PatientRecord.asked_for`."""
        return frozenset(key for key in self.resources if key not in self.unavailable)


class RequiredDataMissing(Exception):  # noqa: N818 - an answer (412), not a defect
    """Data that no advice can do without were neither sent nor obtainable; `keys` names them."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{key}: {why}" for key, why in keys.items()))
        self.keys = dict(keys)


def obtain(
    keys: Sequence[PrefetchKey],
    sent: Mapping[str, Any],
    context: Mapping[str, Any],
    client: FhirClient | None,
    *,
    is_concerned: Callable[[Iterable[Any]], bool] = lambda _: True,
) -> Obtained:
    """Everything that was sent or can be fetched before the client's deadline.

    If nothing sent mentions the drug (`is_concerned`, see `mentions`), the telling keys are fetched
    first, and the rest only if they mention it: most patients never took it.
    """
    work = _Work({key.name: key for key in keys}, context, client)
    absent = [key for key in keys if not work.take(key, sent)]
    concerned = is_concerned([*sent.values(), context])
    if not concerned:
        work.fetch([key for key in absent if key.telling])
        work.follow_pages()
        concerned = is_concerned(work.fetched())
        if not concerned and all(k.name in work.pages for k in keys if k.telling and k.required):
            return work.done(concerned=False)
        absent = [key for key in absent if not key.telling]
    work.fetch(absent)
    work.follow_pages()
    work.fetch_medications()
    return work.done(concerned=True)


def require(obtained: Obtained) -> None:
    """Raise RequiredDataMissing if data are missing without which no advice is possible."""
    if obtained.missing:
        raise RequiredDataMissing({key: obtained.unavailable[key] for key in obtained.missing})


class _Work(Struct):
    """One call's prefetch while it is being completed."""

    keys: Mapping[str, PrefetchKey]
    context: Mapping[str, Any]
    client: FhirClient | None
    pages: dict[str, Pages] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)

    def take(self, key: PrefetchKey, sent: Mapping[str, Any]) -> bool:
        """Use what the client sent under a key, if it sent something usable."""
        if key.name not in sent:
            return False
        value = sent[key.name]
        if value is None:
            self.pages[key.name] = []
            self.sources[key.name] = Source.NO_DATA
            return True
        if not _is_of(value, key.resource_type) or failed_wholly(value):
            return False
        self.pages[key.name] = [value]
        self.sources[key.name] = Source.SENT
        return True

    def fetch(self, keys: Sequence[PrefetchKey]) -> None:
        """Fetch keys side by side; a failure is noted under its key."""
        client = self.client
        if client is None:
            for key in keys:
                self._fail(key.name, "nothing usable was sent, and there is no FHIR server to ask")
            return
        results = self._parallel({key.name: _reader(client, key, self.context) for key in keys})
        for name, result in results.items():
            if isinstance(result, FetchError):
                self._fail(name, result.message)
            elif not _is_of(result[0], self.keys[name].resource_type):
                self._fail(name, "the server answered with something else")
            elif failed_wholly(result[0]):
                self._fail(name, "the server answered with an error")
            else:
                self.pages[name] = result
                self.sources[name] = Source.FETCHED

    def follow_pages(self) -> None:
        """Complete searches of which only the first pages are there."""
        unfinished = {
            name: pages
            for name, pages in self.pages.items()
            if pages and _next(pages) and name not in self.unavailable
        }
        client = self.client
        if client is None:
            for name in unfinished:
                self.unavailable[name] = "only a part of it was sent"
            return
        tasks = {name: _pager(client, pages[-1]) for name, pages in unfinished.items()}
        for name, result in self._parallel(tasks).items():
            if isinstance(result, FetchError):
                self.unavailable[name] = f"only a part of it is there: {result.message}"
            else:
                self.pages[name] = [*self.pages[name], *result]

    def fetched(self) -> Pages:
        """Every page that the client did not send."""
        return [
            page
            for name, pages in self.pages.items()
            for page in (pages[1:] if self.sources[name] is Source.SENT else pages)
        ]

    def fetch_medications(self) -> None:
        """Fetch Medications that orders refer to, since a prefetch may not `_include` them."""
        client = self.client
        if client is None:
            return
        relative = {
            path
            for target in _unresolved(self.pages, self.context)
            if (path := _medication_path(target, client.base)) is not None
        }
        chosen = sorted(relative)[:_MOST_MEDICATIONS]
        results = self._parallel({path: _getter(client, path) for path in chosen})
        found = [r for result in results.values() if isinstance(result, list) for r in result]
        if found:
            entries = [{"resource": resource} for resource in found]
            bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
            self.pages[MEDICINES] = [bundle]
            self.sources[MEDICINES] = Source.FETCHED

    def done(self, *, concerned: bool) -> Obtained:
        """The result; keys that were not fetched because nobody needs them are not missing."""
        missing: list[str] = []
        for name, pages in self.pages.items():
            if name not in self.unavailable and any(map(failed_partly, pages)):
                self._fail(name, "only a part of it is there: its source reports an error")
        for name, key in self.keys.items():
            if name in self.sources:
                continue
            self.sources[name] = Source.NOT_NEEDED if not concerned else Source.UNAVAILABLE
            if concerned and key.required:
                missing.append(name)
        resources = {
            name: _merged(self.pages[name])
            for name in (*self.keys, MEDICINES)
            if name in self.pages
        }
        return Obtained(resources, self.unavailable, tuple(missing), self.sources, concerned)

    def _fail(self, name: str, why: str) -> None:
        self.unavailable[name] = why

    def _parallel(self, tasks: Mapping[str, Callable[[], Pages]]) -> dict[str, Pages | FetchError]:
        """Run all tasks until the deadline; a task that is not done by then has failed."""
        if not tasks or self.client is None:
            return {}
        pool = ThreadPoolExecutor(min(_THREADS, len(tasks)), thread_name_prefix="fhir-fetch")
        futures = {name: pool.submit(task) for name, task in tasks.items()}
        try:
            wait(futures.values(), timeout=max(self.client.remaining(), 0.0))
            return {name: _result(future) for name, future in futures.items()}
        finally:
            # Not waited for: a thread that hangs in a slow socket ends with its own time-out.
            pool.shutdown(wait=False, cancel_futures=True)


def _result(future: Future[Pages]) -> Pages | FetchError:
    if not future.done():
        return FetchError("deadline", "the server did not answer in time")
    error = future.exception()
    if isinstance(error, FetchError):
        return error
    return future.result()


def _reader(
    client: FhirClient, key: PrefetchKey, context: Mapping[str, Any]
) -> Callable[[], Pages]:
    return lambda: [client.get(fill(key.template, context))]


def _getter(client: FhirClient, path: str) -> Callable[[], Pages]:
    return lambda: [client.get(path)]


def _pager(client: FhirClient, page: dict[str, Any]) -> Callable[[], Pages]:
    return lambda: list(client.following_pages(page))


def _is_of(value: Any, kind: str) -> bool:
    """Whether a value is the resource or searchset a key asks for."""
    if not isinstance(value, dict):
        return False
    if value.get("resourceType") == kind:
        return True
    return kind != "Patient" and value.get("resourceType") == "Bundle"


def _merged(pages: Pages) -> dict[str, Any] | None:
    """One resource, or all pages of a search as one Bundle."""
    if len(pages) <= 1:
        return pages[0] if pages else None
    entries = [
        entry for page in pages if isinstance(page.get("entry"), list) for entry in page["entry"]
    ]
    first = {name: value for name, value in pages[0].items() if name != "link"}
    return first | {"entry": entries}


def _next(found: Pages) -> str | None:
    return next_link(found[-1]) if found[-1].get("resourceType") == "Bundle" else None


def _unresolved(pages: Mapping[str, Pages], context: Mapping[str, Any]) -> set[str]:
    """References to Medications that are neither contained nor among the resources."""
    wanted: set[str] = set()
    present: set[str] = set()
    pending: list[Any] = [*pages.values(), context]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if value.get("resourceType") == "Medication" and isinstance(value.get("id"), str):
                present.add(f"Medication/{value['id']}")
            reference = value.get("medicationReference")
            target = reference.get("reference") if isinstance(reference, dict) else None
            if isinstance(target, str) and not target.startswith("#"):
                wanted.add(target)
            pending.extend(value.values())
        elif isinstance(value, (list, tuple)):
            pending.extend(value)
    return {target for target in wanted if "/".join(target.split("/")[-2:]) not in present}


def _medication_path(target: str, base: str) -> str | None:
    """`Medication/id` for a relative reference or one under the base, else None."""
    path = target
    if "://" in target:
        if not same_origin(target, base) or not target.startswith(f"{base}/"):
            return None
        path = target[len(base) + 1 :]
    return path if _MEDICATION.fullmatch(path) else None
