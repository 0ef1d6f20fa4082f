"""The guard against loops, by the packet: who is held, for how long, and who pays for nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from ipconf.engine.reception import RemoteSource
from ipconf.engine.rtp_wire import RtpPacket
from ipconf.hub.call_legs import CallLeg
from ipconf.hub.loops import HOLD_S, LoopGuard

OURS, MIXER, ANN, GUS = 1, 2, 3, 4
HERE, THERE = ("192.0.2.1", 4000), ("192.0.2.2", 4000)


class Lab:
    """A leg of which only what the guard asks for is there."""

    def __init__(self) -> None:
        self.posted: list[object] = []
        self.known: set[int] = set()
        """Who is known there without a mixer."""
        self.leg = SimpleNamespace(
            conference=SimpleNamespace(
                told=SimpleNamespace(tells=lambda csrc, leg: False),
                attendee_of=lambda leg, source: "the mixer",
                post=lambda kind, **fields: self.posted.append(kind),
            ),
            senders=(),
            own_ssrcs={OURS},
            knows=self.known.__contains__,
        )
        self.guard = LoopGuard(cast(CallLeg, self.leg))

    def sends(self, *ssrcs: int) -> None:
        """These send media there from now on."""
        self.known |= set(ssrcs)
        self.leg.senders = [RemoteSource(ssrc, 0.0) for ssrc in ssrcs]

    def drops(self, source: RemoteSource, now: float, *csrcs: int, origin: Any = HERE) -> bool:
        """Whether a packet of that source is left out."""
        source.rtp_origin = origin
        packet = cast(RtpPacket, SimpleNamespace(source=source, csrcs=csrcs))
        return self.guard.brings_back(packet, now)


def test_who_brings_something_back_is_held_for_some_time() -> None:
    lab, mixer = Lab(), RemoteSource(MIXER, 0.0)
    assert not lab.drops(mixer, 0.0, GUS)
    assert lab.drops(mixer, 1.0, OURS)
    assert lab.drops(mixer, HOLD_S, GUS) and lab.drops(mixer, HOLD_S)
    assert not lab.drops(mixer, HOLD_S + 1.0, GUS)
    assert lab.guard.dropped == 3 and len(lab.posted) == 1


def test_who_is_no_mixer_does_not_pay_for_what_another_sent_under_their_number() -> None:
    lab, ann = Lab(), RemoteSource(ANN, 0.0)
    assert lab.drops(ann, 1.0, OURS, origin=THERE)
    assert lab.drops(ann, 1.1, origin=THERE), "the one who did it"
    assert lab.drops(ann, 1.2, GUS), "a mixer may have moved"
    assert not lab.drops(ann, 1.3)
    assert not lab.drops(ann, 1.4, GUS), "which is all that it is held for"


def test_what_was_heard_before_it_is_brought_back_is_a_loop() -> None:
    lab, mixer = Lab(), RemoteSource(MIXER, 0.0)
    lab.sends(MIXER, ANN)
    assert lab.drops(mixer, 1.0, ANN)


def test_who_is_known_but_silent_and_then_speaks_is_a_loop_as_well() -> None:
    lab, mixer = Lab(), RemoteSource(MIXER, 0.0)
    lab.known.add(ANN)
    assert not lab.drops(mixer, 1.0, ANN)
    lab.sends(MIXER, ANN)
    assert lab.drops(mixer, 1.1, ANN)


def test_who_sends_under_the_number_of_a_contributor_silences_no_mixer() -> None:
    lab, mixer = Lab(), RemoteSource(MIXER, 0.0)
    assert not lab.drops(mixer, 1.0, GUS)
    lab.sends(MIXER, GUS)
    assert not lab.drops(mixer, 1.1, GUS)
    lab.sends(MIXER, GUS, ANN)
    assert lab.drops(mixer, 1.2, GUS, ANN)
    lab.guard.forget(mixer)
    assert lab.drops(mixer, 1.3, GUS), "of a mixer that is another one nothing is remembered"
