"""What a conference tells to who shows it: how loud who talks is, and who is in which slot."""

from __future__ import annotations

import pytest
from conference_lab import TONE_DBOV, meeting
from gallery_lab import gallery
from peers import eventually, scenario
from senses import RENDER, VIDEO

from ipconf.errors import NoItemError


@scenario()
async def test_levels_are_of_those_who_talk() -> None:
    async with meeting("ABC") as there:
        conference = there.conference
        people = {name: there[name].leg for name in "ABC"}
        await eventually(lambda: {p.leg for p in conference.levels()} == set(people.values()))
        assert all(abs(level + TONE_DBOV) <= 2 for level in conference.levels().values())
        conference.mute(people["A"])  # nobody hears them: they do not talk
        talkers = {people["B"], people["C"]}
        await eventually(lambda: {p.leg for p in conference.levels()} == talkers)
        await conference.remove(people["B"])
        await eventually(lambda: {p.leg for p in conference.levels()} == {people["C"]})


@scenario()
async def test_slots_have_the_mids_of_the_far_end_and_who_is_seen_there() -> None:
    async with gallery("AB", slots=2) as there:
        conference, viewer = there.conference, there["A"]
        other = there.person("B")
        await eventually(lambda: other in conference.seen(viewer.leg))
        slots = conference.slots(viewer.leg)
        assert tuple(slot.attendee for slot in slots) == conference.seen(viewer.leg)
        shown = next(slot for slot in slots if slot.attendee is other)
        assert len({slot.mid for slot in slots}) == len(slots) and shown.content == ""

        def mids_there() -> set[str | None]:
            shares = viewer.call.stream(VIDEO, RENDER).substreams
            return {s.source.mid for s in shares if s.source is not None and s.participant}

        await eventually(lambda: mids_there() == {shown.mid})
        await conference.remove(viewer.leg)
        with pytest.raises(NoItemError):
            conference.slots(viewer.leg)
