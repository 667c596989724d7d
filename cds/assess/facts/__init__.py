"""Typed facts from a patient, for the rules: every kind of the closed catalogue, derived once."""

from cds.assess.facts.basis import Basis
from cds.assess.facts.derive import derive_facts

__all__ = ["Basis", "derive_facts"]
