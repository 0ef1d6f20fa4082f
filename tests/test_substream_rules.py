"""People, places, windows and pins in any order: what must hold about an arriving stream."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from senses import AUDIO, VIDEO
from stream_lab import LOUD, QUIET, Lab, Sender, Window, decoders

from ipconf.engine.windows import Windows
from ipconf.errors import NoTerminalSelectedError, NotStoppedError, UsageError
from ipconf.events import (
    NewParticipant,
    NewSubStream,
    ParticipantLeft,
    ParticipantRecovered,
    ParticipantTimedOut,
    SubStreamMapped,
    SubStreamRemoved,
    SubStreamUnmapped,
)
from ipconf.model import GoneReason, MediaType
from ipconf.participants import Participant
from ipconf.streams.substreams import SubStream

DECODERS, MOST_PEOPLE, MOST_WINDOWS = 3, 6, 4
anybody = st.integers(0, MOST_PEOPLE - 1)


class SubStreamRules(RuleBasedStateMachine):
    medium: MediaType

    def __init__(self) -> None:
        super().__init__()
        self.lab = Lab(self.medium, max_decoded_sources=DECODERS)
        self.lab.connect()
        self.stream = self.lab.stream
        self.people: dict[int, Sender] = {}
        self.windows = [Window(self.medium) for _ in range(MOST_WINDOWS)]
        self.present: set[Participant] = set()
        self.on: dict[SubStream, Participant] = {}
        self.mapped: set[SubStream] = set()

    def host_of(self, number: int) -> object:
        """Where to put a terminal: the stream, or one of the substreams."""
        choices = [self.stream, *self.stream.substreams]
        return choices[number % len(choices)]

    @rule(number=anybody, loud=st.booleans())
    def come_or_talk(self, number: int, loud: bool) -> None:
        if number not in self.people:
            self.people[number] = self.lab.join(f"p{number}")
        self.people[number].level = LOUD if loud else QUIET

    @rule(number=anybody, reason=st.sampled_from([GoneReason.BYE, GoneReason.TIMEOUT]))
    def leave(self, number: int, reason: GoneReason) -> None:
        if number in self.people:
            sender = self.people.pop(number)
            del self.lab.channel.session.sources[sender.source.ssrc]
            sender.leave(reason)

    @rule(number=anybody, sends=st.booleans())
    def fall_silent_or_go_on(self, number: int, sends: bool) -> None:
        if number in self.people:
            self.people[number].sends = sends

    @rule()
    def create(self) -> None:
        if len(self.stream.substreams) < 10:
            self.stream.create_substream()

    @rule(number=st.integers(0, 20))
    def remove(self, number: int) -> None:
        host = self.host_of(number)
        if host is not self.stream and host.created:
            self.stream.remove_substream(host)

    @rule(window=st.integers(0, MOST_WINDOWS - 1), number=st.integers(0, 20))
    def put_a_window_somewhere(self, window: int, number: int) -> None:
        terminal = self.windows[window]
        for host in terminal.hosts:
            host.unselect_terminal(terminal)
        self.host_of(number).select_terminal(terminal)

    @rule(window=st.integers(0, MOST_WINDOWS - 1), number=st.integers(0, 20))
    def switch(self, window: int, number: int) -> None:
        host = self.host_of(number)
        if host is not self.stream and host.participant is not None:
            self.lab.control.switch_terminal(self.windows[window], host)
            assert self.windows[window] in host.terminals

    @rule(number=st.integers(0, 20), how=st.sampled_from(["start", "pause", "stop"]))
    def run_or_not(self, number: int, how: str) -> None:
        try:
            getattr(self.host_of(number), how)()
        except (NotStoppedError, NoTerminalSelectedError):
            assert how == "start"

    @rule(number=anybody, window=st.integers(-1, MOST_WINDOWS - 1))
    def pin_or_unpin(self, number: int, window: int) -> None:
        if number not in self.people or self.medium is AUDIO:
            return
        person, control = self.people[number].person, self.lab.control
        if window < 0 and person in control.pinned:
            control.unpin(person)
        elif window < 0 or self.windows[window] in self.stream.terminals:
            control.pin(person, None if window < 0 else self.windows[window])
            assert person in control.pinned

    @rule(number=anybody, enabled=st.booleans())
    def mute(self, number: int, enabled: bool) -> None:
        if number in self.people:
            try:
                self.people[number].person.set_enabled(self.stream, enabled)
            except UsageError:
                assert not self.people[number].source.packets

    @rule(seconds=st.sampled_from([0.05, 0.5, 3.0]))
    def time_passes(self, seconds: float) -> None:
        self.lab.run(seconds)

    # -- what must hold

    @invariant()
    def events_pair_up(self) -> None:
        self.lab.run(0.12)  # in a crowd newcomers wait for a moment
        for event in self.lab.events:
            match event:
                case NewParticipant() | ParticipantRecovered():
                    assert event.participant not in self.present
                    self.present.add(event.participant)
                case ParticipantLeft() | ParticipantTimedOut():
                    assert event.participant not in self.on.values()
                    self.present.remove(event.participant)
                case NewSubStream():
                    assert event.substream not in self.on and event.participant in self.present
                    self.on[event.substream] = event.participant
                case SubStreamRemoved():
                    assert event.substream not in self.mapped
                    assert self.on.pop(event.substream) is event.participant
                case SubStreamMapped():
                    assert event.substream in self.on and event.substream not in self.mapped
                    self.mapped.add(event.substream)
                    assert len(self.mapped) <= DECODERS  # who goes is told first
                case SubStreamUnmapped():
                    self.mapped.remove(event.substream)
        self.lab.events.clear()
        assert self.present == {sender.person for sender in self.people.values()}

    @invariant()
    def everybody_who_sends_has_one_substream(self) -> None:
        carried = [s.source for s in self.stream.substreams if s.source is not None]
        sending = [s.source for s in self.people.values() if s.source.packets]
        assert {source.ssrc for source in carried} == {source.ssrc for source in sending}
        assert len(carried) == len(sending)
        for substream in self.stream.substreams:
            assert self.on.get(substream) is substream.participant
            assert substream.created or substream.source is not None

    @invariant()
    def who_is_mapped_has_a_terminal(self) -> None:
        shared = [t for t in self.windows if t in self.stream.terminals]
        shown: set[SubStream] = set()
        if self.medium is VIDEO:
            shown = set(self.stream.query(Windows).shown.values())
        for substream in self.mapped:
            assert self.stream.running and substream.running
            in_mix = self.medium is AUDIO and shared
            assert substream.terminals or in_mix or substream in shown
        assert {s for s, _ in self.stream.receivers.items()} <= self.mapped or not (
            self.stream.running
        )

    @invariant()
    def no_place_is_wasted(self) -> None:
        if not self.stream.running:
            return
        candidates = [s for s in self.stream.substreams if s.source is not None and s.running]
        if self.medium is VIDEO:
            free = [t for t in self.windows if t in self.stream.terminals]
            wanting = [s for s in candidates if not s.terminals]
            owners = len(candidates) - len(wanting)
            rendered = owners + min(len(free), len(wanting))
        elif any(t in self.stream.terminals for t in self.windows):
            rendered = len(candidates)
        else:
            rendered = sum(bool(s.terminals) for s in candidates)
        assert len(self.mapped) == min(rendered, DECODERS)


@pytest.mark.parametrize("medium", [AUDIO, VIDEO], ids=["audio", "video"])
def test_whatever_happens_everybody_is_where_they_belong(medium: MediaType) -> None:
    machine = type("Rules", (SubStreamRules,), {"medium": medium})
    with decoders():
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=80,
                stateful_step_count=40,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
