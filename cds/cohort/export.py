"""Which patient stands where in an export: FHIR bulk data (NDJSON) or one Bundle for each patient.

Only places are kept, never the data, so that an export may be larger than the memory, and no copy
of it is made.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from msgspec import Struct, field

from cds.fhir.elements import local_reference
from cds.fhir.whole_bundle import resources_in
from cds.services.whole_record import RecordError, is_conceivable, only_patient

WHOLE_FILE = -1
"""Instead of an offset: the file is a Bundle."""
_LONGEST = 2 * 2**20
_SHARED = "Medication"
"""Belongs to no patient; orders refer to it."""


class ExportError(Exception):
    """The directory holds nothing that can be assessed."""


class Place(Struct, frozen=True):
    """Where a resource, or a whole Bundle, begins."""

    file: Path
    offset: int


class Subject(Struct, frozen=True):
    """One patient: where the record stands, and the moment the file names for it.

    `name` tells rows apart: the patient's id, or the name of the Bundle's file.
    """

    name: str
    patient_id: str
    places: tuple[Place, ...]
    at: datetime | None = None


class Export(Struct, frozen=True):
    """All patients by id, what could not be read (without its content), what is of no use here."""

    subjects: tuple[Subject, ...]
    unread: tuple[str, ...]
    unused: dict[str, int] = field(default_factory=dict)
    """Resource type -> lines."""


def index_export(directory: Path, kinds: frozenset[str]) -> Export:
    """Find the patients of `*.ndjson` and `*.json` files; `kinds` are the types a decision reads.

    Raises ExportError where there is no such file, or no patient in any of them.
    """
    lines = _Lines(kinds)
    files = sorted(directory.rglob("*.ndjson"))
    bundles = sorted(directory.rglob("*.json"))
    packed = sorted(directory.rglob("*.ndjson.gz"))
    if packed:
        raise ExportError(f"{packed[0].name} is compressed; unpack it first: gunzip *.ndjson.gz")
    if not files and not bundles:
        raise ExportError(f"{directory} holds neither NDJSON files (*.ndjson) nor Bundles (*.json)")
    for file in files:
        try:
            lines.read(file)
        except OSError as error:
            lines.unread.append(f"{file.name}: cannot be read: {error.strerror}")
    subjects, unread = list(lines.subjects()), lines.unread
    for file in bundles:
        found = _of_bundle(file)
        if isinstance(found, Subject):
            subjects.append(found)
        else:
            unread.append(f"{file.name}: {found}")
    if not subjects:
        raise ExportError(f"no patient in {directory}" + "".join(f"\n{why}" for why in unread[:5]))
    ordered = tuple(sorted(subjects, key=lambda subject: subject.name))
    return Export(ordered, tuple(unread), dict(sorted(lines.unused.items())))


def resources_at(places: Iterable[Place]) -> Iterator[dict[str, Any]]:
    """Read the resources at these places; places of one file follow each other."""
    file, stream = None, None
    try:
        for place in places:
            if place.offset == WHOLE_FILE:
                yield from resources_in(orjson.loads(_unmarked(place.file.read_bytes())))
                continue
            if stream is None or place.file != file:
                if stream is not None:
                    stream.close()
                file, stream = place.file, place.file.open("rb")
            stream.seek(place.offset)
            yield orjson.loads(_unmarked(stream.readline()))
    finally:
        if stream is not None:
            stream.close()


class _Lines:
    """The index of NDJSON files while it grows."""

    def __init__(self, kinds: frozenset[str]) -> None:
        self.unread: list[str] = []
        self.unused: Counter[str] = Counter()
        self._kinds = kinds
        self._places: dict[str, list[Place]] = defaultdict(list)
        self._shared: dict[str, Place] = {}
        self._refers: dict[str, set[str]] = defaultdict(set)

    def read(self, file: Path) -> None:
        """Add the lines of one file."""
        offset = 0
        with file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    why = self._add(line, Place(file, offset))
                    if why is not None:
                        self.unread.append(f"{file.name} line {number}: {why}")
                offset += len(line)

    def subjects(self) -> Iterator[Subject]:
        """Yield every patient with the medicines that the patient's orders refer to."""
        for patient, places in self._places.items():
            shared = sorted(self._refers[patient] & self._shared.keys())
            yield Subject(patient, patient, (*places, *(self._shared[name] for name in shared)))

    def _add(self, line: bytes, place: Place) -> str | None:
        """Add one line; why it could not be, if so."""
        if len(line) > _LONGEST:
            return "longer than 2 MiB"
        try:
            resource = orjson.loads(_unmarked(line))
        except orjson.JSONDecodeError:
            return "not JSON"
        kind = resource.get("resourceType") if isinstance(resource, dict) else None
        if not isinstance(kind, str):
            return "not a resource"
        if kind == _SHARED:
            self._shared[f"{kind}/{resource.get('id')}"] = place
            return None
        if kind not in self._kinds:
            self.unused[kind] += 1
            return None
        patient = _patient_of(resource)
        if patient is None:
            return f"this {kind} names no patient"
        self._places[patient].append(place)
        medicine = _reference(resource.get("medicationReference"))
        if medicine is not None:
            self._refers[patient].add(local_reference(medicine))
        return None


def _of_bundle(file: Path) -> Subject | str:
    """The one patient of a Bundle, or why there is not one."""
    try:
        bundle = orjson.loads(_unmarked(file.read_bytes()))
    except orjson.JSONDecodeError:
        return "not JSON"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        return "not a Bundle"
    try:
        patient = only_patient(resources_in(bundle))
        said = bundle.get("timestamp")
        at = None if said is None else datetime.fromisoformat(str(said))
    except RecordError as error:
        return str(error)
    except ValueError:
        return "its timestamp is not a time"
    if at is not None and at.tzinfo is None:
        return "its timestamp names no zone"
    if at is not None and not is_conceivable(at):
        return "its timestamp is not of our time"
    return Subject(file.stem, patient, (Place(file, WHOLE_FILE),), at)


def _unmarked(raw: bytes) -> bytes:
    """Without the byte-order mark that some programs put before UTF-8."""
    return raw.removeprefix(BOM_UTF8)


def _patient_of(resource: dict[str, Any]) -> str | None:
    if resource["resourceType"] == "Patient":
        identity = resource.get("id")
        return identity if isinstance(identity, str) and identity else None
    target = _reference(resource.get("subject")) or _reference(resource.get("patient"))
    kind, _, identity = local_reference(target or "").partition("/")
    return identity if kind == "Patient" and identity else None


def _reference(value: Any) -> str | None:
    target = value.get("reference") if isinstance(value, dict) else None
    return target if isinstance(target, str) else None
