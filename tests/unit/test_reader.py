"""Reading: exact places, one problem when the syntax is wrong, and nothing that hangs, crashes or blocks."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import yaml

from chaosdrill.errors import InvalidFile, UsageError
from chaosdrill.plan.reader import read

MIB = 1024 * 1024


def _write(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def _only_problem(file: Path) -> tuple[int, int, str, str]:
    with pytest.raises(InvalidFile) as refused:
        read(file)
    (problem,) = refused.value.problems
    assert refused.value.source == str(file)
    return problem.line, problem.column, problem.message, problem.hint


# ---- syntax: the first problem, alone, with its place


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "hint"),
    [
        (
            "a: b: c",
            1,
            5,
            "mapping values are not allowed in this context",
            "a text that contains ': ' needs quotes",
        ),
        ("a:\n\t- b", 2, 1, "a tab can't indent YAML", "use spaces"),
        ("a:\n  - b\n\tc: d", 3, 1, "a tab can't indent YAML", "use spaces"),
        ("a: 'open\n  b: c", 2, 7, "found unexpected end of stream", "a quote is not closed"),
        ("a: @here", 1, 4, "cannot start any token", "a text that begins like this needs quotes"),
        ("x: {url: ${shop}/y}", 1, 11, "did not find expected ',' or '}'", "needs quotes"),
        ("x: {url: http://h/y?a=1}", 1, 20, "expected ',' or '}', but got '?'", "needs quotes"),
        ("a:\n  - b\n c", 3, 2, "did not find expected key", "check the indentation"),
        ("a: 1\nb\nc: 2", 3, 1, "could not find expected ':'", "a key needs ': ' behind it"),
        ("a: |\n  x\n y: 1", 3, 2, "did not find expected key", "check the indentation"),
        ("a: 1\n---\nb: 2", 2, 1, "a second document begins here", "one experiment per file"),
        ("a: *nowhere", 1, 4, "no anchor 'nowhere' before this alias", "define it before it is used"),
        ("a: &x 1\nb: &x 2", 2, 4, "the anchor 'x' is defined twice", "rename one of them"),
        ("a: &x [1, *x]", 1, 11, "the alias 'x' contains itself", "spell the value out"),
        ("a: &x {<<: *x}", 1, 12, "the alias 'x' contains itself", "spell the value out"),
        ("a: \x07b", 1, 4, "the character U+0007 can't stand in YAML", "remove it"),
        ("a: [" + "[" * 50, 1, 53, "nested more than 50 deep", "no experiment needs that"),
    ],
)
def test_bad_yaml_is_one_problem_with_its_place(
    tmp_path: Path, text: str, line: int, column: int, message: str, hint: str
) -> None:
    found = _only_problem(_write(tmp_path, "x.yaml", text))
    assert found[:2] == (line, column)
    assert message in found[2]
    assert hint in found[3]


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ('{"a": 1 "b": 2}', 1, 9, "not valid JSON: expecting ',' delimiter"),
        ('{\n  "a": [1 2]\n}', 2, 11, "not valid JSON: expecting ',' delimiter"),
        ('{"a": "open', 1, 7, "not valid JSON: unterminated string"),
        ("{} {}", 1, 4, "not valid JSON: extra data"),
        ('{"a": ' + "[" * 50 + "]" * 50 + "}", 1, 56, "nested more than 50 deep"),
        ('{"a": ' + "9" * 5000 + "}", 1, 7, "a number of 5,000 digits; Chaos Toolkit reads at most 4,300"),
        ("\ufeff{}", 1, 1, "not valid JSON: unexpected UTF-8 BOM"),
    ],
)
def test_bad_json_is_one_problem_with_its_place(
    tmp_path: Path, text: str, line: int, column: int, message: str
) -> None:
    found = _only_problem(_write(tmp_path, "x.json", text))
    assert found[:2] == (line, column)
    assert message in found[2]


def test_bytes_that_are_no_utf_8_are_named_with_their_place(tmp_path: Path) -> None:
    found = _only_problem(_write(tmp_path, "x.yaml", "a: 1\nbé: ".encode() + b"\xff"))
    assert found == (2, 5, "not UTF-8: the byte 0xff stands here", "save the file as UTF-8")


# ---- everything else: collected, in one go


def test_all_other_problems_are_collected(tmp_path: Path) -> None:
    document = read(
        _write(
            tmp_path,
            "x.yaml",
            "a: 2026-13-45\nb: 0x_\nc: !thing 1\nd: !!bool 5\ne: <<\nf: =\na: 2\n? [k]\n: 1\ng: {<<: 5}\n",
        )
    )
    assert [(p.line, p.column, p.message) for p in document.problems] == [
        (1, 4, "'2026-13-45' reads as a date, and is none"),
        (2, 4, "'0x_' reads as a whole number, and is none"),
        (3, 4, "Chaos Toolkit can't read the tag '!thing' here"),
        (4, 4, "'5' reads as the tag !!bool, and is none"),
        (5, 4, "Chaos Toolkit can't read the tag !!merge here"),
        (6, 4, "Chaos Toolkit can't read the tag !!value here"),
        (10, 5, "'<<' takes a mapping or a list of mappings"),
        (7, 1, "the key 'a' stands here twice"),
        (8, 3, "a list can't be a key"),
    ]
    assert document.problems[7].hint == "first on line 1"


def test_keys_that_chaos_toolkit_takes_for_the_same_are_duplicates(tmp_path: Path) -> None:
    (problem,) = read(_write(tmp_path, "x.yaml", "no: 1\nfalse: 2\n")).problems
    assert (problem.line, problem.message) == (2, "the key 'false' stands here twice")


def test_a_duplicate_key_of_json_is_found_where_it_stands(tmp_path: Path) -> None:
    document = read(_write(tmp_path, "x.json", '{"a": {"b": 1,\n  "b": 2}}'))
    (problem,) = document.problems
    assert str(problem) == "2:3: the key 'b' stands here twice (first on line 1)"


@pytest.mark.parametrize(("name", "text"), [("x.yaml", 'a: "\\ud800?"'), ("x.json", '{"a": "\\ud800"}')])
def test_half_a_character_is_refused_before_anything_prints_it(tmp_path: Path, name: str, text: str) -> None:
    (problem,) = read(_write(tmp_path, name, text)).problems
    assert "half a character" in problem.message


# ---- values and places


def test_a_scalar_is_text_to_us_and_typed_to_chaos_toolkit(tmp_path: Path) -> None:
    document = read(_write(tmp_path, "x.yaml", "country: NO\nat: 10:00\nversion: 1.10\nquoted: '5'\nno: ~\n"))
    assert document.root.strings() == {
        "country": "NO",
        "at": "10:00",
        "version": "1.10",
        "quoted": "5",
        "no": "~",
    }
    assert document.root.plain() == {"country": False, "at": 600, "version": 1.1, "quoted": "5", False: None}


def test_every_value_has_its_place_in_yaml(tmp_path: Path) -> None:
    document = read(_write(tmp_path, "x.yaml", "a:\n  - b: é\n    'c': {d: [1,   2]}\n"))
    assert document.place("a") == (2, 3)
    assert document.place("a", 0, "b") == (2, 8)
    assert document.place("a", 0, "c", "d", 1) == (3, 20)
    assert document.place("a", 0, "nothing", "there") == (2, 5)


def test_every_value_has_its_place_in_json(tmp_path: Path) -> None:
    document = read(_write(tmp_path, "x.json", '{"é": [1,\n "x\\n", {"k" : -1.5e3, "n": null}]}'))
    assert document.root.plain() == {"é": [1, "x\n", {"k": -1500.0, "n": None}]}
    assert document.place("é", 0) == (1, 8)
    assert document.place("é", 1) == (2, 2)
    assert document.place("é", 2, "k") == (2, 16)
    assert document.place("é", 2, "n") == (2, 29)
    assert document.root.at(["é", 2, "k"]).text == "-1.5e3"


def test_merge_keys_and_aliases_mean_what_they_mean_to_chaos_toolkit(tmp_path: Path) -> None:
    text = (
        "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\n"
        "one: {<<: *base, b: 5}\nboth: {<<: [*base, *more]}\ntwice: {<<: *base, <<: *more}\nsame: *base\n"
    )
    document = read(_write(tmp_path, "x.yaml", text))
    assert document.problems == []
    assert document.root.plain() == yaml.safe_load(text)


def test_an_empty_file_is_nothing(tmp_path: Path) -> None:
    for name, text in (("x.yaml", ""), ("y.yaml", "# only a comment\n"), ("x.json", " \n")):
        assert read(_write(tmp_path, name, text)).root.is_null


# ---- size, time and things that are no files


@pytest.mark.parametrize("mark", ["[", "{", "- ", "? ", '"a": {', "a: [", "{a: "])
@pytest.mark.parametrize("name", ["x.yaml", "x.json"])
def test_a_megabyte_of_nesting_never_reaches_a_parser_that_recurses(
    tmp_path: Path, name: str, mark: str
) -> None:
    file = _write(tmp_path, name, mark * (MIB // len(mark)))
    with pytest.raises(InvalidFile):
        read(file)


@pytest.mark.parametrize("merged", ["[{0}]", "{{<<: [{0}]}}"])
def test_aliases_can_not_explode(tmp_path: Path, merged: str) -> None:
    lines = ["a: &a " + ("{x: 1}" if "<<" in merged else "[1]")]
    for before, name in zip("abcdefghi", "bcdefghij", strict=True):
        lines.append(f"{name}: &{name} " + merged.format(", ".join([f"*{before}"] * 10)))
    found = _only_problem(_write(tmp_path, "x.yaml", "\n".join(lines)))
    assert found[2] == "aliases add more than 100,000 values"


def test_numbers_too_long_to_convert_are_problems_and_not_hours(tmp_path: Path) -> None:
    text = "a: " + "1:" * 100_000 + "1\nb: " + "9" * 100_000 + "\nc: 1:0" + ":0" * 500 + ".0\n"
    document = read(_write(tmp_path, "x.yaml", text))
    assert [(p.line, p.column) for p in document.problems] == [(1, 4), (2, 4), (3, 4)]
    assert all(len(p.message) < 150 for p in document.problems)


def test_strings_full_of_quotes_take_no_quadratic_time(tmp_path: Path) -> None:
    assert "unterminated string" in _only_problem(_write(tmp_path, "x.json", '"' + '\\"' * 500_000))[2]


def test_a_file_over_one_mebibyte_is_refused(tmp_path: Path) -> None:
    assert read(_write(tmp_path, "x.yaml", "a: " + "b" * (MIB - 3))).root.get("a")
    found = _only_problem(_write(tmp_path, "y.yaml", "a: " + "b" * (MIB - 2)))
    assert found[:3] == (0, 0, "larger than 1 MiB, which no experiment needs")


def test_what_is_no_readable_file_is_a_usage_error_with_a_next_step(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    for path, said in (
        (tmp_path / "missing.yaml", "no such file"),
        (tmp_path / "missing" / "x.yaml", "no such file"),
        (tmp_path / "pipe.yaml", "not a regular file"),
        (tmp_path / "folder.yaml", "not a regular file"),
        (tmp_path / "loop.yaml", "symbolic link"),
        (tmp_path / ("n" * 300 + ".yaml"), "name too long"),
        (tmp_path / "x.txt", "does not end in .yaml, .yml or .json"),
        (Path("/dev/zero"), "does not end in"),
        (Path("https://example.test/x.yaml"), "no such file"),
        (Path("a\0b.yaml"), "no file can be called"),
    ):
        with pytest.raises(UsageError) as refused:
            read(path)
        assert said in refused.value.message.lower(), path
        assert refused.value.next_step


def test_a_file_without_permission_is_a_usage_error(tmp_path: Path) -> None:
    file = _write(tmp_path, "x.yaml", "a: 1")
    file.chmod(0)
    if os.access(file, os.R_OK):
        # The superuser reads everything.
        assert read(file).root.plain() == {"a": 1}
        return
    with pytest.raises(UsageError) as refused:
        read(file)
    assert "chmod" in refused.value.next_step


def test_reading_recurses_no_deeper_than_files_may_nest(tmp_path: Path) -> None:
    file = _write(tmp_path, "x.yaml", "a: " + "[" * 49 + "]" * 49)
    limit = sys.getrecursionlimit()
    document = read(file)
    assert document.root.plain() == yaml.safe_load(file.read_text())
    assert sys.getrecursionlimit() == limit
