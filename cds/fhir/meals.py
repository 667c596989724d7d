"""What a dosage text says of meals, in the languages in which texts are read."""

from __future__ import annotations

import re
from typing import Final

MEALS: Final = re.compile(
    r"(?:(?:with|after|before|at) |w/ ?)(?:a |the )?(?:meals?|food)(?!\w)"
    r"|(?:zum|zur|zu den|zu einer|mit dem|nach dem|nach der)"
    r" (?:essen|(?:haupt)?mahlzeit(?:en)?)(?!\w)"
    r"|(?:pendant|avec|après|au|au cours|au milieu)(?: les?| du| d['’]un| un)? repas(?!\w)"
    r"|(?:con|después de) (?:las? |una )?comidas?(?!\w)"
    r"|(?:bij|tijdens|na) (?:de maaltijd(?:en)?|het eten)(?!\w)"
    r"|(?:con|durante|dopo) (?:il |un |i )?past[oi](?!\w)|ai pasti(?!\w)"
)
"""Phrases that say nothing about dose or frequency."""

_WITH: Final = re.compile(
    rf"(?<!\w)(?:{MEALS.pattern}"
    r"|(?:with|after) (?:a |the )?(?:breakfast|dinner|lunch|supper)"
    r"|(?:zum|beim|mit dem|nach dem) (?:früh|mittag|abend)(?:stück|essen|brot)"
    r"|(?:au|avec le|pendant le|après le) (?:petit[- ])?(?:déjeuner|d[iî]ner)"
    r"|con (?:el desayuno|el almuerzo|la cena|alimentos)"
    r"|(?:bij|na) (?:het )?(?:ontbijt|avondeten|middageten)|met voedsel)(?!\w)"
)
_WITHOUT: Final = re.compile(
    r"(?<!\w)(?:empty stomach|before (?:a |the )?(?:meals?|food|breakfast)"
    r"|nüchtern|vor (?:dem|den|der) (?:essen|mahlzeit(?:en)?|frühstück)"
    r"|à jeun|avant (?:le|les) repas|en ayunas|antes de (?:las? )?comidas?"
    r"|a digiuno|prima dei pasti|nuchter|lege maag|voor (?:de maaltijd(?:en)?|het eten))(?!\w)"
)


def food_of(said: str) -> bool | None:
    """Whether a text in lower case says to take the dose with food; None if it says nothing."""
    if _WITHOUT.search(said):
        return False
    return True if _WITH.search(said) else None
