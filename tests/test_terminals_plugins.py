"""Terminals of others: found as plug-ins of installed packages, and raising events of their own."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from call_ends import EventLog, loopback
from peers import eventually, scenario
from senses import AUDIO, CAPTURE, RENDER, VIDEO
from terminal_lab import Host

from ipconf import (
    CaptureTerminal,
    MediaServiceProvider,
    NullTerminal,
    RenderTerminal,
    TerminalClass,
    TerminalEvent,
    ToneTerminal,
)
from ipconf.errors import ConfigurationError, InvalidTerminalClassError, InvalidTerminalError
from ipconf.events import AddressEvent, CallEvent, TerminalAvailable, TerminalUnavailable
from ipconf.terminals.registry import TerminalRegistry

Install = Callable[..., None]

WHISTLE = """
from ipconf import Direction, MediaType, TerminalClass, ToneTerminal

WHISTLE = TerminalClass(
    "whistle",
    frozenset({MediaType.AUDIO}),
    frozenset({Direction.CAPTURE}),
    lambda media_type, direction, hz=2000.0: ToneTerminal(hz, name="whistle"),
    superclass="wind instruments",
    company="Pipes Ltd",
    version="2.1",
)
TONE = TerminalClass("tone", WHISTLE.media_types, WHISTLE.directions, WHISTLE.make)
NOTHING = TerminalClass("nothing", WHISTLE.media_types, WHISTLE.directions, lambda *args: None)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a package where installed ones are: its code, and its plug-ins by name."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(package: str, code: str, **plugins: str) -> None:
        (tmp_path / f"{package}.py").write_text(code)
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        points = "\n".join(f"{name} = {package}:{target}" for name, target in plugins.items())
        (info / "entry_points.txt").write_text(f"[ipconf.terminals]\n{points}\n")
        monkeypatch.delitem(sys.modules, package, raising=False)

    return install


# -- plug-ins


def test_plugins_are_found_on_request(install: Install) -> None:
    install("pipes_one", WHISTLE, whistle="WHISTLE")
    registry = TerminalRegistry()
    assert "whistle" not in registry.classes() and "pipes_one" not in sys.modules
    with pytest.raises(InvalidTerminalClassError, match=r"plug-ins come with load_plugins\(\)"):
        registry.create("whistle", AUDIO, CAPTURE)
    (found,) = registry.load_plugins()
    assert registry.plugins == (found,) and registry.plugin_failures == ()
    assert (found.name, found.company, found.version) == ("whistle", "Pipes Ltd", "2.1")
    assert (found.media_types, found.directions) == ({AUDIO}, {CAPTURE})
    assert registry.describe("whistle") is found
    assert "whistle" in registry.classes(AUDIO) and "whistle" not in registry.classes(VIDEO)
    whistle = registry.create("whistle", AUDIO, CAPTURE, hz=3000.0)
    assert isinstance(whistle, ToneTerminal) and whistle.frequency_hz == 3000.0
    assert registry.load_plugins() == ()  # there is nothing new
    assert registry.plugins == (found,)


def test_classes_are_found_by_category(install: Install) -> None:
    install("pipes_two", WHISTLE, whistle="WHISTLE")
    registry = TerminalRegistry()
    assert registry.superclasses == ("streaming", "video", "file")
    registry.load_plugins()
    assert registry.superclasses == ("streaming", "video", "file", "wind instruments")
    assert registry.classes(superclass="wind instruments") == ("whistle",)
    assert registry.classes(VIDEO, "wind instruments") == ()
    files = ("clip", "file playback", "file recording", "payload recording")
    assert registry.classes(superclass="file") == files


def test_broken_plugins_are_reported_and_left_out(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install("pipes_three", WHISTLE, whistle="WHISTLE", tone="TONE", wrong="__name__")
    install("pipes_broken", "raise OSError('no sound card')", horn="HORN")
    install("pipes_old", "", flute="FLUTE")
    install("pipes_quitting", "raise SystemExit('wrong version')", tuba="TUBA")
    install("pipes_copy", WHISTLE, copy="WHISTLE")
    registry = TerminalRegistry()
    with caplog.at_level(logging.WARNING, "ipconf"):
        assert [each.name for each in registry.load_plugins()] == ["whistle"]
    failures = {failure.name: failure for failure in registry.plugin_failures}
    whistle_or_copy = ({"whistle", "copy"} & set(failures)).pop()
    for name, kind, reason in (
        ("horn", OSError, "no sound card"),
        ("flute", AttributeError, "FLUTE"),
        ("tuba", SystemExit, "wrong version"),
        ("tone", ConfigurationError, "exists already: choose another name"),
        ("wrong", ConfigurationError, "is no TerminalClass"),
        (whistle_or_copy, ConfigurationError, "exists already"),
    ):
        assert isinstance(failures[name].error, kind) and reason in str(failures[name].error)
        assert sum(name in record.getMessage() for record in caplog.records) >= 1
    assert failures["horn"].target == "pipes_broken:HORN"
    assert len(failures) == len(caplog.records) == 6
    tone = registry.create("tone", AUDIO, CAPTURE)
    assert tone.name == "tone"  # the one of this package
    assert registry.load_plugins() == () and len(registry.plugin_failures) == 6


def test_a_class_that_makes_no_terminal(install: Install) -> None:
    install("pipes_four", WHISTLE, nothing="NOTHING")
    registry = TerminalRegistry()
    registry.load_plugins()
    with pytest.raises(InvalidTerminalClassError, match="is no Terminal; tell its author"):
        registry.create("nothing", AUDIO, CAPTURE)
    with pytest.raises(ConfigurationError, match="at least one medium"):
        TerminalClass("", frozenset(), frozenset(), NullTerminal)


def test_the_example_works_as_a_plugin(install: Install) -> None:
    """In a process of its own, so that nothing of it stays here."""
    code = (Path(__file__).parents[1] / "examples" / "custom_terminal.py").read_text()
    install("custom_terminal", code, metronome="METRONOME")
    program = (
        "from ipconf import *; from ipconf.terminals.registry import TerminalRegistry\n"
        "registry = TerminalRegistry(); print([c.name for c in registry.load_plugins()])\n"
        "print(registry.create('metronome', MediaType.AUDIO, Direction.CAPTURE).name)"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.stdout, ran.stderr) == ("['metronome']\nmetronome\n", "")


# -- devices that come and go


def test_devices_are_plugged_in_and_out() -> None:
    async def run() -> None:
        early, headset = ToneTerminal(name="built in"), ToneTerminal(name="headset")
        msp = MediaServiceProvider()
        msp.terminals.add_static(early)  # nobody is there to be told
        async with msp:
            events = msp.events(AddressEvent)
            assert msp.terminals.static == (early,)
            msp.terminals.add_static(headset)
            with pytest.raises(ConfigurationError, match="list it once"):
                msp.terminals.add_static(headset)
            came = await anext(events)
            assert type(came) is TerminalAvailable and came.terminal is headset
            assert came.at == pytest.approx(msp.now(), abs=1.0)
            assert msp.terminals.default_static(AUDIO, CAPTURE) is early
            msp.terminals.remove_static(early)
            with pytest.raises(InvalidTerminalError, match="is no static terminal"):
                msp.terminals.remove_static(early)
            went = await anext(events)
            assert type(went) is TerminalUnavailable and went.terminal is early
            assert msp.terminals.default_static(AUDIO, CAPTURE) is headset
        assert headset.closed and not early.closed

    asyncio.run(run())


# -- events of one's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Clap(TerminalEvent):
    """Somebody clapped."""

    loudness: float


class ButtonPressed(TerminalEvent):
    """A headset has a button."""


class ClapDetector(RenderTerminal):
    """Hears whether somebody claps."""

    def write(self, media: object, at: float) -> None:
        if isinstance(media, np.ndarray) and np.abs(media).max(initial=0) > 1_000:
            self.post(Clap, loudness=float(np.abs(media).max()))


class Headset(CaptureTerminal):
    """Has a button."""

    def read(self, now: float) -> None:
        return None


def test_events_go_to_each_call_once() -> None:
    headset, call = Headset("headset", AUDIO, CAPTURE), object()
    headset.post(ButtonPressed)  # nobody is there
    headset.shared = True
    hosts = Host(call), Host(call), Host()
    for host in hosts:
        headset.attach(host)
    headset.post(ButtonPressed)
    assert [host.told for host in hosts] == [
        [(ButtonPressed, {"terminal": headset})],
        [],
        [(ButtonPressed, {"terminal": headset})],
    ]


@scenario()
async def test_a_terminals_own_events_come_out_of_the_call() -> None:
    async with loopback() as (tsp, x, y):
        log, far = EventLog(y), EventLog(x)
        detector, headset = ClapDetector("ear", AUDIO, RENDER), Headset("headset", AUDIO, CAPTURE)
        y.stream(AUDIO, RENDER).select_terminal(detector)
        y.stream(AUDIO, CAPTURE).select_terminal(headset)
        x.stream(AUDIO, CAPTURE).select_terminal(ToneTerminal(500))
        claps = y.events(Clap)
        await tsp.connect(pair=(x, y))
        clap = await anext(claps)
        assert clap.call is y and clap.terminal is detector and clap.loudness > 1_000
        json = clap.to_json()
        assert json["event"] == "Clap" and json["terminal"] == detector.identity
        headset.post(ButtonPressed)
        pressed = await log.until(ButtonPressed)
        assert pressed.terminal is headset and isinstance(pressed, CallEvent)
        y.stream(AUDIO, RENDER).unselect_terminal(detector)
        await eventually(lambda: not detector.in_use)
        assert not far.of(TerminalEvent)
