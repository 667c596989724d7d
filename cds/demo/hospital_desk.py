"""The memory of the demo hospital: charts, orders being written, and the calls an EHR makes."""

from __future__ import annotations

import copy
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
from msgspec import Struct

from cds.demo.compose import prefetch_for, resources_of
from cds.demo.hospital_orders import Product, apply_actions, formulary, reference, write_order
from cds.demo.redate import days_to, moved
from cds.demo.stories import Story
from cds.demo.supply import Supply

_WHOLE = Supply()


class Exchange(Struct, frozen=True):
    """One hook call and what came back, for the page and for those who build an EHR."""

    hook: str
    service: str
    request: Mapping[str, Any]
    status: int
    response: Mapping[str, Any]
    milliseconds: float
    supply: Supply


@dataclass
class Chart:
    """One patient in the hospital; it lives as long as the demo."""

    story: Story
    bundle: dict[str, Any]
    drafts: list[dict[str, Any]] = field(default_factory=list)
    cards: list[dict[str, Any]] = field(default_factory=list)
    exchange: Exchange | None = None
    log: list[str] = field(default_factory=list)
    filed: list[str] = field(default_factory=list)
    """Ids of the levels that the laboratory filed here, oldest first."""

    @property
    def patient_id(self) -> str:
        """The id of the Patient resource."""
        return next(
            str(r["id"]) for r in resources_of(self.bundle) if r["resourceType"] == "Patient"
        )

    @property
    def subject(self) -> dict[str, str]:
        """The reference to the patient."""
        return {"reference": f"Patient/{self.patient_id}"}

    @property
    def levels(self) -> list[dict[str, Any]]:
        """The levels that the laboratory filed here, as they stand."""
        there = {str(one["id"]): one for one in self.of_kind("Observation")}
        return [there[name] for name in self.filed]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """The resources of one type."""
        return [r for r in resources_of(self.bundle) if r["resourceType"] == kind]


class Hospital:
    """Twenty patients, one prescriber, one decision support service."""

    def __init__(
        self,
        stories: Sequence[Story],
        service: httpx.Client,
        now: Callable[[], datetime],
        tell: Callable[[Mapping[str, Any]], int] | None = None,
    ) -> None:
        self._service, self._now, self._tell = service, now, tell
        self._filing = threading.Lock()
        self.products: dict[str, Product] = formulary(stories)
        self.charts = {story.id: self._chart(story) for story in stories}
        self.listeners: list[Callable[[Mapping[str, Any]], None]] = []
        """Who is told of what is filed."""
        self._level_code = _first_level(stories)

    @property
    def is_subscribed(self) -> bool:
        """Whether the laboratory tells the service of levels by a channel of the demo."""
        return self._tell is not None

    def _chart(self, story: Story) -> Chart:
        return Chart(story, moved(story.patient, days_to(self._now(), story.now)))

    def file(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """File a resource in its patient's chart as the next version; KeyError if it has none."""
        subject = resource.get("subject") or resource.get("for") or resource.get("patient")
        chart = next((c for c in self.charts.values() if subject == c.subject), None)
        if chart is None:
            raise KeyError("the resource is about nobody here")
        with self._filing:
            filed = self._file(chart, resource)
        for listener in self.listeners:
            listener(filed)
        return filed

    def _file(self, chart: Chart, resource: Mapping[str, Any]) -> dict[str, Any]:
        others = [e for e in chart.bundle["entry"] if not _same(e["resource"], resource)]
        before = [e["resource"] for e in chart.bundle["entry"] if _same(e["resource"], resource)]
        version = 1 + max((int(r.get("meta", {}).get("versionId", 1)) for r in before), default=0)
        at = self._now().isoformat(timespec="milliseconds")
        filed = {**resource, "meta": {"versionId": str(version), "lastUpdated": at}}
        chart.bundle["entry"] = [*others, {"resource": filed}]
        return filed

    def reopen(self, story_id: str) -> Chart:
        """Put a patient back to the beginning of the story and open the chart."""
        chart = self.charts[story_id] = self._chart(self.charts[story_id].story)
        self.fire(chart, "patient-view", {})
        return chart

    def select(
        self,
        chart: Chart,
        product: Product,
        amount_mg: float,
        per_day: int,
        supply: Supply = _WHOLE,
    ) -> None:
        """Choose a medicine on the order form: the hook `order-select`."""
        now = self._now().isoformat(timespec="seconds")
        order = write_order(product, chart.patient_id, amount_mg, per_day, now)
        chart.drafts = [
            draft
            for draft in chart.drafts
            if draft.get("medicationCodeableConcept") != order["medicationCodeableConcept"]
        ]
        chart.drafts.append(order)
        context = {"selections": [reference(order)], "draftOrders": _bundle(chart.drafts)}
        self.fire(chart, "order-select", context, supply)

    def review(self, chart: Chart) -> None:
        """Press sign: the hook `order-sign` comes before the orders are signed."""
        self.fire(chart, "order-sign", {"draftOrders": _bundle(chart.drafts)})

    def sign(self, chart: Chart) -> None:
        """Sign what stands there; the orders become active."""
        for order in chart.drafts:
            signed = {**order, "status": "active"}
            kept = [
                e for e in chart.bundle["entry"] if reference(e["resource"]) != reference(order)
            ]
            chart.bundle["entry"] = [*kept, {"resource": signed}]
        chart.log.append(f"{len(chart.drafts)} order(s) signed")
        chart.drafts, chart.cards = [], []

    def accept(self, chart: Chart, card_uuid: str, suggestion_uuid: str) -> None:
        """Follow a suggestion: its actions change the orders being written."""
        card = self._card(chart, card_uuid)
        suggestion = next(s for s in card.get("suggestions", ()) if s["uuid"] == suggestion_uuid)
        chart.drafts = apply_actions(chart.drafts, suggestion.get("actions", ()))
        self._feedback(
            chart,
            {"card": card_uuid, "outcome": "accepted", "acceptedSuggestions": [
                {"id": suggestion_uuid}]},
        )  # fmt: skip
        chart.log.append(f"accepted: {suggestion['label']}")

    def override(self, chart: Chart, card_uuid: str, code: str, comment: str) -> None:
        """Go on without following a card, with a reason the card offers."""
        card = self._card(chart, card_uuid)
        reasons = {r["code"]: r for r in card.get("overrideReasons", ())}
        entry: dict[str, Any] = {"card": card_uuid, "outcome": "overridden"}
        reason: dict[str, Any] = {}
        if code in reasons:
            reason["reason"] = {"code": code, "system": reasons[code]["system"]}
        if comment:
            reason["userComment"] = comment
        if reason:
            entry["overrideReason"] = reason
        self._feedback(chart, entry)
        said = reasons[code]["display"] if code in reasons else "no reason given"
        chart.log.append(f"overridden: {card['summary']} ({said})")

    def file_level(self, chart: Chart, ng_ml: float, hours: float) -> None:
        """Let the laboratory file a level drawn now, so many hours after a documented dose."""
        now = self._now()
        name = f"level-{uuid.uuid4().hex[:8]}"
        subject = chart.subject
        order = next(iter(self._drug_orders(chart)), None)
        dose_at = (now - timedelta(hours=hours)).isoformat(timespec="seconds")
        given: dict[str, Any] = {
            "resourceType": "MedicationAdministration",
            "id": f"{name}-dose",
            "status": "completed",
            "subject": subject,
            "effectiveDateTime": dose_at,
        }
        if order is not None:
            given["medicationCodeableConcept"] = order["medicationCodeableConcept"]
            if dose := _dose(order):
                given["dosage"] = {"dose": dose}
            self.file(given)
        quantity = {"value": _as_written(ng_ml), "unit": "ng/mL", "system": "http://unitsofmeasure.org",
                    "code": "ng/mL"}  # fmt: skip
        level: dict[str, Any] = {
            "resourceType": "Observation",
            "id": name,
            "status": "final",
            "code": copy.deepcopy(self._level_code),
            "subject": subject,
            "effectiveDateTime": now.isoformat(timespec="seconds"),
            "issued": now.isoformat(timespec="seconds"),
            "valueQuantity": quantity,
        }
        if order is not None:
            level["partOf"] = [{"reference": f"MedicationAdministration/{name}-dose"}]
        chart.filed.append(name)
        chart.log.append(f"laboratory: {ng_ml:g} ng/mL, {hours:g} h after the dose")
        self._issue(chart, level)

    def amend(self, chart: Chart, level: Mapping[str, Any], ng_ml: float) -> None:
        """Let the laboratory correct a level that it filed."""
        quantity = {**level["valueQuantity"], "value": _as_written(ng_ml)}
        was = level["valueQuantity"]["value"]
        chart.log.append(f"laboratory: {was:g} ng/mL corrected to {ng_ml:g} ng/mL")
        self._issue(chart, {**level, "status": "amended", "valueQuantity": quantity})

    def withdraw(self, chart: Chart, level: Mapping[str, Any]) -> None:
        """Let the laboratory take back a level that it filed: it was entered in error."""
        chart.log.append(f"laboratory: {level['valueQuantity']['value']:g} ng/mL withdrawn")
        self._issue(chart, {**level, "status": "entered-in-error"})

    def _issue(self, chart: Chart, level: Mapping[str, Any]) -> None:
        """File a level, tell the service of it, and look at the chart again.

        Telling is all that is done here: what the service makes of it comes back as a Task.
        """
        filed = self.file(level)
        if self._tell is not None:
            status = self._tell(filed)
            done = "the service keeps the notification" if status < 300 else "not taken"
            chart.log.append(f"subscription: told of the level; {done} (status {status})")
        self.fire(chart, "patient-view", {})

    def fire(
        self, chart: Chart, hook: str, context: Mapping[str, Any], supply: Supply = _WHOLE
    ) -> None:
        """Call the service as an EHR does and put its cards beside the order."""
        service = self._services()[hook]
        request: dict[str, Any] = {
            "hook": hook,
            "hookInstance": str(uuid.uuid4()),
            "context": {
                "userId": "Practitioner/dr-demo",
                "patientId": chart.patient_id,
                **context,
            },
        }
        if templates := supply.prefetch(service["prefetch"]):
            request["prefetch"] = prefetch_for(chart.bundle, templates)
        if supply.fhir_server:
            request["fhirServer"] = supply.fhir_server
        started = time.monotonic()
        answer = self._service.post(f"/cds-services/{service['id']}", json=request)
        milliseconds = (time.monotonic() - started) * 1000
        body = answer.json()
        chart.cards = list(body.get("cards", ())) if answer.is_success else []
        chart.exchange = Exchange(
            hook, service["id"], request, answer.status_code, body, milliseconds, supply
        )  # fmt: skip

    def _services(self) -> dict[str, Any]:
        answer = self._service.get("/cds-services")
        answer.raise_for_status()
        return {service["hook"]: service for service in answer.json()["services"]}

    def _feedback(self, chart: Chart, entry: dict[str, Any]) -> None:
        """Tell the service what became of a card; the card leaves the screen."""
        entry["outcomeTimestamp"] = self._now().isoformat(timespec="milliseconds")
        if chart.exchange is not None:
            path = f"/cds-services/{chart.exchange.service}/feedback"
            self._service.post(path, json={"feedback": [entry]}).raise_for_status()
        chart.cards = [card for card in chart.cards if card["uuid"] != entry["card"]]

    @staticmethod
    def _card(chart: Chart, card_uuid: str) -> dict[str, Any]:
        return next(card for card in chart.cards if card["uuid"] == card_uuid)

    def _drug_orders(self, chart: Chart) -> list[dict[str, Any]]:
        return [o for o in chart.of_kind("MedicationRequest") if o.get("status") == "active"]


def _dose(order: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The one amount that is ordered, if it is one; a nurse documents what was ordered."""
    amounts = [
        rate["doseQuantity"]
        for item in order.get("dosageInstruction", ())
        for rate in item.get("doseAndRate", ())
        if "doseQuantity" in rate
    ]
    return amounts[0] if len(amounts) == 1 else None


def _as_written(ng_ml: float) -> float:
    """The number as a laboratory writes it."""
    return int(ng_ml) if ng_ml.is_integer() else ng_ml


def _same(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    return (one["resourceType"], one.get("id")) == (two["resourceType"], two.get("id"))


def _bundle(orders: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    entries = [{"resource": order} for order in orders]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def _first_level(stories: Sequence[Story]) -> Mapping[str, Any]:
    """The code of the laboratory test, as the first story with a level has it."""
    return next(
        resource["code"]
        for story in stories
        for resource in resources_of(story.patient)
        if resource["resourceType"] == "Observation"
        and resource.get("valueQuantity", {}).get("unit") == "ng/mL"
    )
