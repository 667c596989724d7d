"""Read a directory of rulebook files into one typed value, noting everything that is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from msgspec import Struct

from cds.clinical.finding import Matter, SourceCitation
from cds.clinical.setting import Jurisdiction
from cds.clinical.terminology import Drug
from cds.rulebook.facts import catalogue
from cds.rulebook.links import check_links
from cds.rulebook.read_rule import Surroundings, read_rule
from cds.rulebook.remarks import Place, Remarks, RulebookError
from cds.rulebook.rule import Rule
from cds.rulebook.shape import Entries
from cds.rulebook.source import MAX_BYTES, Node, parse, parse_before
from cds.rulebook.tables import Tables
from cds.rulebook.terms import Vocabulary, read_drug, read_vocabulary, with_site_codes

MAX_FILES = 2000
SOURCE_KINDS = ("label", "trial", "review", "guideline", "derived", "proposal")
TERMINOLOGY = ("medicines", "labs", "conditions", "genes", "frequencies")
_ROOT_FILES = ("rulebook.yaml", "drug.yaml", "sources.yaml", "site.yaml")

Files = Mapping[str, bytes]
"""The files of a rulebook by path below its directory, as bytes."""


class Source(Struct, frozen=True):
    """One entry of `sources.yaml`."""

    key: str
    citation: str
    kind: str
    verified: bool
    supports: str
    doi: str | None = None
    pmid: str | None = None
    url: str | None = None

    @property
    def link(self) -> str | None:
        """Where a reader finds it."""
        if self.url:
            return self.url
        if self.doi:
            return f"https://doi.org/{self.doi}"
        return f"https://pubmed.ncbi.nlm.nih.gov/{self.pmid}/" if self.pmid else None

    def cited(self) -> SourceCitation:
        """As a card cites it."""
        return SourceCitation(self.key, self.citation, self.link, self.verified)


class Content(Struct, frozen=True):
    """Everything a rulebook directory says."""

    name: str
    version: str
    jurisdictions: tuple[str, ...]
    default_jurisdiction: str
    revision: str
    drug: Drug
    vocabulary: Vocabulary
    sources: Mapping[str, Source]
    tables: Tables
    rules: tuple[Rule, ...]
    nodes: Mapping[str, Node]
    with_tests: bool | frozenset[str]
    files: Files
    root: str
    """What places call the directory."""


def read_directory(path: Path) -> dict[str, bytes]:
    """The YAML files below a directory; hidden files and what editors leave behind are passed."""
    if not (path / "rulebook.yaml").is_file():
        remarks = Remarks()
        cure = "name the directory that holds rulebook.yaml"
        remarks.add("RB102", Place(str(path)), "not a rulebook: rulebook.yaml is missing", cure)
        raise RulebookError(remarks)
    files: dict[str, bytes] = {}
    for file in sorted(path.rglob("*.y*ml")):
        name = file.relative_to(path).as_posix()
        if any(part.startswith((".", "#")) for part in name.split("/")) or not file.is_file():
            continue
        with file.open("rb") as stream:
            files[name] = stream.read(MAX_BYTES + 1)
        if len(files) > MAX_FILES:
            remarks = Remarks()
            remarks.add("RB006", Place(str(path)), f"more than {MAX_FILES} files")
            raise RulebookError(remarks)
    return files


def read_content(
    files: Files,
    remarks: Remarks,
    *,
    root: str = "rules",
    with_tests: bool | frozenset[str] = True,
) -> Content | None:
    """The typed content, or None when so much is wrong that it cannot be built.

    Tests are three quarters of the text: a service that only evaluates reads without them, and a
    reload with those of the rules it must test (`with_tests` names the files).
    """
    nodes = _parse_all(files, root, remarks, with_tests=with_tests)
    book = Entries(nodes.get("rulebook.yaml", _empty(root, "rulebook.yaml")), remarks, "rulebook")
    name, version = book.text("name"), book.text("version")
    jurisdictions = book.words("jurisdictions", list(Jurisdiction))
    default = book.text("default_jurisdiction")
    if default is not None and default not in jurisdictions:
        cure = f"one of {', '.join(jurisdictions)}"
        remarks.add("RB104", book.key_places["default_jurisdiction"], f"'{default}'", cure)
    book.words("matters", list(Matter), required=False)
    for key in ("title", "licence", "note", "description", "sources", "intended_use", "approval"):
        book.node(key, required=False)
    book.done()

    sources = _sources(nodes.get("sources.yaml", _empty(root, "sources.yaml")), remarks)
    nodes = _with_site(nodes, remarks)
    drug = read_drug(nodes.get("drug.yaml", _empty(root, "drug.yaml")), remarks)
    terms = {
        part: nodes[f"terminology/{part}.yaml"]
        for part in TERMINOLOGY
        if f"terminology/{part}.yaml" in nodes
    }
    vocabulary = read_vocabulary(terms, remarks)
    tables = Tables(
        {
            file.removeprefix("tables/").removesuffix(".yaml"): node
            for file, node in nodes.items()
            if file.startswith("tables/")
        },
        jurisdictions,
    )
    reasons = tables.roots.get("override_reasons")
    around = Surroundings(
        catalogue=catalogue(),
        tables=tables,
        jurisdictions=jurisdictions,
        sources=frozenset(sources),
        override_reasons=frozenset(str(key) for key in (reasons.mapping or ())) if reasons
        else frozenset(),
    )  # fmt: skip
    keys = {**vocabulary.keys, "interaction-groups": interaction_groups(tables)}
    rules = _rules(nodes, around, keys, vocabulary, remarks)
    if name is None or version is None or default is None or drug is None:
        return None
    revision = revision_of(files)
    return Content(
        name, version, jurisdictions, default, revision, drug, vocabulary, sources, tables,
        rules, nodes, with_tests, files, root,
    )  # fmt: skip


def interaction_groups(tables: Tables) -> frozenset[str]:
    """Every group that a row of the interactions table names."""
    table = tables.roots.get("interactions")
    rows = (table.mapping or {}).get("rows") if table else None
    cells = [(row.mapping or {}).get("group") for row in (rows.items if rows else None) or ()]
    return frozenset(str(cell.scalar) for cell in cells if cell is not None)


def revision_of(files: Files) -> str:
    """SHA-256 over every file, as a shell can check it in the directory:

    find . -name '*.yaml' | sed 's,^./,,' | LC_ALL=C sort | xargs sha256sum | sha256sum
    """
    lines = [
        f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n"
        for name in sorted(files, key=lambda name: name.encode())
        if name.endswith(".yaml")
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _parse_all(
    files: Files, root: str, remarks: Remarks, *, with_tests: bool | frozenset[str]
) -> dict[str, Node]:
    nodes = {}
    for file, content in files.items():
        if not _belongs(file):
            cure = "rules live in <group>/<slug>.yaml, tables in tables/, codes in terminology/"
            remarks.add("RB107", Place(f"{root}/{file}"), "file is not read", cure)
            continue
        try:
            wanted = with_tests if isinstance(with_tests, bool) else file in with_tests
            whole = wanted or not is_rule_file(file)
            name = f"{root}/{file}"
            nodes[file] = parse(content, name) if whole else parse_before(b"tests", content, name)
        except RulebookError as error:
            remarks.extend(error.remarks)
    return nodes


def _belongs(file: str) -> bool:
    folder, _, name = file.rpartition("/")
    if not file.endswith(".yaml") or "/" in folder:
        return False
    if folder == "terminology":
        return name.removesuffix(".yaml") in TERMINOLOGY
    return bool(folder) or name in _ROOT_FILES


def is_rule_file(file: str) -> bool:
    """Whether a path below the directory is that of a rule."""
    return file.rpartition("/")[0] not in ("", "tables", "terminology")


def _with_site(nodes: dict[str, Node], remarks: Remarks) -> dict[str, Node]:
    site = nodes.get("site.yaml")
    if site is None:
        return nodes
    entries = Entries(site, remarks, "the site file")
    places = {"drug": "drug.yaml", **{part: f"terminology/{part}.yaml" for part in TERMINOLOGY}}
    merged = dict(nodes)
    for key, file in places.items():
        extra = entries.node(key, required=False)
        if extra is not None and file in nodes:
            _resembling(nodes[file], extra, remarks)
            merged[file] = with_site_codes(nodes[file], extra, remarks)
    entries.text("note", required=False)
    entries.done()
    return merged


def _resembling(base: Node, extra: Node, remarks: Remarks) -> None:
    """Note a new key of the site that was probably meant to be one of the rulebook's."""
    known = [str(key) for key in base.mapping or ()]
    for key, place in extra.key_places.items():
        close = get_close_matches(str(key), known, n=1, cutoff=0.8)
        if str(key) not in known and close:
            cure = f"did you mean '{close[0]}'?"
            remarks.add("RB108", place, f"'{key}' is new, and looks like '{close[0]}'", cure)


def _sources(node: Node, remarks: Remarks) -> dict[str, Source]:
    found = {}
    if node.mapping is None:
        remarks.add("RB103", node.place, "sources.yaml must be a mapping of keys")
        return {}
    for key, body in node.mapping.items():
        row = Entries(body, remarks, f"source {key}")
        citation, kind = row.text("citation"), row.text("kind")
        if kind is not None and kind not in SOURCE_KINDS:
            cure = f"one of {', '.join(SOURCE_KINDS)}"
            remarks.add("RB104", row.key_places["kind"], f"kind '{kind}'", cure)
        if row.node("verified", required=True) is not None:
            verified = body.mapping is not None and body.mapping["verified"].scalar is True
        else:
            verified = False
        supports = row.text("supports", required=False) or ""
        doi, url = row.text("doi", required=False), row.text("url", required=False)
        pmid = row.node("pmid", required=False)
        row.text("note", required=False)
        row.done()
        if citation and kind:
            number = None if pmid is None or pmid.scalar is None else str(pmid.scalar)
            found[str(key)] = Source(str(key), citation, kind, verified, supports, doi, number, url)
    return found


def _rules(
    nodes: Mapping[str, Node],
    around: Surroundings,
    keys: Mapping[str, frozenset[str]],
    vocabulary: Vocabulary,
    remarks: Remarks,
) -> tuple[Rule, ...]:
    rules: dict[str, Rule] = {}
    for file, node in nodes.items():
        if not is_rule_file(file):
            continue
        own = Remarks()
        rule = read_rule(node, file, around, own)
        if rule is not None and not own.errors:
            check_links(rule, around.catalogue, keys, vocabulary.lab_units, own)
        remarks.extend(own)
        if rule is None or own.errors:
            continue
        if rule.id in rules:
            cure = f"it stands in {rules[rule.id].place.file}"
            remarks.add("RB106", rule.place, f"id '{rule.id}' is used twice", cure)
        rules[rule.id] = rule
    return tuple(rules[identity] for identity in sorted(rules))


def _empty(root: str, file: str) -> Node:
    return Node({}, Place(f"{root}/{file}"))
