"""Build the drug and the terminology from `drug.yaml` and `terminology/`; a site adds its codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from cds.clinical.codes import Code
from cds.clinical.terminology import (
    ConditionName,
    Drug,
    LabDefinition,
    LevelCode,
    Product,
    Terminology,
)
from cds.rulebook.frequency_terms import read_frequencies
from cds.rulebook.lab_terms import read_lab
from cds.rulebook.remarks import Remarks
from cds.rulebook.shape import Entries
from cds.rulebook.source import Key, Node
from cds.rulebook.term_codes import code_in, codes_in, finish, notes_of


class Vocabulary(Struct, frozen=True):
    """The look-ups, and the keys that rules may use with their names and decimals."""

    terminology: Terminology
    keys: Mapping[str, frozenset[str]]
    """medicines, labs, conditions, genes -> keys."""
    names: Mapping[str, str]
    """`medicines.rifampicin` -> Rifampicin."""
    lab_units: Mapping[str, str]
    lab_decimals: Mapping[str, int]
    coded_values: frozenset[str]


def with_site_codes(base: Node, site: Node, remarks: Remarks) -> Node:
    """Add what a site wrote: lists grow, new keys appear; nothing that stands is changed."""
    if base.mapping is not None and site.mapping is not None:
        entries: dict[Key, Node] = dict(base.mapping)
        places = {**site.key_places, **base.key_places}
        for key, extra in site.mapping.items():
            entries[key] = (
                with_site_codes(entries[key], extra, remarks) if key in entries else extra
            )
        return Node(entries, base.place, places)
    if base.items is not None and site.items is not None:
        return Node((*base.items, *site.items), base.place)
    cure = "a site file adds codes and names; change the rulebook itself for the rest"
    remarks.add("RB104", site.place, "a site file cannot change this value", cure)
    return base


def read_drug(node: Node, remarks: Remarks) -> Drug | None:
    """The monitored drug."""
    entries = Entries(node, remarks, "drug")
    name = entries.text("name")
    names = entries.words("names")
    metabolites = entries.words("metabolite_names", required=False)
    molar_mass = entries.number("molar_mass_g_mol")
    salt = entries.inner("salt")
    salt_names: tuple[str, ...] = ()
    salt_mass: float | None = None
    if salt is not None:
        salt_names, salt_mass = salt.words("names"), salt.number("molar_mass_g_mol")
        notes_of(salt)
        salt.done()
    first = entries.inner("first_given", required=False)
    year: float | None = None
    if first is not None:
        year = first.number("year")
        notes_of(first)
        first.done()
    ingredient_codes = frozenset(codes_in(entries, "ingredient_codes", remarks))
    products = {}
    for item in entries.nodes("products"):
        row = Entries(item, remarks, "a product")
        code, strength, form = code_in(row), row.number("strength_mg"), row.text("form")
        notes_of(row)
        row.done()
        if code and strength and form:
            products[code] = Product(code, strength, form)
    strengths = _numbers(entries.nodes("strengths_mg"), remarks)
    solution = entries.number("solution_mg_ml", required=False)
    level_codes = {}
    for item in entries.nodes("level_codes"):
        row = Entries(item, remarks, "a level code")
        code, hours = code_in(row), row.number("hours_post_dose", required=False)
        notes_of(row)
        row.done()
        if code:
            level_codes[code] = LevelCode(code, hours)
    notes_of(entries)
    entries.done()
    if not (name and molar_mass and salt_mass):
        return None
    return Drug(
        name=name,
        names=frozenset(word.lower() for word in (name, *names)),
        molar_mass=molar_mass,
        salt_molar_mass=salt_mass,
        salt_names=frozenset(word.lower() for word in salt_names),
        ingredient_codes=ingredient_codes,
        products=products,
        strengths_mg=strengths,
        solution_mg_ml=solution,
        level_codes=level_codes,
        metabolite_names=frozenset(word.lower() for word in metabolites),
        first_given_year=int(year) if year else None,
    )


def read_vocabulary(files: Mapping[str, Node], remarks: Remarks) -> Vocabulary:
    """The terminology; `files` maps medicines, labs, conditions, genes to their content."""
    medicines: dict[Code, tuple[str, ...]] = {}
    medicine_names: dict[str, tuple[str, ...]] = {}
    labs: dict[Code, LabDefinition] = {}
    conditions: dict[Code, tuple[str, ...]] = {}
    prefixes: dict[Code, tuple[str, ...]] = {}
    genes: dict[str, str] = {}
    names: dict[str, str] = {}
    lab_units: dict[str, str] = {}
    lab_decimals: dict[str, int] = {}
    coded_values: set[str] = set()

    for key, row in _rows(files, "medicines", names, remarks):
        for word in (key, names[f"medicines.{key}"], *row.words("names", required=False)):
            others = medicine_names.get(word.lower(), ())
            medicine_names[word.lower()] = tuple(dict.fromkeys((*others, key)))
        codes = (*codes_in(row, "codes", remarks), *codes_in(row, "products", remarks))
        for code in codes:
            medicines[code] = tuple(dict.fromkeys((*medicines.get(code, ()), key)))
        row.words("groups", required=False)
        finish(row)

    for key, row in _rows(files, "labs", names, remarks):
        definition = read_lab(key, row, names[f"labs.{key}"], remarks)
        coded_values.update(definition.coded_values.values())
        lab_decimals[key] = row.integer("decimals", required=False) or 0
        lab_units[key] = definition.unit
        labs.update(dict.fromkeys(codes_in(row, "codes", remarks), definition))
        finish(row)

    implied = {key: _implied(files.get("conditions"), key) for key in _keys(files, "conditions")}
    condition_names: dict[str, ConditionName] = {}
    details: dict[str, tuple[str, tuple[str, ...]]] = {}
    for key, row in _rows(files, "conditions", names, remarks):
        row.words("implies", implied, required=False)
        for code in codes_in(row, "codes", remarks):
            conditions[code] = tuple(dict.fromkeys((*conditions.get(code, ()), *implied[key])))
        for code in codes_in(row, "prefixes", remarks):
            prefixes[code] = tuple(dict.fromkeys((*prefixes.get(code, ()), *implied[key])))
        meaning = ConditionName(
            implied[key],
            tuple(word.lower() for word in row.words("unless", required=False)),
            row.boolean("lasting"),
        )
        for name in row.words("names", required=False):
            condition_names[name.lower()] = meaning
        for detail in row.words("details", required=False):
            details[detail.lower()] = (implied[key][-1], implied[key])
        finish(row)

    for key, row in _rows(files, "genes", names, remarks):
        for text in (key, *row.words("texts", required=False)):
            genes[text.lower()] = key
        codes_in(row, "codes", remarks)
        finish(row)

    terminology = Terminology(
        medicines,
        medicine_names,
        labs,
        conditions,
        prefixes,
        genes,
        condition_names,
        details,
        {key: names[f"medicines.{key}"] for key in _keys(files, "medicines")},
        read_frequencies(_rows(files, "frequencies", {}, remarks), remarks),
    )
    keys = {part: _keys(files, part) for part in ("medicines", "labs", "conditions", "genes")}
    return Vocabulary(terminology, keys, names, lab_units, lab_decimals, frozenset(coded_values))


def _rows(
    files: Mapping[str, Node], part: str, names: dict[str, str], remarks: Remarks
) -> Iterator[tuple[str, Entries]]:
    node = files.get(part)
    if node is None:
        return
    if node.mapping is None:
        remarks.add("RB103", node.place, f"{part} must be a mapping of keys")
        return
    for key, value in node.mapping.items():
        row = Entries(value, remarks, f"{part} {key}")
        names[f"{part}.{key}"] = row.text("name") or str(key)
        yield str(key), row


def _keys(files: Mapping[str, Node], part: str) -> frozenset[str]:
    node = files.get(part)
    return frozenset(str(key) for key in (node.mapping or ())) if node else frozenset()


def _implied(node: Node | None, key: str) -> tuple[str, ...]:
    """A condition's key and all that it implies, transitively."""
    found, waiting = [], [key]
    while waiting:
        current = waiting.pop(0)
        if current in found:
            continue
        found.append(current)
        entry = ((node.mapping if node else None) or {}).get(current)
        implies = ((entry.mapping if entry else None) or {}).get("implies")
        waiting.extend(str(item.scalar) for item in (implies.items if implies else None) or ())
    return tuple(found)


def _numbers(nodes: tuple[Node, ...], remarks: Remarks) -> tuple[float, ...]:
    found = []
    for node in nodes:
        value = node.scalar
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.append(float(value))
        else:
            remarks.add("RB103", node.place, "a strength is a number")
    return tuple(sorted(found))
