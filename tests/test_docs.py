"""What the documents claim: names, tests, files and links that exist, and examples that run."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic import BaseModel

ROOT = Path(__file__).parents[1]
MAP = ROOT / "docs" / "mspi-map.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = (ROOT, ROOT / "ipconf", ROOT / "docs")
"""Where a path that a document names may begin."""
EXAMPLE_LINES = 16
"""The first example is read before anything else: no longer than this, blank lines apart."""
EXAMPLE_LIMIT_S = 60.0

NOTHING = "—"
NOT_YET = "not yet"
HEADS = (["MSPI", "here", "shown by"], ["code", "here", "shown by"])
"""The columns of the tables that are checked row by row."""

CODE = re.compile(r"`([^`]+)`")
NAME = re.compile(r"ipconf(\.\w+)+")
TEST = re.compile(r"(tests/test_\w+\.py)::(test_\w+)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"[\w./-]+\.(?:py|md|toml)")


class Row(NamedTuple):
    """What the map says about one member."""

    member: str
    here: str
    shown: str

    @property
    def names(self) -> list[str]:
        """The dotted names of ours."""
        return CODE.findall(self.here)

    @property
    def tests(self) -> list[tuple[str, str]]:
        """The file and the function of each test."""
        return TEST.findall(self.shown)


def tables(page: Path) -> Iterator[tuple[list[str], list[str]]]:
    """Each row of each table of a page, with the head of its table."""
    head: list[str] = []
    for line in page.read_text().splitlines():
        if not line.startswith("|"):
            head = []
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not head:
            head = cells
        elif not all(set(cell) <= set("-:") for cell in cells):
            yield head, cells


def rows() -> list[Row]:
    """The rows of the map that claim something."""
    return [Row(*cells) for head, cells in tables(MAP) if head in HEADS]


@cache
def attributes_of(cls: type) -> frozenset[str]:
    """What the objects of a class have that the class has not: settings, and what __init__ sets."""
    found: set[str] = set()
    for base in cls.__mro__:
        if issubclass(base, BaseModel):
            found.update(base.model_fields)
        elif base.__module__.startswith("ipconf"):
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
            found.update(
                node.attr
                for node in ast.walk(tree)
                if isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Store)
                and isinstance(node.value, ast.Name)
                and node.value.id == "self"
            )
    return frozenset(found)


def is_there(dotted: str) -> bool:
    """Whether that name is public in the package, as a module, a member or an attribute."""
    parts = dotted.split(".")
    if any(part.startswith("_") for part in parts):
        return False
    thing: object = importlib.import_module(parts[0])
    for index, part in enumerate(parts[1:], start=2):
        if hasattr(thing, part):
            thing = getattr(thing, part)
        elif inspect.ismodule(thing):
            try:
                thing = importlib.import_module(".".join(parts[:index]))
            except ModuleNotFoundError:
                return False
        else:
            return index == len(parts) and isinstance(thing, type) and part in attributes_of(thing)
    return True


@cache
def functions_of(path: str) -> frozenset[str]:
    """The functions of a file, by name."""
    if not (ROOT / path).is_file():
        return frozenset()
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(
        node.name for node in ast.parse((ROOT / path).read_text()).body if isinstance(node, kinds)
    )


def prose(page: Path) -> str:
    """The text of a page without its fenced blocks."""
    return FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings make, as code forges write them."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_row_has_three_cells_and_a_member_of_its_own() -> None:
    cells = [cells for head, cells in tables(MAP) if head in HEADS]
    assert len(cells) > 300
    assert [row for row in cells if len(row) != 3 or not all(row)] == []
    members = [member for member, *_ in cells]
    assert [member for member in members if members.count(member) > 1] == []


def test_every_row_says_how_things_stand() -> None:
    """With a name: tests, or not yet; without one: not yet, or the reason why there is none."""

    def stands(row: Row) -> bool:
        if row.here == NOTHING:
            return not row.tests and (row.shown == NOT_YET or len(row.shown.split()) > 2)
        listed = ", ".join(f"`{path}::{test}`" for path, test in row.tests)
        return bool(row.names) and (row.shown == NOT_YET or row.shown == listed != "")

    assert [row for row in rows() if not stands(row)] == []


def test_every_name_of_ours_exists() -> None:
    wrong = [
        (row.member, name)
        for row in rows()
        if row.here != NOTHING
        for name in row.names
        if not NAME.fullmatch(name) or not is_there(name)
    ]
    assert wrong == []
    assert [row for row in rows() if CODE.sub("", row.here).strip(", ") not in ("", NOTHING)] == []


def test_every_test_that_is_named_exists() -> None:
    named = {(page.name, *test) for page in PAGES for test in TEST.findall(page.read_text())}
    assert [name for name in sorted(named) if name[2] not in functions_of(name[1])] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    named = {
        name for code in CODE.findall(prose(page)) if FILE.fullmatch(name := code.split("::")[0])
    }
    missing = [n for n in sorted(named) if not any((folder / n).is_file() for folder in FOLDERS)]
    assert missing == []


def test_the_examples_of_the_readme_run(tmp_path: Path) -> None:
    examples = [
        code for kind, code in FENCE.findall((ROOT / "README.md").read_text()) if kind == "python"
    ]
    assert sum(bool(line.strip()) for line in examples[0].splitlines()) <= EXAMPLE_LINES
    for code in examples:
        ran = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=EXAMPLE_LIMIT_S,
        )
        assert (ran.returncode, ran.stderr) == (0, "")
