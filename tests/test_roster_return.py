"""People who were there before: after a timeout it is a recovery, after a BYE a new arrival."""

import gc
import weakref

import pytest
from people import BYE, CNAME, TIMEOUT, FakeStream, House


@pytest.fixture
def house():
    return House()


def test_the_same_source_object_heard_again_is_a_recovery(house):
    ann = house.hear("ann")
    participant = house.roster.find("ann")
    house.gone(ann, TIMEOUT)
    house.told()
    assert not participant.present
    house.pass_time(60)
    house.roster.source_heard(ann, house.now)
    assert house.told() == [("ParticipantRecovered", "ann")]
    assert house.roster.participants == (participant,)
    assert participant.present


def test_a_return_on_another_transport_is_the_same_person_with_the_same_mutes(house):
    stream = FakeStream()
    first = house.hear("ann", "Ann", ssrc=1)
    house.carry(first, stream)
    participant = house.roster.find("ann")
    participant.set_enabled(stream, False)
    house.gone(first, TIMEOUT)
    assert participant.streams == ()
    assert not participant.is_enabled(stream)
    house.pass_time(30)
    house.told()

    second = house.hear("ann", "Ann", ssrc=2)
    house.carry(second, stream)
    assert house.told() == [
        ("ParticipantRecovered", "ann"),
        ("NewSubStream", "ann", "audio render #2"),
    ]
    assert house.roster.find("ann") is participant
    assert participant.sources == (second,)
    assert not participant.is_enabled(stream)
    assert not house.roster.is_enabled(second, stream)


def test_what_changed_meanwhile_comes_with_the_recovery(house):
    house.gone(house.hear("ann", "Ann"), TIMEOUT)
    house.told()
    house.hear("ann", "Ann B.")
    assert house.told() == [("ParticipantRecovered", "ann")]
    assert house.roster.find("ann").name == "Ann B."


def test_each_stay_has_its_own_times(house):
    ann = house.hear("ann")
    participant = house.roster.find("ann")
    came = house.now
    house.pass_time(10)
    house.gone(ann, TIMEOUT)
    assert (participant.joined_at, participant.left_at) == (came, came + 10)
    house.pass_time(10)
    house.hear("ann")
    assert (participant.joined_at, participant.left_at) == (came + 20, None)


def test_after_a_bye_it_is_somebody_new_with_nothing_muted(house):
    stream = FakeStream()
    ann = house.hear("ann")
    house.carry(ann, stream)
    old = house.roster.find("ann")
    old.set_enabled(stream, False)
    house.gone(ann, BYE)
    house.told()
    back = house.hear("ann")
    house.carry(back, stream)
    assert house.told()[0] == ("NewParticipant", "ann")
    new = house.roster.find("ann")
    assert new is not old
    assert new.is_enabled(stream)
    assert old.identity == "ann"
    assert not old.present


def test_a_recovered_person_who_says_bye_is_forgotten(house):
    house.gone(house.hear("ann"), TIMEOUT)
    house.gone(house.hear("ann"), BYE)
    house.told()
    house.hear("ann")
    assert house.told() == [("NewParticipant", "ann")]


def test_every_timeout_can_be_recovered_from(house):
    for _ in range(3):
        house.gone(house.hear("ann"), TIMEOUT)
    assert [line[0] for line in house.told()] == [
        "NewParticipant",
        "ParticipantTimedOut",
        "ParticipantRecovered",
        "ParticipantTimedOut",
        "ParticipantRecovered",
        "ParticipantTimedOut",
    ]


def test_without_a_cname_there_is_nothing_to_recognise(house):
    ann = house.hear(ssrc=0xA)
    house.pass_time(3)
    house.gone(ann, TIMEOUT)
    house.roster.source_heard(ann, house.now)
    house.pass_time(3)
    assert house.told() == [
        ("NewParticipant", "ssrc 0000000a"),
        ("ParticipantTimedOut", "ssrc 0000000a"),
        ("NewParticipant", "ssrc 0000000a"),
    ]


@pytest.mark.parametrize(
    ("away_s", "event"), [(599, "ParticipantRecovered"), (600, "NewParticipant")]
)
def test_ten_minutes_are_remembered(house, away_s, event):
    house.gone(house.hear("ann"), TIMEOUT)
    house.told()
    house.now += away_s  # no timer need run in between
    house.hear("ann")
    assert house.told() == [(event, "ann")]


def test_the_last_256_people_are_remembered(house):
    for number in range(257):
        house.gone(house.hear(f"guest{number}"), TIMEOUT)
        house.pass_time(0.1)
    house.told()
    house.hear("guest0")
    house.hear("guest1")
    house.hear("guest256")
    assert house.told() == [
        ("NewParticipant", "guest0"),
        ("ParticipantRecovered", "guest1"),
        ("ParticipantRecovered", "guest256"),
    ]


def test_a_removed_stream_takes_its_mutes_along(house):
    stream, other = FakeStream(), FakeStream()
    present, away = house.hear("ann"), house.hear("bob")
    for one in (present, away):
        for where in (stream, other):
            house.carry(one, where)
            house.roster.participant_of(one).set_enabled(where, False)
    bob = house.roster.find("bob")
    house.gone(away, TIMEOUT)
    house.roster.stream_removed(stream)
    assert bob.is_enabled(stream)
    assert not bob.is_enabled(other)
    assert house.roster.is_enabled(present, stream)
    assert not house.roster.is_enabled(present, other)


def test_a_cname_remembered_too_long_ago_is_free(house):
    house.gone(house.hear("ann"), TIMEOUT)
    other = house.hear("bob")
    house.told()
    house.now += 600
    house.describe(other, CNAME="ann")
    assert house.told() == [("ParticipantInfoChanged", "ann", (CNAME,))]


def _muted_and_timed_out(house, cname):
    """Somebody remembered with a stream that nobody else holds; tells whether they still are."""
    stream = FakeStream()
    who = house.hear(cname)
    house.carry(who, stream)
    house.roster.find(cname).set_enabled(stream, False)
    house.gone(who, TIMEOUT)
    house.told()
    kept = weakref.ref(stream)

    def remembered():
        gc.collect()
        return kept() is not None

    return remembered


def test_memory_is_given_back_after_ten_minutes(house):
    remembered = _muted_and_timed_out(house, "ann")
    house.pass_time(599)
    assert remembered()
    house.pass_time(2)
    assert not remembered()


def test_memory_is_given_back_when_256_others_have_timed_out(house):
    first, *others = [_muted_and_timed_out(house, f"guest{n}") for n in range(256)]
    assert first()
    _muted_and_timed_out(house, "one more")
    assert not first()
    assert others[0]()
