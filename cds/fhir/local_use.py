"""Whether a medicine reaches the circulation: by its route, else by the form its name states.

A cream or an eye drop interacts with nothing; a patch does, wherever it is stuck, and so does a
nasal spray of an opioid. Unknown is not local: a medicine without route and form counts as taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from cds.fhir.elements import Element, concept, display, element
from cds.fhir.products import Product
from cds.fhir.vocabulary import words

# Beginnings of the words by which routes are displayed; other words leave the route unknown. Nasal
# is not among them: some opioids and migraine medicines are taken that way to act everywhere.
_LOCAL_ROUTES: Final = tuple(
    words(
        "topical cutaneous ophthalmic eye conjunctival otic auricular ear vaginal inhal "
        "respiratory dental intravitreal intraocular intraarticular skin scalp"
    )
)
_SYSTEMIC_ROUTES: Final = tuple(
    words(
        "oral mouth os po intraven iv subcut sc intramusc im sublingual transderm rectal enteral "
        "gastr nasogastric buccal"
    )
)
_LOCAL_FORMS: Final = re.compile(
    r"\b(?:topical|cream|creme|crème|ointment|salbe|pommade|lotion|shampoo|ophthalmic|collyre"
    r"|eye[- ](?:drops?|ointment|gel)|augen(?:tropfen|salbe)|otic|ear[- ]drops?|ohrentropfen"
    r"|inhaler|inhalation|inhaled|nebuli[sz]er|vaginal|cutaneous|mouthwash|nail lacquer)\b",
    re.IGNORECASE,
)
_SYSTEMIC_FORMS: Final = re.compile(
    r"\b(?:oral|tablets?|capsules?|injection|injectable|intravenous|transdermal|patch(?:es)?"
    r"|sublingual|buccal)\b",
    re.IGNORECASE,
)


def reaches_circulation(dosages: Iterable[Element], product: Product) -> bool | None:
    """Whether the medicine acts in the whole body; None if neither route nor name tells."""
    named = " ".join(part for part in _words_of(product) if part)
    systemic_form = _SYSTEMIC_FORMS.search(named) is not None
    by_route = _by_route(dosages)
    if by_route is False and systemic_form:
        return None  # a patch on the skin, an oral capsule "for the skin": not certainly local
    if by_route is None and not systemic_form and _LOCAL_FORMS.search(named):
        return False
    return by_route


def _by_route(dosages: Iterable[Element]) -> bool | None:
    found: set[bool] = set()
    for dosage in dosages:
        named = re.findall(r"\w+", (concept(element(dosage, "route")).text or "").lower())
        if any(word.startswith(_SYSTEMIC_ROUTES) for word in named):
            found.add(True)
        elif any(word.startswith(_LOCAL_ROUTES) for word in named):
            found.add(False)
    return found.pop() if len(found) == 1 else None


def _words_of(product: Product) -> Iterable[str | None]:
    yield product.concept.text
    if product.medication is not None:
        yield display(element(product.medication, "form"))
