"""What follows from a rulebook alone is worked out once for each revision that is loaded."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from cds.rulebook.rulebook import Rulebook

_Rest = ParamSpec("_Rest")
_Derived = TypeVar("_Derived")


def once_per_rulebook(
    derive: Callable[Concatenate[Rulebook, _Rest], _Derived],
) -> Callable[Concatenate[Rulebook, _Rest], _Derived]:
    """Remember what `derive` made of a rulebook and further hashable arguments.

    A rulebook is immutable, so an edit is another rulebook, and what was derived goes with the old
    one. It must be immutable too, and must not refer back to the rulebook.
    """
    kept: WeakKeyDictionary[Rulebook, dict[Hashable, _Derived]] = WeakKeyDictionary()

    @wraps(derive)
    def remembered(rulebook: Rulebook, /, *rest: _Rest.args, **named: _Rest.kwargs) -> _Derived:
        of_this = kept.setdefault(rulebook, {})
        key = (rest, *named.items())
        if key not in of_this:
            of_this[key] = derive(rulebook, *rest, **named)
        return of_this[key]

    return remembered
