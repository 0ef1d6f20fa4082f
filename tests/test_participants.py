"""A person as applications see them, ourselves, and muting."""

import pytest
from people import AUDIO, BYE, TIMEOUT, VIDEO, FakeStream, House

from ipconf.errors import (
    ConfigurationError,
    InvalidStateError,
    InvalidStreamError,
    NoItemError,
    NotSupportedError,
)
from ipconf.model import Identity, SdesType
from ipconf.participants import LocalParticipant


@pytest.fixture
def house():
    return House()


def test_every_announced_item_can_be_read_and_no_other(house):
    ann = house.hear("ann", "Ann")
    house.describe(ann, EMAIL="ann@example.org", PHONE="1", LOC="Oslo", TOOL="t", NOTE="n")
    participant = house.roster.find("ann")
    assert [participant.info(kind) for kind in SdesType if kind is not SdesType.PRIV] == [
        "ann",
        "Ann",
        "ann@example.org",
        "1",
        "Oslo",
        "t",
        "n",
    ]
    with pytest.raises(NoItemError, match="`private`"):
        participant.info(SdesType.PRIV)
    house.hear(ssrc=0xA)
    house.pass_time(3)
    with pytest.raises(NoItemError, match="ssrc 0000000a has not announced CNAME"):
        house.roster.participants[1].info(SdesType.CNAME)


def test_the_name_falls_back_on_the_cname_and_the_ssrc(house):
    house.hear("ann", "Ann")
    house.hear("bob")
    house.hear(ssrc=0xA)
    house.pass_time(3)
    assert [p.name for p in house.roster.participants] == ["Ann", "bob", "ssrc 0000000a"]
    assert repr(house.roster.participants[0]) == "<Participant 'ann' 'Ann'>"


def test_private_items_cannot_be_written(house):
    house.tell_private(house.hear("ann"), seat="4")
    with pytest.raises(TypeError):
        house.roster.find("ann").private["seat"] = "5"


def test_media_types_are_what_they_have_sent(house):
    house.hear("ann", medium=AUDIO)
    house.hear("ann", medium=VIDEO, last_rtp=None)
    house.hear("ann", medium=None, last_rtp=None)
    assert house.roster.find("ann").media_types == {AUDIO}


def test_streams_are_listed_once(house):
    stream = FakeStream()
    first, second = house.hear("ann"), house.hear("ann")
    house.carry(first, stream)
    house.carry(second, stream)
    ann = house.roster.find("ann")
    assert ann.streams == (stream,)
    assert len(ann.substreams) == 2


def test_muting_is_per_person_and_per_stream(house):
    audio, video = FakeStream(), FakeStream("video render", VIDEO)
    ann, bob = house.hear("ann"), house.hear("bob")
    for who in (ann, bob):
        for stream in (audio, video):
            house.carry(who, stream)
    participant = house.roster.find("ann")
    participant.set_enabled(audio, False)
    participant.set_enabled(audio, False)
    assert [participant.is_enabled(s) for s in (audio, video)] == [False, True]
    assert [house.roster.is_enabled(ann, s) for s in (audio, video)] == [False, True]
    assert house.roster.find("bob").is_enabled(audio)
    assert house.roster.is_enabled(bob, audio)
    participant.set_enabled(audio, True)
    assert participant.is_enabled(audio)
    assert house.roster.is_enabled(ann, audio)


def test_what_is_not_known_is_rendered(house):
    ann = house.hear()
    assert house.roster.is_enabled(ann, FakeStream())
    house.gone(ann)
    assert house.roster.is_enabled(ann, FakeStream())


def test_a_stream_without_them_cannot_be_muted(house):
    house.carry(house.hear("ann"), FakeStream())
    participant = house.roster.find("ann")
    elsewhere = FakeStream("video render", VIDEO)
    with pytest.raises(InvalidStreamError, match="ann does not contribute to video render"):
        participant.set_enabled(elsewhere, False)
    with pytest.raises(InvalidStreamError):
        participant.is_enabled(elsewhere)


@pytest.mark.parametrize("reason", [BYE, TIMEOUT])
def test_who_is_gone_cannot_be_muted_but_asked_about(house, reason):
    stream = FakeStream()
    ann = house.hear("ann")
    house.carry(ann, stream)
    participant = house.roster.find("ann")
    house.gone(ann, reason)
    with pytest.raises(InvalidStateError, match="not in the call"):
        participant.set_enabled(stream, False)
    assert participant.is_enabled(stream)


def test_who_is_mixed_elsewhere_is_muted_there():
    mixed = {}
    house = House(mixer_of=mixed.get)
    stream = FakeStream()
    hub = house.hear("hub", "The hub")
    house.carry(hub, stream)
    guest = house.hear("ann", contributing=True, last_rtp=None)
    lost = house.hear("bob", contributing=True, last_rtp=None)
    mixed[guest] = hub
    ann, bob = house.roster.find("ann"), house.roster.find("bob")
    assert (ann.streams, bob.streams) == ((stream,), ())
    assert ann.is_enabled(stream)
    with pytest.raises(NotSupportedError, match="ann arrives in the mix of The hub: mute them"):
        ann.set_enabled(stream, False)
    with pytest.raises(InvalidStreamError):
        bob.set_enabled(stream, False)
    assert house.roster.participant_of(lost) is bob


def test_an_unnamed_mixer_is_named_by_its_ssrc():
    mixed = {}
    house = House(mixer_of=mixed.get)
    stream = FakeStream()
    hub = house.hear(ssrc=0xA)
    house.carry(hub, stream)
    mixed[house.hear("ann", contributing=True)] = hub
    with pytest.raises(NotSupportedError, match="ssrc 0000000a"):
        house.roster.find("ann").set_enabled(stream, False)


def test_statistics_are_of_all_sources_together(house):
    house.hear("ann", packets=10, octets=1000, lost=1, fraction_lost=0.1, jitter_s=0.01, level=40)
    camera = house.hear("ann", packets=5, octets=5000, lost=-1, jitter_s=0.02, round_trip_s=0.05)
    ann = house.roster.find("ann")
    stats = ann.stats()
    assert (stats.packets, stats.octets, stats.lost) == (15, 6000, 0)
    assert (stats.fraction_lost, stats.jitter_s, stats.round_trip_s) == (0.1, 0.02, 0.05)
    assert stats.level_dbov == -40
    house.gone(ann.sources[0])
    assert ann.stats().level_dbov is None
    house.gone(camera)
    assert ann.stats().packets == 0
    assert ann.stats().round_trip_s is None


def test_we_announce_what_our_identity_says():
    us = LocalParticipant(Identity(cname="me", name="Me", tool="", private={"seat": "1"}))
    assert (us.identity, us.name) == ("me", "Me")
    assert us.items == {SdesType.CNAME: "me", SdesType.NAME: "Me"}
    assert us.private == {"seat": "1"}
    assert us.info(SdesType.NAME) == "Me"
    assert repr(us) == "<LocalParticipant 'me' 'Me'>"
    with pytest.raises(NoItemError, match="we announce no TOOL"):
        us.info(SdesType.TOOL)
    with pytest.raises(NoItemError, match="`private`"):
        us.info(SdesType.PRIV)


def test_a_change_of_our_items_is_told_once():
    told = []
    us = LocalParticipant(Identity(cname="me", tool=""), lambda who: told.append(dict(who.items)))
    us.set(SdesType.NAME, "Me")
    us.set(SdesType.NAME, "Me")
    us.set(SdesType.NAME, "")
    assert told == [{SdesType.CNAME: "me", SdesType.NAME: "Me"}, {SdesType.CNAME: "me"}]
    assert us.name == "me"


def test_our_private_items_come_and_go():
    told = []
    us = LocalParticipant(Identity(cname="me"), lambda who: told.append(dict(who.private)))
    us.set_private("seat", "4")
    us.set_private("seat", None)
    us.set_private("seat", None)
    assert told == [{"seat": "4"}, {}]


def test_what_cannot_be_announced_is_refused_and_nothing_changes():
    told = []
    us = LocalParticipant(Identity(cname="me"), told.append)
    with pytest.raises(NotSupportedError, match="settings"):
        us.set(SdesType.CNAME, "you")
    with pytest.raises(NotSupportedError, match="set_private"):
        us.set(SdesType.PRIV, "x")
    with pytest.raises(ConfigurationError, match="256 bytes"):
        us.set(SdesType.NOTE, "x" * 256)
    with pytest.raises(ConfigurationError, match="256 bytes"):
        us.set_private("x" * 200, "y" * 55)
    assert told == []
    assert us.identity == "me"


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31mred", "\0", "\x7f", "a\x85"])
def test_control_characters_are_refused_in_what_we_announce(text):
    fields = ("cname", "name", "email", "phone", "location", "tool", "note")
    for values in (*({field: text} for field in fields), {"private": {"seat": text}}):
        with pytest.raises(ConfigurationError, match="has control characters"):
            Identity(**values)
    with pytest.raises(ConfigurationError, match="can be seen"):
        Identity(cname="us\u200b")
    assert Identity(name="Zoë 👩\u200d🔬").name == "Zoë 👩\u200d🔬"
