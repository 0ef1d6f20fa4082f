"""Whatever the sessions say in whatever order: tables stay small and events stay in pairs."""

import gc
import math
import weakref
from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from people import (
    BYE,
    CLOSED,
    LOUD,
    MERGED,
    PRIV,
    QUIET,
    TIMEOUT,
    VIDEO,
    FakeStream,
    FakeSubStream,
    House,
    source,
)

from ipconf.engine.presence import MAX_SOURCES_OF_ONE

BEGINS_AND_ENDS = {
    "NewParticipant": ("stay", 1),
    "ParticipantRecovered": ("stay", 1),
    "ParticipantLeft": ("stay", -1),
    "ParticipantTimedOut": ("stay", -1),
    "ParticipantActive": ("active", 1),
    "ParticipantInactive": ("active", -1),
    "NewSubStream": ("substream", 1),
    "SubStreamRemoved": ("substream", -1),
    "SubStreamMapped": ("mapped", 1),
    "SubStreamUnmapped": ("mapped", -1),
    "LocalTalking": ("local", 1),
    "LocalSilent": ("local", -1),
}


def test_a_flood_of_people_stops_at_512():
    house = House()
    for number in range(600):
        house.hear(f"guest{number}")
    assert len(house.roster.participants) == 512
    assert len(house.told()) == 512
    assert house.roster.refused == 88


def test_a_flood_without_cnames_is_bounded_before_anybody_is_announced():
    house = House(max_people=10)
    for _ in range(100):
        house.hear()
    house.pass_time(3)
    assert len(house.roster.participants) == 10
    assert house.roster.refused == 90


def test_a_flood_of_sources_of_one_person_is_bounded():
    house = House(max_people=10)
    for _ in range(100):
        house.hear("ann")
    assert len(house.roster.find("ann").sources) == 40
    assert house.roster.refused == 60
    assert house.told() == [("NewParticipant", "ann")]


def test_a_person_has_so_many_sources_and_no_more_however_large_the_room_is():
    house = House(max_people=10_000)
    late = house.hear()
    sources = [house.hear("ann") for _ in range(MAX_SOURCES_OF_ONE + 50)]
    bob = house.hear("bob")
    for one in (late, bob):
        house.describe(one, CNAME="ann")
    assert len(house.roster.find("ann").sources) == MAX_SOURCES_OF_ONE
    assert house.roster.refused == 50 + 2
    assert house.roster.participant_of(late) is None
    assert house.present == ["ann", "bob"]
    for one in sources:
        house.gone(one)
    assert house.present == ["bob"]
    house.describe(late, CNAME="ann")
    assert house.present == ["bob", "ann"]
    house.pass_time(10.0)
    assert house.roster.participant_of(late).cname == "ann"


def test_a_flood_of_substreams_is_bounded():
    house = House(max_people=10)
    ann, stream = house.hear("ann"), FakeStream()
    for _ in range(50):
        house.carry(ann, stream)
    assert len(house.roster.find("ann").substreams) == 40
    assert house.roster.refused == 10


def test_people_who_fit_come_in_when_the_room_is_full():
    house = House(max_people=2)
    ann, _ = house.hear("ann"), house.hear("bob")
    house.hear("ann", medium=VIDEO)
    house.hear("cid")
    assert house.present == ["ann", "bob"]
    assert house.roster.refused == 1
    for one in house.roster.find("ann").sources:
        house.gone(one)
    house.hear("cid")
    assert house.present == ["bob", "cid"]
    house.describe(ann, NAME="Ann")  # gone: nobody's
    assert house.roster.find("ann") is None


def test_nobody_is_split_off_into_a_full_room():
    house = House(max_people=1)
    first, second = house.hear("ann"), house.hear("ann", medium=VIDEO)
    house.told()
    house.describe(second, CNAME="anna")
    assert house.told() == []
    assert house.present == ["ann"]
    assert house.roster.refused == 1
    house.gone(first)
    house.describe(second, CNAME="anna")
    assert house.present == ["anna"]


def test_a_session_of_guests_who_come_and_go_leaves_nothing_behind():
    house = House()
    stream = FakeStream()
    held = []
    for number in range(50):
        guest = house.hear(f"guest{number % 10}")
        substream = house.carry(guest, stream)
        stream.substreams = ()
        house.talk(guest, 0.06)
        held += [weakref.ref(guest), weakref.ref(substream)]
        house.gone(guest, TIMEOUT if number % 2 else BYE)
        house.told()
    del guest, substream
    gc.collect()
    assert [ref() for ref in held if ref() is not None] == []
    house.pass_time(0.2)
    assert house.roster.next_deadline() == math.inf


class RosterMachine(RuleBasedStateMachine):
    """Arbitrary calls about a few sources and substreams, sensible or not."""

    def __init__(self):
        super().__init__()
        self.house = House(max_people=4)
        self.roster = self.house.roster
        self.streams = [FakeStream(), FakeStream("video render", VIDEO)]
        self.sources = [
            source("a"),
            source("b", medium=VIDEO),
            source("", ssrc=1),
            source("", ssrc=2, medium=VIDEO),
            source("c", contributing=True, last_rtp=None),
            source("d"),
            source("e"),
        ]
        self.substreams = [
            FakeSubStream(self.streams[n % 2], self.sources[n], self.house) for n in range(3)
        ]
        self.open = Counter()
        self.stays = set()
        self.known = set()

    which = st.integers(0, 6)
    slot = st.integers(0, 2)

    @rule(n=which)
    def heard(self, n):
        self.roster.source_heard(self.sources[n], self.house.now)

    @rule(n=which, cname=st.sampled_from(["", "a", "b", "c", "f"]), name=st.sampled_from("xy"))
    def described(self, n, cname, name):
        self.house.describe(self.sources[n], CNAME=cname, NAME=name)

    @rule(n=which, prefix=st.text(max_size=2))
    def private(self, n, prefix):
        self.sources[n].private = {prefix: "x"}
        self.roster.source_described(self.sources[n], (PRIV,), self.house.now)

    @rule(n=which, reason=st.sampled_from([BYE, TIMEOUT, CLOSED]))
    def gone(self, n, reason):
        self.house.gone(self.sources[n], reason)

    @rule(n=which, level=st.sampled_from([LOUD, QUIET]))
    def level(self, n, level):
        self.roster.source_level(self.sources[n], level, self.house.now)

    @rule(n=which)
    def media(self, n):
        self.roster.source_media(self.sources[n], self.house.now)

    @rule(level=st.sampled_from([LOUD, QUIET]))
    def local(self, level):
        self.roster.local_level(level, self.house.now)

    @rule(n=slot, of=st.none() | which)
    def aimed(self, n, of):
        self.substreams[n].source = None if of is None else self.sources[of]

    @rule(n=slot)
    def added(self, n):
        self.roster.substream_added(self.substreams[n], self.house.now)

    @rule(n=slot)
    def removed(self, n):
        self.roster.substream_removed(self.substreams[n], self.house.now)

    @rule(n=slot, on=st.booleans())
    def mapped(self, n, on):
        tell = self.roster.substream_mapped if on else self.roster.substream_unmapped
        tell(self.substreams[n], self.house.now)

    @rule(seconds=st.sampled_from([0.02, 0.05, 1.0, 3.0, 700.0]))
    def time(self, seconds):
        self.house.pass_time(seconds)

    @precondition(lambda self: self.roster.participants)
    @rule(stream=st.integers(0, 1), enabled=st.booleans())
    def muted(self, stream, enabled):
        for participant in self.roster.participants:
            if self.streams[stream] in participant.streams:
                participant.set_enabled(self.streams[stream], enabled)
                assert participant.is_enabled(self.streams[stream]) is enabled

    @invariant()
    def events_pair_up(self):
        for event in self.house.events:
            name, who = type(event).__name__, event.participant
            if name in BEGINS_AND_ENDS:
                what, step = BEGINS_AND_ENDS[name]
                key = (what, who, getattr(event, "substream", None))
                self.open[key] += step
                assert self.open[key] in (0, 1), f"{name} of {who} out of turn"
            if name in ("NewParticipant", "ParticipantRecovered"):
                assert (who in self.known) is (name == "ParticipantRecovered")
                self.known.add(who)
                self.stays.add(who)
            if who is not None:
                assert who in self.stays, f"{name} of somebody absent"
            if name in ("ParticipantLeft", "ParticipantTimedOut"):
                self.stays.discard(who)
                kept = {key for key, count in self.open.items() if count and key[1] is who}
                assert not kept, f"{who} left with {kept}"
                assert name == "ParticipantTimedOut" or event.reason in (BYE, CLOSED, MERGED)
        self.house.told()

    @invariant()
    def what_was_told_is_what_is(self):
        people = self.roster.participants
        assert set(people) == self.stays
        assert len(people) == len(set(people)) <= 4
        for person in people:
            assert person.present
            assert person.sources
            assert self.open["active", person, None] == person.talking
            for one in person.sources:
                assert self.roster.participant_of(one) is person
            told = {
                key[2] for key, n in self.open.items() if n and key[:2] == ("substream", person)
            }
            assert told == set(person.substreams)
        cnames = [p.cname for p in people if p.cname]
        assert len(cnames) == len(set(cnames))
        assert all(self.roster.find(cname).cname == cname for cname in cnames)


RosterMachine.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
TestRosterMachine = RosterMachine.TestCase
