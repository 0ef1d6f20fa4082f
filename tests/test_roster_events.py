"""Each of the 13 participant events: when it comes, and with what around it."""

import math

import pytest
from people import (
    BYE,
    CLOSED,
    CNAME,
    LOUD,
    NAME,
    NOTE,
    PRIV,
    QUIET,
    TIMEOUT,
    VIDEO,
    FakeStream,
    House,
)

from ipconf.errors import NoItemError
from ipconf.model import SdesType


@pytest.fixture
def house():
    return House()


def test_a_source_with_a_cname_is_a_new_participant_at_once(house):
    house.hear("ann@home", "Ann")
    (event,) = house.events
    assert event.call is house.call
    assert event.participant.name == "Ann"
    assert house.told() == [("NewParticipant", "ann@home")]
    assert house.present == ["ann@home"]


def test_hearing_a_source_again_changes_nothing(house):
    ann = house.hear("ann")
    house.told()
    house.roster.source_heard(ann, house.now)
    assert house.told() == []
    assert house.roster.find("ann").sources == (ann,)


def test_the_name_known_at_that_time_is_on_the_new_participant(house):
    ann = house.hear()
    house.describe(ann, CNAME="ann", NAME="Ann", TOOL="phone")
    assert house.events[0].participant.name == "Ann"
    assert house.events[0].participant.info(SdesType.TOOL) == "phone"
    assert house.told() == [("NewParticipant", "ann")]


def test_without_a_cname_the_ssrc_names_the_participant_after_two_seconds(house):
    house.hear(ssrc=0x1234ABCD)
    assert house.roster.next_deadline() == house.now + 2.0
    house.pass_time(1.99)
    assert house.told() == []
    house.pass_time(0.02)
    assert house.told() == [("NewParticipant", "ssrc 1234abcd")]
    assert house.roster.next_deadline() == math.inf


def test_a_source_that_goes_before_it_is_announced_never_was(house):
    ann = house.hear()
    house.carry(ann)
    house.gone(ann)
    house.pass_time(5)
    assert house.told() == []
    assert house.present == []


def test_info_changes_once_per_change(house):
    ann = house.hear("ann", "Ann")
    house.told()
    house.describe(ann, NAME="Ann B.", NOTE="away")
    assert house.told() == [("ParticipantInfoChanged", "ann", (NAME, NOTE))]
    house.describe(ann, NAME="Ann B.", NOTE="away")
    assert house.told() == []
    house.describe(ann, NOTE="")
    assert house.told() == [("ParticipantInfoChanged", "ann", (NOTE,))]
    with pytest.raises(NoItemError, match="ann has not announced NOTE"):
        house.roster.find("ann").info(NOTE)


def test_a_flood_of_changes_is_told_four_times_a_second_and_to_the_end(house):
    ann = house.hear("ann", "Ann")
    bob = house.hear("bob", "Bob")
    house.told()
    times = []
    for number in range(4990):
        house.describe(ann, NAME=f"Ann {number}")
        house.pass_time(0.001)
        times += [event.at for event in house.events]
        house.told()
    assert len(times) == 20
    assert all(later - earlier >= 1.0 for earlier, later in zip(times, times[4:], strict=False))
    house.describe(ann, NOTE="done")
    house.describe(bob, NAME="Bob B.")  # whom that does not hold up
    assert house.told() == [("ParticipantInfoChanged", "bob", (NAME,))]
    house.pass_time(1.0)
    assert house.told() == [("ParticipantInfoChanged", "ann", (NAME, NOTE))]
    assert house.roster.find("ann").name == "Ann 4989"
    assert house.roster.next_deadline() == math.inf
    house.describe(ann, NAME="Ann")
    assert house.told() == [("ParticipantInfoChanged", "ann", (NAME,))]


def test_changes_that_wait_are_told_before_the_person_leaves(house):
    ann = house.hear("ann", "Ann")
    house.told()
    for number in range(6):
        house.describe(ann, NAME=f"Ann {number}")
    assert len(house.told()) == 4
    house.gone(ann, BYE, "bye")
    assert house.told() == [
        ("ParticipantInfoChanged", "ann", (NAME,)),
        ("ParticipantLeft", "ann", BYE, "bye"),
    ]
    house.pass_time(5)
    assert house.told() == []


def test_private_items_are_information_too(house):
    ann = house.hear("ann")
    house.told()
    house.tell_private(ann, seat="4")
    assert house.told() == [("ParticipantInfoChanged", "ann", (PRIV,))]
    assert house.roster.find("ann").private == {"seat": "4"}
    house.tell_private(ann, seat="4")
    assert house.told() == []


def test_a_bye_is_a_leave_with_its_words(house):
    ann = house.hear("ann")
    house.told()
    house.pass_time(3)
    participant = house.roster.find("ann")
    house.gone(ann, BYE, "supper")
    assert house.told() == [("ParticipantLeft", "ann", BYE, "supper")]
    assert house.present == []
    assert not participant.present
    assert participant.left_at == house.now


def test_closing_the_call_is_a_leave(house):
    ann = house.hear("ann")
    house.told()
    house.gone(ann, CLOSED)
    assert house.told() == [("ParticipantLeft", "ann", CLOSED, "")]


def test_silence_is_a_timeout_and_traffic_a_recovery(house):
    ann = house.hear("ann")
    house.told()
    house.gone(ann, TIMEOUT)
    assert house.told() == [("ParticipantTimedOut", "ann")]
    assert house.present == []
    house.hear("ann")
    assert house.told() == [("ParticipantRecovered", "ann")]
    assert house.present == ["ann"]


def test_a_substream_is_new_and_removed(house):
    ann = house.hear("ann")
    house.told()
    substream = house.carry(ann)
    assert house.events[0].substream is substream
    assert house.told() == [("NewSubStream", "ann", "audio render #1")]
    participant = house.roster.find("ann")
    assert participant.substreams == (substream,)
    assert substream.participant is participant
    house.roster.substream_removed(substream, house.now)
    assert house.told() == [("SubStreamRemoved", "ann", "audio render #1")]
    assert participant.substreams == ()


def test_substream_events_wait_until_the_person_is_announced(house):
    ann = house.hear()
    house.roster.substream_mapped(house.carry(ann), house.now)
    assert house.told() == []
    house.describe(ann, CNAME="ann")
    assert house.told() == [
        ("NewParticipant", "ann"),
        ("NewSubStream", "ann", "audio render #1"),
        ("SubStreamMapped", "ann", "audio render #1"),
    ]


def test_a_substream_may_be_there_before_its_source_is_reported(house):
    ann = house.hear("ann")
    house.gone(ann)
    house.told()
    house.carry(ann)
    assert house.told() == []
    house.roster.source_heard(ann, house.now)
    assert house.told() == [
        ("NewParticipant", "ann"),
        ("NewSubStream", "ann", "audio render #1"),
    ]


def test_a_substream_is_mapped_and_unmapped(house):
    substream = house.carry(house.hear("ann"))
    house.told()
    house.roster.substream_mapped(substream, house.now)
    house.roster.substream_mapped(substream, house.now)
    assert house.told() == [("SubStreamMapped", "ann", "audio render #1")]
    house.roster.substream_unmapped(substream, house.now)
    house.roster.substream_unmapped(substream, house.now)
    assert house.told() == [("SubStreamUnmapped", "ann", "audio render #1")]


def test_an_empty_substream_has_nobody(house):
    substream = house.carry(None)
    house.roster.substream_mapped(substream, house.now)
    assert house.told() == []
    ann = house.hear("ann")
    substream.source = ann
    house.roster.substream_added(substream, house.now)
    assert house.told() == [("NewParticipant", "ann"), ("NewSubStream", "ann", "audio render #1")]


def test_a_substream_that_carries_another_changes_its_person(house):
    ann, bob = house.hear("ann"), house.hear("bob")
    substream = house.carry(ann)
    house.roster.substream_mapped(substream, house.now)
    house.told()
    substream.source = bob
    house.roster.substream_added(substream, house.now)
    house.roster.substream_mapped(substream, house.now)
    assert house.told() == [
        ("SubStreamUnmapped", "ann", "audio render #1"),
        ("SubStreamRemoved", "ann", "audio render #1"),
        ("NewSubStream", "bob", "audio render #1"),
        ("SubStreamMapped", "bob", "audio render #1"),
    ]


def test_who_leaves_gives_everything_back_first(house):
    ann = house.hear("ann")
    substream = house.carry(ann)
    house.roster.substream_mapped(substream, house.now)
    house.talk(ann)
    house.told()
    house.gone(ann)
    assert house.told() == [
        ("ParticipantInactive", "ann"),
        ("SubStreamUnmapped", "ann", "audio render #1"),
        ("SubStreamRemoved", "ann", "audio render #1"),
        ("ParticipantLeft", "ann", BYE, ""),
    ]
    house.roster.substream_removed(substream, house.now)
    assert house.told() == []


def test_talk_makes_active_and_a_pause_inactive(house):
    ann = house.hear("ann")
    house.told()
    house.talk(ann, 1.0)
    assert house.told() == [("ParticipantActive", "ann")]
    assert house.roster.find("ann").talking
    house.talk(ann, 0.5, QUIET)
    assert house.told() == []
    house.talk(ann, 0.5, QUIET)
    assert house.told() == [("ParticipantInactive", "ann")]
    assert not house.roster.find("ann").talking


def test_who_stops_sending_while_talking_becomes_inactive(house):
    ann = house.hear("ann")
    house.talk(ann)
    house.told()
    house.pass_time(1.0)
    assert house.told() == [("ParticipantInactive", "ann")]
    assert house.roster.next_deadline() == math.inf


def test_talk_before_the_announcement_shows_after_it(house):
    ann = house.hear()
    house.talk(ann)
    assert house.told() == []
    house.describe(ann, CNAME="ann")
    assert house.told() == [("NewParticipant", "ann"), ("ParticipantActive", "ann")]


def test_video_alone_makes_active_and_its_end_inactive(house):
    ann = house.hear("ann", medium=VIDEO)
    house.told()
    house.show(ann, 3.0)
    assert house.told() == [("ParticipantActive", "ann")]
    house.pass_time(1.9)
    assert house.told() == []
    house.pass_time(0.3)
    assert house.told() == [("ParticipantInactive", "ann")]


def test_with_sound_it_is_talk_that_counts(house):
    camera = house.hear("ann", medium=VIDEO)
    house.told()
    house.show(camera, 1.2)
    assert house.told() == [("ParticipantActive", "ann")]
    microphone = house.hear("ann")
    house.roster.source_level(microphone, QUIET, house.now)
    assert house.told() == [("ParticipantInactive", "ann")]
    house.show(camera, 1.2)
    assert house.told() == []
    house.talk(microphone)
    assert house.told() == [("ParticipantActive", "ann")]


def test_when_the_sound_goes_it_is_video_that_counts_again(house):
    camera, microphone = house.hear("ann", medium=VIDEO), house.hear("ann")
    house.roster.source_level(microphone, QUIET, house.now)
    house.show(camera, 1.2)
    assert ("ParticipantActive", "ann") not in house.told()
    house.gone(microphone)
    assert house.told() == [("ParticipantActive", "ann")]


def test_video_a_moment_before_the_sound_makes_nobody_active(house):
    camera = house.hear("ann", medium=VIDEO)
    house.told()
    house.show(camera, 0.8)
    microphone = house.hear("ann")
    house.roster.source_level(microphone, QUIET, house.now)
    house.show(camera, 2.0)
    assert house.told() == []


def test_whoever_a_mixer_tells_of_may_have_sound(house):
    told_of = house.hear("ann", medium=None)
    camera = house.hear("ann", medium=VIDEO)
    house.told()
    house.show(camera, 2.0)
    assert house.told() == []
    house.talk(told_of)
    assert house.told() == [("ParticipantActive", "ann")]


def test_media_that_was_told_of_before_is_no_news(house):
    camera = house.hear("ann", medium=VIDEO)
    house.told()
    house.show(camera, 3.0)
    last = house.now
    house.roster.source_media(camera, last)
    assert house.told() == [("ParticipantActive", "ann")]
    for _ in range(40):
        house.pass_time(0.1)
        house.roster.source_media(camera, last)
    assert house.told() == [("ParticipantInactive", "ann")]


def test_packets_of_sound_without_a_level_say_nothing(house):
    ann = house.hear("ann")
    house.told()
    house.show(ann)
    assert house.told() == []


def test_two_sources_of_one_person_make_one_active(house):
    first, second = house.hear("ann"), house.hear("ann")
    house.told()
    for _ in range(5):
        house.roster.source_level(first, LOUD, house.now)
        house.talk(second, 0.02)
    house.talk(second, 1.0)
    assert house.told() == [("ParticipantActive", "ann")]
    house.pass_time(1.0)
    assert house.told() == [("ParticipantInactive", "ann")]


def test_our_own_talk_and_silence_are_events_of_nobody(house):
    for _ in range(5):
        house.roster.local_level(LOUD, house.now)
        house.pass_time(0.02)
    assert house.told() == [("LocalTalking", None)]
    house.pass_time(1.0)
    assert house.told() == [("LocalSilent", None)]
    assert house.roster.next_deadline() == math.inf


def test_quiet_capture_ends_our_talk_too(house):
    for level in [LOUD] * 5 + [QUIET] * 40:
        house.roster.local_level(level, house.now)
        house.now += 0.02
    assert [line[0] for line in house.told()] == ["LocalTalking", "LocalSilent"]


def test_what_is_said_about_strangers_is_not_heard(house):
    stranger = house.hear("ann")
    house.gone(stranger)
    house.told()
    house.describe(stranger, NAME="Ann")
    house.talk(stranger)
    house.show(stranger)
    house.gone(stranger)
    substream = house.carry(stranger, FakeStream())
    house.roster.substream_removed(substream, house.now)
    house.roster.substream_removed(substream, house.now)
    house.roster.substream_unmapped(substream, house.now)
    assert house.told() == []
    assert house.roster.participant_of(stranger) is None
    assert house.roster.participant_of(None) is None
    assert house.roster.find("ann") is None


def test_events_write_identities_for_a_log(house):
    house.carry(house.hear("ann"))
    assert [event.to_json()["participant"] for event in house.events] == ["ann", "ann"]
    assert house.events[1].to_json()["substream"] == "audio render #1"


def test_the_state_is_what_the_event_says_when_it_is_posted():
    seen = []

    class Watching(House):
        def _post(self, kind, at, person, /, **fields):
            seen.append((kind.__name__, person in self.roster.participants, person.talking))

    house = Watching()
    ann = house.hear("ann")
    house.talk(ann)
    house.gone(ann, TIMEOUT)
    assert seen == [
        ("NewParticipant", True, False),
        ("ParticipantActive", True, True),
        ("ParticipantInactive", True, False),
        ("ParticipantTimedOut", False, False),
    ]


def test_a_changed_cname_is_named_in_the_event(house):
    ann = house.hear("ann")
    house.told()
    house.describe(ann, CNAME="ann@new", NAME="Ann")
    assert house.told() == [("ParticipantInfoChanged", "ann@new", (CNAME, NAME))]
