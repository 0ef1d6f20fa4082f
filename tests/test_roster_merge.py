"""One CNAME is one person (RFC 3550 section 6.5.1), whenever and wherever it is told."""

import pytest
from people import (
    AUDIO,
    BYE,
    CNAME,
    LOUD,
    MERGED,
    NAME,
    NOTE,
    PRIV,
    TIMEOUT,
    VIDEO,
    FakeStream,
    House,
)


@pytest.fixture
def house():
    return House()


def test_sound_and_picture_on_two_sessions_are_one_person(house):
    audio, video = FakeStream(), FakeStream("video render", VIDEO)
    microphone = house.hear("ann", medium=AUDIO, ssrc=7)
    camera = house.hear("ann", medium=VIDEO, ssrc=7)  # another session may use the same SSRC
    house.carry(microphone, audio)
    house.carry(camera, video)
    assert house.told() == [
        ("NewParticipant", "ann"),
        ("NewSubStream", "ann", "audio render #1"),
        ("NewSubStream", "ann", "video render #1"),
    ]
    (ann,) = house.roster.participants
    assert ann.sources == (microphone, camera)
    assert ann.streams == (audio, video)
    assert ann.media_types == {AUDIO, VIDEO}


def test_a_person_stays_until_the_last_source_is_gone(house):
    microphone, camera = house.hear("ann"), house.hear("ann", medium=VIDEO)
    house.carry(camera, FakeStream("video render", VIDEO))
    house.told()
    house.gone(camera, TIMEOUT)
    assert house.told() == [("SubStreamRemoved", "ann", "video render #1")]
    assert house.present == ["ann"]
    house.gone(microphone, BYE, "bye")
    assert house.told() == [("ParticipantLeft", "ann", BYE, "bye")]


def test_a_bye_of_one_source_and_silence_of_the_last_is_a_timeout(house):
    microphone, camera = house.hear("ann"), house.hear("ann", medium=VIDEO)
    house.told()
    house.gone(camera, BYE, "bye")
    house.gone(microphone, TIMEOUT)
    assert house.told() == [("ParticipantTimedOut", "ann")]


def test_the_same_change_told_by_two_sources_is_one_change(house):
    microphone, camera = house.hear("ann", "Ann"), house.hear("ann", "Ann", medium=VIDEO)
    house.told()
    house.describe(microphone, NAME="Ann B.")
    house.describe(camera, NAME="Ann B.")
    assert house.told() == [("ParticipantInfoChanged", "ann", (NAME,))]


def test_a_further_source_may_bring_further_items(house):
    house.hear("ann")
    house.told()
    house.hear("ann", "Ann", medium=VIDEO)
    assert house.told() == [("ParticipantInfoChanged", "ann", (NAME,))]
    assert house.roster.find("ann").name == "Ann"


def test_a_late_cname_names_the_person(house):
    ann = house.hear(ssrc=0xA)
    house.pass_time(3)
    participant = house.roster.participant_of(ann)
    assert participant.cname is None
    house.describe(ann, CNAME="ann", NAME="Ann")
    assert house.told() == [
        ("NewParticipant", "ssrc 0000000a"),
        ("ParticipantInfoChanged", "ann", (CNAME, NAME)),
    ]
    assert house.roster.find("ann") is participant
    assert participant.identity == participant.cname == "ann"


def test_a_late_cname_of_somebody_else_moves_the_source_to_them(house):
    house.hear("ann", medium=VIDEO)
    camera = house.hear(ssrc=0xA, medium=VIDEO)
    house.pass_time(3)
    substream = house.carry(camera, FakeStream("video render", VIDEO))
    house.roster.substream_mapped(substream, house.now)
    house.show(camera, 1.2)
    house.told()
    house.describe(camera, CNAME="ann", NOTE="here")
    assert house.told() == [
        ("ParticipantInactive", "ssrc 0000000a"),
        ("SubStreamUnmapped", "ssrc 0000000a", "video render #1"),
        ("SubStreamRemoved", "ssrc 0000000a", "video render #1"),
        ("ParticipantLeft", "ssrc 0000000a", MERGED, ""),
        ("ParticipantInfoChanged", "ann", (NOTE,)),
        ("NewSubStream", "ann", "video render #1"),
        ("SubStreamMapped", "ann", "video render #1"),
        ("ParticipantActive", "ann"),
    ]
    assert house.present == ["ann"]
    assert substream.participant is house.roster.find("ann")


def test_a_cname_within_the_grace_joins_without_ado(house):
    house.hear("ann")
    camera = house.hear(medium=VIDEO)
    house.carry(camera, FakeStream("video render", VIDEO))
    house.pass_time(1.9)
    house.describe(camera, CNAME="ann")
    house.pass_time(5)
    assert house.told() == [
        ("NewParticipant", "ann"),
        ("NewSubStream", "ann", "video render #1"),
    ]


def test_an_empty_cname_is_none(house):
    ann = house.hear(ssrc=0xA)
    house.describe(ann, CNAME="", NAME="Ann")
    assert house.told() == []
    house.pass_time(3)
    (participant,) = house.roster.participants
    assert participant.name == "Ann"
    assert house.told() == [("NewParticipant", "ssrc 0000000a")]


def test_empty_cnames_do_not_make_one_person_of_two(house):
    for ssrc in (0xA, 0xB):
        house.describe(house.hear(ssrc=ssrc), CNAME="")
    house.pass_time(3)
    assert house.present == ["ssrc 0000000a", "ssrc 0000000b"]


def test_a_cname_that_turns_empty_changes_nothing(house):
    ann = house.hear("ann")
    house.told()
    house.describe(ann, CNAME="")
    assert house.told() == []
    assert house.present == ["ann"]


def test_a_cname_changes_with_its_only_source(house):
    ann = house.hear("ann")
    house.told()
    participant = house.roster.find("ann")
    house.describe(ann, CNAME="anna")
    assert house.told() == [("ParticipantInfoChanged", "anna", (CNAME,))]
    assert house.roster.find("anna") is participant
    assert house.roster.find("ann") is None
    house.hear("ann")
    assert house.told() == [("NewParticipant", "ann")]


def test_a_cname_changed_to_somebody_elses_joins_them(house):
    house.hear("ann")
    bob = house.hear("bob")
    house.told()
    house.describe(bob, CNAME="ann")
    assert house.told() == [("ParticipantLeft", "bob", MERGED, "")]
    assert bob in house.roster.find("ann").sources


def test_one_of_two_sources_with_a_new_cname_parts_and_the_other_follows(house):
    microphone, camera = house.hear("ann", "Ann"), house.hear("ann", "Ann", medium=VIDEO)
    house.carry(camera, FakeStream("video render", VIDEO))
    house.told()
    house.describe(camera, CNAME="anna")
    assert house.told() == [
        ("SubStreamRemoved", "ann", "video render #1"),
        ("NewParticipant", "anna"),
        ("NewSubStream", "anna", "video render #1"),
    ]
    house.describe(microphone, CNAME="anna")
    assert house.told() == [("ParticipantLeft", "ann", MERGED, "")]
    assert house.roster.find("anna").sources == (camera, microphone)


def test_a_late_cname_of_someone_timed_out_is_their_return(house):
    house.gone(house.hear("ann"), TIMEOUT)
    back = house.hear(ssrc=0xA)
    house.pass_time(3)
    house.told()
    house.describe(back, CNAME="ann")
    assert house.told() == [
        ("ParticipantLeft", "ssrc 0000000a", MERGED, ""),
        ("ParticipantRecovered", "ann"),
    ]


def test_a_signalled_cname_needs_no_rtcp(house):
    signalled = house.hear("ann")  # the session put the CNAME of the SDP there
    assert house.told() == [("NewParticipant", "ann")]
    house.describe(signalled, CNAME="ann", NAME="Ann")
    assert house.told() == [("ParticipantInfoChanged", "ann", (NAME,))]


def test_contributing_sources_are_people(house):
    house.hear("mixer")
    house.hear("ann", contributing=True, last_rtp=None)
    house.hear(ssrc=0xB, contributing=True, last_rtp=None)
    house.pass_time(3)
    assert house.present == ["mixer", "ann", "ssrc 0000000b"]
    assert house.roster.find("ann").media_types == {AUDIO}


def test_talk_is_the_talk_of_all_sources_of_a_person(house):
    first, second = house.hear("ann"), house.hear(ssrc=0xB)
    house.pass_time(3)
    house.told()
    for _ in range(5):
        house.roster.source_level(first, LOUD, house.now)
        house.roster.source_level(second, LOUD, house.now)
        house.pass_time(0.02)
    assert house.told() == [("ParticipantActive", "ann"), ("ParticipantActive", "ssrc 0000000b")]
    house.describe(second, CNAME="ann")
    assert house.told() == [
        ("ParticipantInactive", "ssrc 0000000b"),
        ("ParticipantLeft", "ssrc 0000000b", MERGED, ""),
    ]
    house.gone(first)
    assert house.told() == []
    assert house.roster.find("ann").talking


def test_private_items_of_all_sources_count_up_to_sixteen(house):
    first, second = house.hear("ann"), house.hear("ann")
    house.told()
    house.tell_private(first, **{f"a{n}": "x" for n in range(10)})
    house.tell_private(second, **{f"b{n}": "x" for n in range(10)})
    assert house.told() == [("ParticipantInfoChanged", "ann", (PRIV,))] * 2
    assert len(house.roster.find("ann").private) == 16
