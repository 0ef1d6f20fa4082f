"""The rules of MSPI for streams, as a small model, against streams of all four kinds.

The model says by itself what a stream does (running = transport ready, wanted, a usable terminal)
and what it tells; whatever an application and a network do, in any order, the two must agree.
"""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from senses import ALICE, AUDIO, CAPTURE, RENDER, VIDEO, PictureTerminal
from stream_lab import PCMU, Lab, Sender, Window, decoders
from video_lab import VP8

from ipconf.errors import (
    InvalidTerminalError,
    MaxTerminalsError,
    NoTerminalSelectedError,
    NotStoppedError,
    TerminalInUseError,
)
from ipconf.events import CallMediaEvent
from ipconf.model import Cause, Direction, MediaType
from ipconf.rtp_streams import Stream
from ipconf.streams.making import make_capture_stream
from ipconf.terminals.base import Terminal
from ipconf.terminals.tones import ToneTerminal

LOCAL, REMOTE, BAD = Cause.LOCAL_REQUEST, Cause.REMOTE_REQUEST, Cause.BAD_DEVICE
ACTIVE, INACTIVE = "StreamActive", "StreamInactive"
TERMINALS = 3
which = st.integers(0, TERMINALS - 1)


class Model:
    """A stream as the documents of the MSPI describe it; `expected` are the events."""

    def __init__(self, direction: Direction) -> None:
        self.direction = direction
        self.ready = False
        self.wanted = True
        self.usable: dict[int, bool] = {}
        self.expected: list[tuple[str, Cause]] = []

    @property
    def runs(self) -> bool:
        return self.ready and self.wanted and any(self.usable.values())

    def after(self, ran: bool, *, begins: Cause = LOCAL, ends: Cause = LOCAL) -> None:
        """Media flow wherever they may: what has changed is told."""
        if self.runs and not ran:
            self.expected.append((ACTIVE, begins))
        elif ran and not self.runs:
            self.expected.append((INACTIVE, ends))


class Encoder:
    """Makes a packet of everything."""

    bitrate_bps = 1

    def encode(self, frame: object, key_frame: bool) -> tuple[list[bytes], bool]:
        return [b"picture"], True


class StreamRules(RuleBasedStateMachine):
    """Does what applications, transports and devices do, in any order."""

    medium: MediaType
    direction: Direction

    def __init__(self) -> None:
        super().__init__()
        self.lab = Lab(self.medium)
        self.model = Model(self.direction)
        self.sender: Sender | None = None
        self.stream: Stream = self.lab.stream
        if self.direction is CAPTURE:
            self.stream = make_capture_stream(self.lab, self.medium)
        self.terminals = [self.make_terminal() for _ in range(TERMINALS)]
        elsewhere = self.make_terminal()
        other = Lab(self.medium).stream
        if self.direction is CAPTURE:
            other = make_capture_stream(Lab(self.medium), self.medium)
        other.select_terminal(elsewhere)
        self.elsewhere = elsewhere

    def make_terminal(self) -> Terminal:
        if self.direction is RENDER:
            return Window(self.medium)
        return ToneTerminal(440) if self.medium is AUDIO else PictureTerminal(ALICE)

    # -- what an application does

    @rule(number=which)
    def select(self, number: int) -> None:
        model, terminal, ran = self.model, self.terminals[number], self.model.runs
        if number in model.usable:
            with pytest.raises(InvalidTerminalError):
                self.stream.select_terminal(terminal)
        elif self.stream.max_terminals == len(model.usable):
            with pytest.raises(MaxTerminalsError):
                self.stream.select_terminal(terminal)
        else:
            self.stream.select_terminal(terminal)
            model.usable[number] = True
            model.after(ran)

    @rule()
    def select_what_does_not_fit(self) -> None:
        wrong = Window(VIDEO if self.medium is AUDIO else AUDIO)
        with pytest.raises(InvalidTerminalError):
            self.stream.select_terminal(wrong)
        if self.stream.max_terminals != len(self.model.usable):
            with pytest.raises(TerminalInUseError):
                self.stream.select_terminal(self.elsewhere)

    @rule(number=which)
    def unselect(self, number: int) -> None:
        model, ran = self.model, self.model.runs
        if number not in model.usable:
            with pytest.raises(InvalidTerminalError):
                self.stream.unselect_terminal(self.terminals[number])
            return
        self.stream.unselect_terminal(self.terminals[number])
        del model.usable[number]
        model.after(ran)

    @rule()
    def start(self) -> None:
        model, ran = self.model, self.model.runs
        if model.wanted:
            with pytest.raises(NotStoppedError):
                self.stream.start()
        elif not model.usable:
            with pytest.raises(NoTerminalSelectedError):
                self.stream.start()
        else:
            self.stream.start()
            model.wanted = True
            model.usable = dict.fromkeys(model.usable, True)  # each gets another try
            model.after(ran)

    @rule(cease=st.sampled_from(["pause", "stop"]))
    def cease(self, cease: str) -> None:
        ran = self.model.runs
        getattr(self.stream, cease)()
        self.model.wanted = False
        self.model.after(ran)

    # -- what happens to it

    @rule()
    def transport_comes_up(self) -> None:
        if self.model.ready:
            return
        ran = self.model.runs
        self.model.ready = True
        if self.direction is CAPTURE:
            self.stream.connect(_outlet(), _agreed(self.medium))
            self.model.after(ran)
        else:
            self.lab.connect()
            self.sender = self.lab.join("ann")
            self.model.after(ran, begins=REMOTE)

    @rule()
    def transport_goes_down(self) -> None:
        if not self.model.ready:
            return
        ran = self.model.runs
        self.model.ready = False
        if self.sender is not None:
            del self.lab.channel.session.sources[self.sender.source.ssrc]
            self.sender.leave()
            self.sender = None
        self.stream.disconnect(REMOTE)
        self.model.after(ran, ends=REMOTE)

    @rule(number=which)
    def terminal_breaks(self, number: int) -> None:
        model, ran = self.model, self.model.runs
        self.terminals[number].fail(OSError("unplugged"))
        if not model.usable.get(number):
            return  # not selected here, or known to be broken
        model.usable[number] = False
        model.expected.append(("TerminalFailed", BAD))
        if model.wanted and not any(model.usable.values()):
            model.expected.append(("StreamFailed", BAD))
        model.after(ran, ends=BAD)

    # -- what must hold

    @invariant()
    def they_agree(self) -> None:
        self.lab.run(0.1)
        model, stream = self.model, self.stream
        assert stream.running is stream.active is model.runs
        assert self.lab.told(CallMediaEvent) == model.expected
        model.expected = []
        assert set(stream.terminals) == {self.terminals[number] for number in model.usable}
        in_use = {number for number, t in enumerate(self.terminals) if t.in_use}
        assert in_use == set(model.usable)


def _outlet() -> SimpleNamespace:
    source = SimpleNamespace(packets=0, octets=0, in_step=0, reports={}, settle=lambda: None)
    session = SimpleNamespace(local=lambda mid: source)
    return SimpleNamespace(session=session, send=lambda *packet, **extensions: None)


def _agreed(medium: MediaType) -> SimpleNamespace:
    return SimpleNamespace(mid="0", send=PCMU if medium is AUDIO else VP8, riding=())


@pytest.mark.parametrize("direction", [CAPTURE, RENDER], ids=["capture", "render"])
@pytest.mark.parametrize("medium", [AUDIO, VIDEO], ids=["audio", "video"])
def test_streams_keep_the_rules(medium: MediaType, direction: Direction) -> None:
    machine = type("Rules", (StreamRules,), {"medium": medium, "direction": direction})
    encoder = "ipconf.pipelines.video_sender.create_video_encoder"
    with decoders(), patch(encoder, lambda *wanted: Encoder()):
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=60,
                stateful_step_count=25,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
