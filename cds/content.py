"""Where the product's content lies: the rulebook and the example patients.

In a checkout both stand at the top of the repository; in an installed wheel they were packed under
`cds/_content`. This is the only place that knows the difference.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def rules_dir() -> Path:
    """Return the directory of the rulebook that came with the product."""
    return _find("rules", marker="rulebook.yaml")


def examples_dir() -> Path:
    """Return the directory of the synthetic story patients that came with the product."""
    return _find("fhir_examples", marker="index.yaml")


def _find(name: str, *, marker: str) -> Path:
    """Return the directory called `name` that holds `marker`; packed content wins."""
    places = (_PACKAGE / "_content" / name, _PACKAGE.parent / name)
    for place in places:
        if (place / marker).is_file():
            return place
    looked = ", ".join(str(place) for place in places)
    raise FileNotFoundError(f"the product's {name}/{marker} is missing; looked in {looked}")
