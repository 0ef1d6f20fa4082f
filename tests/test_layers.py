"""The layers of the package, read from its import statements: nothing imports upwards or in rings.

Imports under `TYPE_CHECKING` are free: types may look up. Imports inside functions count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import ipconf

ROOT = Path(ipconf.__file__).parent
LAYERS = (
    {"errors", "settings", "model", "events", "tsp_data"},
    {"engine", "sdp", "participants", "private_ifaces", "event_hub", "ticker", "workers"},
    {"codecs", "transports", "terminals", "pipelines", "directory", "programs"},
    {"rtp_streams", "streams", "stats", "calls"},
    {"call"},
    {"conference", "hub"},
    {"msp"},
    {"tsp"},
    {"", "cli", "bridge", "demo", "gateway", "join", "load", "__main__"},
)
"""Modules and packages right under `ipconf`, lowest layer first; "" is `ipconf` itself."""
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names}

SANS_IO = (
    "errors",
    "settings",
    "model",
    "events",
    "tsp_data",
    "engine",
    "sdp",
    "participants",
    "private_ifaces",
)
"""What gets its time as an argument and its bytes by a call."""
OUTSIDE = {"asyncio", "selectors", "socket", "ssl", "subprocess", "threading", "time"}
"""Clocks, networks and threads of the standard library."""


def _name_of(path: Path) -> str:
    """The module's name without "ipconf.", "" for the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below `node` but for what only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for alternative in child.orelse:
                yield from _executed(alternative)
            continue
        yield child
        yield from _executed(child)


@cache
def _imports(module: str) -> frozenset[str]:
    """Full names of what a module imports when it runs: modules, or names in them."""
    return frozenset(_imported(module))


def _imported(module: str) -> Iterator[str]:
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in _executed(_tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                steps = package.split(".") if package else []
                above = steps[: len(steps) - node.level + 1]
                base = ".".join(["ipconf", *above, *filter(None, [base])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _own_imports(module: str) -> set[str]:
    """The modules of this package that a module imports."""
    found = set()
    for full_name in _imports(module):
        head, _, name = full_name.partition(".")
        if head == "ipconf":
            while name not in MODULES:  # a name in a module rather than a module
                name = name.rpartition(".")[0]
            found.add(name)
    return found - {module}


def _layer(module: str) -> int:
    return LAYER_OF[module.partition(".")[0]]


def test_every_module_has_its_layer() -> None:
    strangers = {module.partition(".")[0] for module in MODULES} - LAYER_OF.keys()
    assert not strangers, "say in LAYERS where these belong"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_its_layer_and_below(module: str) -> None:
    above = {name for name in _own_imports(module) if _layer(name) > _layer(module)}
    assert not above, f"{module} is in layer {_layer(module)}"


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = TopologicalSorter({module: _own_imports(module) for module in MODULES})
    try:
        graph.prepare()
    except CycleError as exc:
        pytest.fail(" <- ".join(exc.args[1]))


@pytest.mark.parametrize("module", [m for m in MODULES if m.partition(".")[0] in SANS_IO])
def test_the_core_knows_no_clock_network_or_thread(module: str) -> None:
    assert not {name.partition(".")[0] for name in _imports(module)} & OUTSIDE


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("engine")])
def test_chance_in_the_engine_comes_from_outside(module: str) -> None:
    used = {
        node.attr
        for node in _executed(_tree(module))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "random"
    }
    assert used <= {"Random"}


@pytest.mark.parametrize(
    ("library", "users"),
    [
        ("aiortc", {"calls.negotiator", "transports"}),
        ("aioice", {"transports.ice"}),
        ("pylibsrtp", {"transports.srtp"}),
        ("rich", {"cli", "demo"}),
        ("aiohttp", {"bridge"}),
        ("prometheus_client", {"bridge"}),
    ],
)
def test_who_knows_a_library(library: str, users: set[str]) -> None:
    for module in MODULES:
        if any(name.partition(".")[0] == library for name in _imports(module)):
            assert module in users or module.partition(".")[0] in users


def test_private_names_of_the_transport_stack_stay_in_two_modules() -> None:
    """`test_aiortc_contract` pins what these two rely on."""
    private = {"_check_list", "_nominated", "_protocols", "_rx_srtp", "_set_role", "_tx_srtp"}
    users = set()
    for module in MODULES:
        nodes = _executed(_tree(module))
        if private & {node.attr for node in nodes if isinstance(node, ast.Attribute)}:
            users.add(module)
    assert users == {"transports.ice", "transports.webrtc"}
