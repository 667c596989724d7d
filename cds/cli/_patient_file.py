"""A file with one patient, a Bundle or a saved hook request -> the input of a decision.

A request is read by the same code that reads it in the service, leniently, and what it lacks is
missing here too: nothing is fetched. `fhirServer` and `fhirAuthorization` are passed over, so that
a request may be saved without its token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cds.cli._common import SetupError
from cds.cli._file_form import strange_form
from cds.clinical.setting import Jurisdiction, Occasion, Setting
from cds.fhir.parse import JsonError, Limits, load_json
from cds.services.whole_record import RecordError, is_conceivable, only_patient, whole_record

if TYPE_CHECKING:
    from cds.fhir.obtain import Obtained
    from cds.fhir.prefetch import PrefetchKey
    from cds.rulebook import Rulebook
    from cds.services.call import HookCall
    from cds.services.decide import EvaluationInput
    from cds.settings import Settings

_LIMITS = Limits(bytes=64 * 1024 * 1024, nodes=2_000_000)
"""A file of one's own may be larger than a request."""
HOOKS = [occasion.value for occasion in Occasion]


def read_file(file: Any) -> dict[str, Any]:
    """Return the Bundle or request, or end with what is wrong with the file."""
    raw = file.read()
    try:
        value = load_json(raw, limits=_LIMITS)
    except JsonError as error:
        raise SetupError(f"{file.name}: {strange_form(raw) or error}") from None
    is_request = isinstance(value, dict) and "hook" in value
    is_bundle = isinstance(value, dict) and value.get("resourceType") == "Bundle"
    if not (is_request or is_bundle):
        raise SetupError(f"{file.name}: neither a FHIR Bundle nor a CDS Hooks request")
    return dict(value)


def moment_of(now: str | None, value: Mapping[str, Any]) -> datetime:
    """Return the moment asked for, else the Bundle's, else the present."""
    said = now or value.get("timestamp")
    if said is None:
        return datetime.now().astimezone()
    try:
        moment = datetime.fromisoformat(str(said))
    except ValueError:
        raise SetupError(f"'{said}' is not a time such as 2026-11-20T10:00:00Z") from None
    if moment.tzinfo is None:
        raise SetupError(f"'{said}' needs a zone, such as {moment.isoformat()}Z")
    if not is_conceivable(moment):
        raise SetupError(f"'{said}' is not of our time; --now names another")
    return moment


def evaluation_input(
    value: Mapping[str, Any],
    rulebook: Rulebook,
    settings: Settings,
    occasion: str | None,
    at: datetime,
    jurisdiction: str | None,
) -> EvaluationInput:
    """Return what a hook call with these data would have handed to the decision."""
    from cds.fhir.prefetch import prefetch_keys
    from cds.fhir.whole_bundle import resources_in
    from cds.services.decide import EvaluationInput, new_evaluation_id

    chosen = _occasion(occasion or value.get("hook") or Occasion.PATIENT_VIEW.value)
    context: Mapping[str, Any]
    resources: Mapping[str, Any]
    unavailable: Mapping[str, str] = {}
    if "hook" in value:
        keys = prefetch_keys(rulebook.drug, rulebook.terminology)
        call = _call(value, chosen, [key.name for key in keys])
        patient, context = call.patient_id, call.context
        obtained = _obtained(call, keys)
        resources, unavailable = obtained.resources, obtained.unavailable
    else:
        found = resources_in(value)
        try:
            patient = only_patient(found)
        except RecordError as error:
            raise SetupError(f"the Bundle {error}") from None
        context = {"patientId": patient}
        resources = whole_record(found, rulebook)
    return EvaluationInput(
        evaluation=new_evaluation_id(),
        at=at,
        client="command-line",
        base_url="",
        setting=Setting(
            chosen,
            Jurisdiction(jurisdiction or settings.jurisdiction),
            settings.time_zone,
            settings.paediatric_doses,
        ),
        patient_id=patient,
        context=context,
        resources=resources,
        unavailable=unavailable,
    )


def _occasion(name: object) -> Occasion:
    try:
        return Occasion(name)
    except ValueError:
        raise SetupError(f"hook '{name}' is not one of {', '.join(HOOKS)}") from None


def _call(request: Mapping[str, Any], occasion: Occasion, keys: Sequence[str]) -> HookCall:
    """The request as the service reads it, or an end with every field that is wrong."""
    from cds.web.contexts import CONTEXTS
    from cds.web.errors import Refusal
    from cds.web.reading import read_call

    # A new level is no hook: its context is that of an opened chart.
    hook = occasion if occasion in CONTEXTS else Occasion.PATIENT_VIEW
    kept = {k: v for k, v in request.items() if k not in ("fhirServer", "fhirAuthorization")}
    body = kept | {"hook": hook.value}
    try:
        return read_call(body, service="command-line", hooks={hook: keys}, lenient=True)
    except Refusal as refusal:
        wrong = "; ".join(f"{issue.field}: {issue.message}" for issue in refusal.issues)
        raise SetupError(f"the service would refuse this request: {wrong}") from None


def _obtained(call: HookCall, keys: Sequence[PrefetchKey]) -> Obtained:
    """What was sent under each key, and why a key is not there."""
    from cds.fhir.obtain import RequiredDataMissing, obtain, require

    obtained = obtain(keys, call.prefetch, call.context, None)
    try:
        require(obtained)
    except RequiredDataMissing as missing:
        names = ", ".join(f"prefetch.{key}" for key in missing.keys)
        raise SetupError(
            f"the request sends nothing usable in {names}; "
            "the service would ask its FHIR server, and nothing is fetched here"
        ) from None
    return obtained
