"""Spoil rule files at random: each is accepted or refused with a line, never anything else.

    python -m tests.rulebook.fuzz --count 10000

Whatever is accepted is evaluated and its texts are rendered too. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from cds.rulebook.content import read_content
from cds.rulebook.remarks import Remarks
from cds.rulebook.rulebook import Rulebook
from tests.rulebook.build import (
    CML,
    INDUCER,
    LOW_LEVEL,
    RIFAMPICIN,
    SETTING,
    TEXTS,
    files,
    scene,
)
from tests.rulebook.random_rules import Generator

RULES = ("trough/low.yaml", "interactions/inducer.yaml", "dosing/limit.yaml")
HOSTILE = (
    "!!python/object/apply:os.system ['touch pwned']", "!!python/name:os.system", "!<x> y",
    "&a [*a]", "*a", "<<: {a: 1}", "{low.__class__.__mro__}", "{0}", "{low!r:>99999999}", "{{}}",
    "{", "}", "%s", "${low}", "$targets.cml", "$..", "$low.low", "null", "~", "[]", "{}", "''",
    "1e999", "-.inf", ".nan", "9" * 30, "0x10", "\\u0000", "\u202e", "\ud7ff", "true", "- - - -",
    "? ", ": ", "|", ">", "@", "`", "#", "\t", "\r\n", "[" * 40, "{a: " * 40, "a" * 600, "<b>",
    "2026-02-30", "active", "fires", "$low", "{us: 1}", "any_of", "none", "is", "same_as",
    "med.ingredient", "\x00", "\x85", "\ufeff", "...", "---", "%YAML 1.1",
)  # fmt: skip


_CHARACTERS = (0, 9, 10, 34, 39, 58, 91, 123, 160, 0xD7FF)
_TOKEN = re.compile(r"[\w.$-]+")
_MEANING = ("true", "null", "1", "-0.0", "$low", "$fresh", "none", "not", "known", "above", "level")


@dataclass
class Report:
    """What became of the spoilt files."""

    count: int = 0
    accepted: int = 0
    refused: int = 0
    codes: dict[str, int] = field(default_factory=dict)


def fuzz(count: int, seed: int) -> Report:
    """Spoil, read, and use what was accepted; any exception is the caller's to see."""
    source, report = random.Random(seed), Report()
    facts = scene(CML, LOW_LEVEL, RIFAMPICIN, INDUCER, {"is": "order", "daily_mg": 800})
    others = Generator(seed).scene(20)
    for _ in range(count):
        name = source.choice(RULES)
        text = TEXTS[name]
        for _ in range(source.choice((1, 1, 2, 3))):
            text = source.choice(SPOILERS)(text, source)
        spoilt = {**files(), name: text.encode("utf-8", "surrogatepass")}
        remarks = Remarks()
        content = read_content(spoilt, remarks)
        report.count += 1
        for remark in remarks.errors:
            report.codes[remark.code] = report.codes.get(remark.code, 0) + 1
            if remark.place.line < 1 or remark.place.column < 1 or not remark.message:
                raise AssertionError(f"no place or message: {remark!r}")
        if content is None or remarks.errors:
            report.refused += 1
            continue
        report.accepted += 1
        rulebook = Rulebook(content)
        for given in (facts, others):
            verdict = rulebook.evaluate(given, SETTING)
            if not verdict.agreed:
                raise AssertionError(f"{verdict.disagreement}\n{text}")
        rulebook.close()
    return report


def _cut(text: str, source: random.Random) -> str:
    start = source.randrange(len(text))
    return text[:start] + text[start + source.randint(1, 40) :]


def _swap_lines(text: str, source: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    one, two = source.randrange(len(lines)), source.randrange(len(lines))
    lines[one], lines[two] = lines[two], lines[one]
    return "".join(lines)


def _repeat(text: str, source: random.Random) -> str:
    start = source.randrange(len(text))
    return text[:start] + text[start : start + 30] * source.randint(2, 4) + text[start:]


def _insert(text: str, source: random.Random) -> str:
    at = source.randrange(len(text))
    return text[:at] + source.choice(HOSTILE) + text[at:]


def _replace_value(text: str, source: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    at = source.randrange(len(lines))
    key, colon, _ = lines[at].partition(": ")
    lines[at] = f"{key}{colon}{source.choice(HOSTILE)}\n"
    return "".join(lines)


def _replace_word(text: str, source: random.Random) -> str:
    words = text.split(" ")
    at = source.randrange(len(words))
    words[at] = source.choice((*HOSTILE, source.choice(words)))
    return " ".join(words)


def _flip(text: str, source: random.Random) -> str:
    at = source.randrange(len(text))
    return text[:at] + chr(source.choice(_CHARACTERS)) + text[at + 1 :]


def _swap_tokens(text: str, source: random.Random) -> str:
    """Put one word of the file, or one that means something, in the place of another."""
    tokens = list(_TOKEN.finditer(text))
    at, other = source.choice(tokens), source.choice(tokens).group()
    chosen = source.choice((other, other, *_MEANING))
    return text[: at.start()] + chosen + text[at.end() :]


def _indent(text: str, source: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    at = source.randrange(len(lines))
    lines[at] = " " * source.randint(0, 6) + lines[at].lstrip()
    return "".join(lines)


SPOILERS: tuple[Callable[[str, random.Random], str], ...] = (
    _cut, _swap_lines, _repeat, _insert, _replace_value, _replace_word, _flip, _indent,
    *([_swap_tokens] * 12),
)  # fmt: skip


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    report = fuzz(options.count, options.seed)
    sys.stdout.write(json.dumps(asdict(report)) + "\n")


if __name__ == "__main__":
    main()
