"""Reading YAML: places are kept, and nothing in a file can run or grow."""

from __future__ import annotations

import pytest

from cds.rulebook.remarks import Place, RulebookError
from cds.rulebook.source import MAX_BYTES, parse, parse_before


def refusal(text: str | bytes) -> tuple[str, int, int]:
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(RulebookError) as caught:
        parse(content, "x.yaml")
    (remark,) = caught.value.remarks
    return remark.code, remark.place.line, remark.place.column


def test_every_value_and_key_knows_its_line_and_column() -> None:
    root = parse(b"a:\n  - {b: 1, c: yes}\n", "x.yaml")
    assert root.mapping is not None
    (row,) = root.mapping["a"].items or ()
    assert row.mapping is not None
    assert root.key_places["a"] == Place("x.yaml", 1, 1)
    assert row.key_places["c"] == Place("x.yaml", 2, 12)
    assert row.mapping["c"].place == Place("x.yaml", 2, 15)


def test_words_follow_yaml_1_2_so_no_and_dates_stay_words() -> None:
    text = b"[no, yes, on, 2026-11-23, 1_000, 0x10, 012, 1.5, true, null, ~, '1', -3, .5, 1e3]"
    assert parse(text, "x.yaml").plain() == [
        "no", "yes", "on", "2026-11-23", "1_000", "0x10", 12, 1.5, True, None, None, "1", -3, 0.5,
        1000.0,
    ]  # fmt: skip


def test_a_python_tag_is_refused_where_it_stands_and_nothing_runs() -> None:
    assert refusal("a: 1\nb: !!python/object/apply:os.system ['touch /tmp/x']") == ("RB003", 2, 4)


def test_any_other_tag_is_refused_too() -> None:
    assert refusal("a: !!str 1")[0] == "RB003"
    assert refusal("a: !local {b: 1}")[0] == "RB003"


def test_an_alias_is_read_but_not_a_bomb_of_aliases() -> None:
    assert parse(b"a: &x [1, 2]\nb: *x", "x.yaml").plain() == {"a": [1, 2], "b": [1, 2]}
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert refusal("\n".join(lines))[0] == "RB006"


def test_an_alias_to_itself_is_refused() -> None:
    assert refusal("a: &a [1, *a]") == ("RB004", 1, 11)


def test_merge_keys_are_refused() -> None:
    assert refusal("a: &x {b: 1}\nc: {<<: *x}")[0] == "RB004"


def test_a_key_written_twice_is_refused_at_the_second() -> None:
    assert refusal("a: 1\nb: 2\na: 3") == ("RB005", 3, 1)


@pytest.mark.parametrize("text", ["[" * 50_000, "a: " + "{b: " * 50_000, "- " * 50_000 + "a"])
def test_nesting_without_end_is_refused_at_once(text: str) -> None:
    assert refusal(text)[0] == "RB006"


def test_a_file_over_the_limit_is_refused_before_it_is_read() -> None:
    assert refusal(b"#" * (MAX_BYTES + 1))[0] == "RB001"


def test_bytes_that_are_not_utf8_are_refused_with_their_line() -> None:
    assert refusal(b"a: 1\nb: \xff")[:2] == ("RB001", 2)


@pytest.mark.parametrize(
    "text",
    ["a: [1", "a: 'x", "a: 1\n\tb: 2", "? [a]\n: b", 'a: "\\UFFFFFFFF"', "a: \x00",
     "%YAML 9\n---\na", "a: b\n---\nc: d", "a: 99999999999999999", "a: 1e400", "a: @x", "*x : 1"],
)  # fmt: skip
def test_malformed_text_is_refused_with_a_line(text: str) -> None:
    code, line, _ = refusal(text)
    assert code.startswith("RB")
    assert line >= 1


def test_an_empty_file_is_an_empty_value() -> None:
    assert parse(b"# nothing\n", "x.yaml").plain() is None


def test_reading_stops_before_the_last_key_when_that_changes_nothing() -> None:
    content = b"a: 1\ntests:\n  - {b: 2}\n"
    assert parse_before(b"tests", content, "x.yaml").plain() == {"a": 1}


@pytest.mark.parametrize(
    "content",
    [b"tests: [1]\na: 1\n", b"x: 0\ntests: [1]\na: 1\n", b"a: 'text\n\ntests: 1\n\nmore'\n",
     b"a: {b: 1,\ntests: 2}\n", b"a: 1\ntests: [\n1]\n]\n"],
)  # fmt: skip
def test_reading_never_stops_inside_a_value_or_before_other_keys(content: bytes) -> None:
    def read(whole: bool) -> object:
        try:
            node = parse(content, "x.yaml") if whole else parse_before(b"tests", content, "x.yaml")
        except RulebookError as error:
            return [str(remark) for remark in error.remarks]
        return node.plain()

    assert read(whole=False) == read(whole=True)


@pytest.mark.parametrize(
    ("text", "place", "cure"),
    [
        ('a: 1\nb: "x\nc: 1\n', "f:2:4", "close the quote that was opened"),
        ("a: 1\nb: {c: 1\n", "f:2:4", "close the bracket or brace"),
        ("a: {b: 1 c: 2}\n", "f:1:11", "put a comma between its entries"),
        ("a: 'it's'\n", "f:1:8", "write an apostrophe inside quotes twice"),
        ("a: x: y\n", "f:1:5", "put a text that holds ': ' in quotes"),
        ("a:\n\t- b\n", "f:2:1", "use spaces instead of the tab"),
        ("a: %x\n", "f:1:4", "put the text in quotes"),
        ("a:\n  - x\n - y\n", "f:3:2", "begin the line where the lines around it begin"),
    ],
)
def test_what_people_mistype_is_named_where_it_began_with_what_mends_it(
    text: str, place: str, cure: str
) -> None:
    with pytest.raises(RulebookError) as refused:
        parse(text.encode(), "f")
    (remark,) = refused.value.remarks
    assert (str(remark.place), remark.code) == (place, "RB002")
    assert cure in remark.cure
