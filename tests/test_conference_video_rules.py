"""What applications set for pictures in a conference, and what they are told of them."""

from __future__ import annotations

import pytest
from call_ends import EventLog
from gallery_lab import PATIENCE_S, Gallery, gallery, passes
from gallery_loop import visibly
from peers import eventually
from senses import AUDIO, CAPTURE, VIDEO
from sessions import sdes

from ipconf.engine.rtcp_wire import ReceiverReport, compose_compound
from ipconf.engine.video_rates import RateSettings
from ipconf.errors import ConfigurationError, InvalidStreamError, NoItemError
from ipconf.events import AttendeeChanged, SlotChanged, SubStreamMapped, SubStreamUnmapped
from ipconf.hub.people import Role
from ipconf.model import SdesType

TALK_S = 3.5
"""Who talks for so long would have come to be seen."""


def slots(there: Gallery, name: str) -> list[str | None]:
    """Who is in each slot of a party, as the conference says."""
    seen = there.conference.seen(there[name].leg)
    return [None if person is None else person.name for person in seen]


async def settled(there: Gallery, **truth: list[str | None]) -> None:
    """Return when these slots are as they should be, in the conference and at the far ends."""
    await eventually(
        lambda: all(slots(there, name) == wanted for name, wanted in truth.items()),
        str(truth),
        limit_s=PATIENCE_S,
    )
    await there.see(**{name: {w for w in wanted if w} for name, wanted in truth.items()})


@visibly()
async def test_who_is_pinned_stays() -> None:
    async with gallery("ABCD", slots=2) as there:
        conference, leg = there.conference, there["A"].leg
        conference.pin(there.person("D"), leg)
        await eventually(lambda: "D" in slots(there, "A"), limit_s=PATIENCE_S)
        for name in "BC":
            there.talk(name)
            await passes(TALK_S)
            assert set(slots(there, "A")) == {name, "D"}
            assert set(slots(there, "B")) | {"B"} >= {name}
        conference.pin(there.person("B"), leg, 0)
        conference.pin(there.person("C"), leg, 1)
        await settled(there, A=["B", "C"])
        conference.pin(there.person("D"), leg, 0)
        await settled(there, A=["D", "C"])
        there.talk("B")
        await passes(TALK_S)
        assert slots(there, "A") == ["D", "C"]
        conference.unpin(there.person("C"), leg)
        conference.unpin(there.person("C"), leg)
        await settled(there, A=["D", "B"])
        there["D"].camera.off = True
        await settled(there, A=["C", "B"])
        there["D"].camera.off = False
        await settled(there, A=["D", "B"])


@visibly()
async def test_whom_all_are_to_see() -> None:
    async with gallery("ABCD", slots=1) as there:
        log = EventLog(there.conference)
        there.talk("A")
        await there.see(4.0, B="A", C="A", D="A")
        ann, dan = there.person("A"), there.person("D")
        there.conference.pin(dan)
        await there.see(A="D", B="D", C="D", D="A")
        there.conference.pin(ann, there["B"].leg)
        await there.see(A="D", B="A", C="D", D="A")
        there.conference.unpin(dan)
        there.conference.unpin(ann, there["B"].leg)
        await there.see(4.0, B="A", C="A", D="A")
        told = [e for e in log.of(AttendeeChanged) if "pinned" in e.changed]
        assert {e.attendee for e in told} == {dan}
        said = [e.values for e in told]
        assert said == [{"pinned": True}, {"pinned": False}]


@visibly()
async def test_slots_are_counted_and_selves_shown() -> None:
    async with gallery("ABC", slots=2) as there:
        conference, leg = there.conference, there["A"].leg
        await there.see(A="BC", B="AC", C="AB")
        conference.set_slots(leg, 1)
        await there.see(A=set(there["A"].knows() - {"C"}) or {"C"}, B="AC")
        assert sum(name is not None for name in slots(there, "A")) == 1
        conference.set_slots(leg, 0)
        await settled(there, A=[None, None])
        conference.set_slots(leg, 100)
        await there.see(A="BC")
        conference.set_slots(leg, None)
        ours = there["A"].call.stream(VIDEO, CAPTURE).local_source.ssrc
        conference.show_self(leg)
        conference.pin(there.person("A"), leg)
        await eventually(lambda: "A" in there["A"].sees(), limit_s=PATIENCE_S)
        await passes(1.0)
        assert there["A"].call.stream(VIDEO, CAPTURE).local_source.ssrc == ours, "taken for a loop"
        conference.show_self(leg, False)
        await there.see(A="BC", B="AC")


@visibly()
async def test_everybody_is_told() -> None:
    async with gallery("AB", slots=1) as there:
        await there.see(A="B", B="A")
        conference, leg = there.conference, there["A"].leg
        hub, far = EventLog(conference), EventLog(there["A"].call)
        ben = there.person("B")
        assert ben.camera and not ben.screen and len(ben.picture_csrcs) == 1
        before = conference.state()
        assert [p.camera for p in before.people] == [True, True]
        assert before.views[leg.identity] == (ben.identity,)
        there["B"].camera.off = True
        await settled(there, A=[None])
        assert conference.state().views[leg.identity] == (None,)
        (state,) = [p for p in conference.state(before.version).people if p.name == "B"]
        assert not state.camera
        there["B"].camera.off = False
        await settled(there, A=["B"])
        assert [e.values for e in hub.of(AttendeeChanged)] == [{"camera": False}, {"camera": True}]
        changes = [(e.leg, e.slot, e.attendee, e.content) for e in hub.of(SlotChanged)]
        assert changes == [(leg, 0, None, ""), (leg, 0, ben, "")]
        told = [
            (type(e), e.participant.name)
            for e in far.of(SubStreamMapped, SubStreamUnmapped)
            if e.participant is not None and e.substream.media_type is VIDEO
        ]
        assert told == [(SubStreamUnmapped, "B"), (SubStreamMapped, "B")]
        hub.forget()
        await there["B"].call.disconnect()
        del there.viewers["B"]
        await eventually(lambda: slots(there, "A") == [None])
        await eventually(lambda: hub.of(SlotChanged))
        assert [e.attendee for e in hub.of(SlotChanged) if e.leg is leg] == [None]
        assert set(conference.state().views) == {leg.identity}


@visibly()
async def test_a_camera_changes_hands() -> None:
    async with gallery("AB", slots=1, strict=False) as there:
        await there.see(A="B", B="A")
        log, ann = EventLog(there.conference), there.person("A")
        call = there["A"].call
        (channel,) = call._media.channels
        source = call.stream(VIDEO, CAPTURE).local_source
        assert source is not None
        words = compose_compound(
            [ReceiverReport(source.ssrc, ()), sdes(source.ssrc, (SdesType.CNAME, "Zoe"))]
        )
        channel.transport.send(words)
        await eventually(lambda: len(there.conference.attendees) == 3)
        (zoe,) = [person for person in there.conference.attendees if person.cname == "Zoe"]
        assert zoe.camera and not ann.camera and ann.present
        assert there.conference.seen(there["B"].leg) == (zoe,)
        await eventually(lambda: ann.camera and not zoe.present, "A says again who it is")
        assert there.conference.seen(there["B"].leg) == (ann,)
        told = [(e.attendee, e.values["camera"]) for e in log.of(AttendeeChanged)]
        assert told == [(ann, False), (zoe, True), (zoe, False), (ann, True)]
        seen = [e.attendee for e in log.of(SlotChanged) if e.leg is there["B"].leg]
        assert [person for person in seen if person is not None] == [zoe, ann]
        log.forget()
        (feed,) = there["A"].leg.feeds
        there.conference.video.owner_changed(feed, there.conference.now())
        await passes(0.1)
        assert not log.of(SlotChanged), "it is still theirs"


@visibly()
async def test_who_is_muted_is_seen_and_who_is_deaf_sees() -> None:
    async with gallery("AB", slots=1) as there:
        there.conference.mute(there.person("B"))
        there.conference.deafen(there["A"].leg)
        await there.see(A="B", B="A")


@visibly()
async def test_listeners_are_not_seen_until_they_may_speak() -> None:
    async with gallery("ABC", slots=2) as there:
        conference, cy = there.conference, there.person("C")
        await there.see(A="BC", B="AC", C="AB")
        hub = EventLog(conference)
        conference.set_role(cy, Role.LISTENER)
        await there.see(A="B", B="A", C="AB")
        assert not cy.camera
        conference.pin(cy)
        conference.pin(cy, there["A"].leg, 0)
        there.talk("C")
        await passes(TALK_S)
        assert {name: set(slots(there, name)) - {None} for name in "AB"} == {"A": {"B"}, "B": {"A"}}
        await there.see(A="B", B="A", C="AB")
        told = there["C"].leg.feeds[0].limit_bps
        assert told == RateSettings().sender_floor_bps, "they need not send"
        conference.set_role(cy, Role.SPEAKER)
        await there.see(A="BC", B="AC", C="AB")
        assert slots(there, "A")[0] == "C"
        cameras = [e.values for e in hub.of(AttendeeChanged) if "camera" in e.changed]
        assert cameras == [{"camera": False}, {"camera": True}]


@visibly()
async def test_mistakes_are_told() -> None:
    async with gallery("AB", slots=2) as there:
        conference, leg = there.conference, there["A"].leg
        await there.see(A="B", B="A")
        ben = there.person("B")
        for slot in (-1, 2):
            with pytest.raises(ConfigurationError, match="has 2 slots"):
                conference.pin(ben, leg, slot)
        with pytest.raises(ConfigurationError, match="-1 slots"):
            conference.set_slots(leg, -1)
        local = conference.add_local("Announcer")
        sound = conference.add(there.hub.create_call({AUDIO}))
        for blind in (local, sound):
            assert conference.seen(blind) == ()
            with pytest.raises(InvalidStreamError, match="takes no pictures"):
                conference.set_slots(blind, 1)
            with pytest.raises(InvalidStreamError, match="takes no pictures"):
                conference.pin(ben, blind)
            with pytest.raises(InvalidStreamError, match="takes no pictures"):
                conference.show_self(blind)
        gone = there["B"].leg
        await conference.remove(gone)
        del there.viewers["B"]
        for call in (
            lambda: conference.seen(gone),
            lambda: conference.set_slots(gone, 1),
            lambda: conference.show_self(gone),
            lambda: conference.pin(ben),
            lambda: conference.pin(there.person("A"), gone),
            lambda: conference.unpin(ben),
            lambda: conference.hide(ben),
            lambda: conference.hide(gone),
        ):
            with pytest.raises(NoItemError, match="is not in"):
                call()
