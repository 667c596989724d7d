"""What a comment on a level says about doses that were not taken or not kept.

Read is what is said of this patient and of the past. What a laboratory prints under every low level
("may reflect missed doses") and the dose held back until the sample is drawn are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_SENTENCE_END: Final = re.compile(r"[.;!?\n]+")
_DOSE: Final = (
    r"(?:dos(?:e|es|is|en)|tablets?|tabletten?|pills?|intakes?|einnahmen?|kapseln?|prises?|tomas?"
    r"|comprim(?:és?|idos?)|innames?|imatinib|glivec|gleevec)"
)
_LOST: Final = re.compile(
    r"\b(?:missed|forgot|forgotten|vomited|ran out of|vergessen|versäumt|erbrochen"
    r"|oubliée?s?|manquée?s?|vomie?s?|olvidó|olvidado|vomitó|vergeten|gemist|uitgebraakt)\b"
)
_LEFT_OUT: Final = re.compile(r"\b(?:skipped|omitted|ausgelassen|sautée?s?|omitió|overgeslagen)\b")
_OF_A_DOSE: Final = re.compile(rf"\b{_DOSE}\b")
_DENIED: Final = re.compile(
    r"\b(?:no|not|never|none|nil|0|zero|denies|denied|without|kein\w*|nie|nicht|ohne|aucune?|pas|sans"
    r"|jamais|ninguna?|sin|nunca|geen|niet|nooit|zonder)\b"
)
_SUPPOSED: Final = re.compile(
    r"\b(?:may|might|can|could|if|possibly|possible|suggests?|indicates?|reflects?|due to"
    r"|because of|consider|exclude|rule out|ask|check|whether|können?|falls|möglich\w*|peut"
    r"|peuvent|puede[ns]?|kan|kunnen)\b"
)
_THIS_MORNING: Final = re.compile(
    r"\b(?:today\w*|this morning\w*|heute|aujourd'hui|ce matin|hoy|vandaag|vanochtend)\b"
)
_FOR_THE_SAMPLE: Final = re.compile(
    r"\b(?:morning|until|prior to|before|morgens?|vor|bis|avant|antes|voor)\b"
)


def says_doses_missed(comments: Iterable[str]) -> bool:
    """Whether a comment says that doses before the sample were missed, forgotten or vomited."""
    sentences = (
        sentence
        for comment in comments
        for sentence in _SENTENCE_END.split(" ".join(comment.lower().split()))
    )
    return any(_says(sentence) for sentence in sentences)


def _says(sentence: str) -> bool:
    if not _OF_A_DOSE.search(sentence):
        return False
    if any(doubt.search(sentence) for doubt in (_DENIED, _SUPPOSED, _THIS_MORNING)):
        return False
    held_back = _FOR_THE_SAMPLE.search(sentence)
    return bool(_LOST.search(sentence) or (_LEFT_OUT.search(sentence) and not held_back))
