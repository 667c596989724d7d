"""The CDS services this product offers, as discovery lists them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from cds.clinical.setting import Occasion
from cds.fhir.prefetch import prefetch_templates
from cds.rulebook import Rulebook, once_per_rulebook

_EXTENSION = "org.imatinib-tdm.rulebook"


class ServiceDescription(Struct, frozen=True):
    """One entry of discovery."""

    id: str
    hook: Occasion
    title: str
    description: str
    prefetch: Mapping[str, str]
    usage: str
    extension: Mapping[str, Any]

    @property
    def prefetch_keys(self) -> tuple[str, ...]:
        """The keys the service declares."""
        return tuple(self.prefetch)

    def to_wire(self) -> dict[str, Any]:
        """The entry as discovery writes it."""
        return {
            "hook": self.hook.value,
            "title": self.title,
            "description": self.description,
            "id": self.id,
            "prefetch": dict(self.prefetch),
            "usageRequirements": self.usage,
            "extension": dict(self.extension),
        }


_TITLES = {
    Occasion.PATIENT_VIEW: "levels, exposure and open questions when a chart is opened",
    Occasion.ORDER_SELECT: "dose, interactions and safety while an order is being chosen",
    Occasion.ORDER_SIGN: "dose, interactions and safety before an order is signed",
    Occasion.MEDICATION_REFILL: "adherence and dose when a refill is asked for",
    Occasion.MEDICATION_VERIFY: "dose, exposure and safety when a pharmacist verifies an order",
}
# order-select and order-sign share an id: clients then replace the cards of the one by the other's.
_IDS = {
    Occasion.PATIENT_VIEW: "tdm-patient-view",
    Occasion.ORDER_SELECT: "tdm-orders",
    Occasion.ORDER_SIGN: "tdm-orders",
    Occasion.MEDICATION_REFILL: "tdm-medication-refill",
    Occasion.MEDICATION_VERIFY: "tdm-medication-verify",
}
_USAGE = (
    "Decision support for health professionals who can review its basis; not a medical device. "
    "Agree with the site which hooks are called: no call, no advice. "
    "FHIR R4. Data that are not prefetched are read from fhirServer with the token of the call."
)


@once_per_rulebook
def catalogue_for(rulebook: Rulebook) -> tuple[ServiceDescription, ...]:
    """Describe the services for the drug of a rulebook."""
    drug = rulebook.drug.name
    templates = prefetch_templates(rulebook.drug, rulebook.terminology)
    extension = {_EXTENSION: {"version": rulebook.version, "revision": rulebook.revision}}
    return tuple(
        ServiceDescription(
            id=_IDS[hook],
            hook=hook,
            title=f"Therapeutic drug monitoring of {drug}: {hook.value}",
            description=f"Therapeutic drug monitoring of {drug}: {about}.",
            prefetch=templates,
            usage=_USAGE,
            extension=extension,
        )
        for hook, about in _TITLES.items()
    )
