"""People that a mixer tells of: the rosters of the far ends over good and bad networks."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from mixer_lab import MIXER, Conference, FarEnd
from people import LOUD, QUIET
from sessions import AUDIO, OPUS, hear, sdes, session
from simnet import Link
from stream_lab import Lab

from ipconf.calls.media import CallMedia
from ipconf.engine.rtcp_wire import ReceiverReport, compose_compound
from ipconf.engine.session import Section
from ipconf.events import ParticipantActive, ParticipantInactive
from ipconf.model import GoneReason, MediaType
from ipconf.participants import Roster

BYE, TIMEOUT = GoneReason.BYE, GoneReason.TIMEOUT
NETWORKS = {
    "clean": Link(),
    "random loss": Link(loss=0.1),
    "bursts of loss": Link(burst=0.02, burst_length=20),
    "everything": Link(delay_s=0.1, jitter_s=0.06, loss=0.1, burst=0.01, duplicate=0.1),
}


def came(cname: str) -> tuple:
    return ("NewParticipant", cname)


def of(far, cname: str) -> list[tuple]:
    """What a roster told of somebody."""
    return [line for line in far.told if line[1] == cname]


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS)
def link(request: pytest.FixtureRequest) -> Link:
    return request.param


@pytest.mark.parametrize("single", [True, False])
def test_all_far_ends_know_the_truth(link: Link, single: bool) -> None:
    conference = Conference(3, link, single_chunk_sdes=single)
    net = conference.net
    for leg in range(3):
        conference.put(1000 + leg, leg)
    net.run(20.0)
    conference.assert_told()
    conference.put(1000, 0, LOC="Room 5")
    conference.put(1001, 1, NAME="Bob at last")
    conference.put(1010, 1, NOTE="on the phone")
    net.run(50.0)
    conference.assert_told()
    conference.put(1010, 1)  # no note any more
    conference.remove(1000, "lunch")
    net.run(90.0)
    conference.assert_told()
    for leg in (1, 2):
        (left,) = [line for line in of(conference.fars[leg], "guest 1000") if "Left" in line[0]]
        assert left == ("ParticipantLeft", "guest 1000", BYE, "lunch")
    assert not of(conference.fars[0], "guest 1000")


def test_on_a_good_network_everything_is_known_at_once() -> None:
    conference = Conference(3)
    conference.net.run(10.0)
    conference.put(1000, 0)
    conference.net.run(10.2)
    conference.assert_told()
    conference.put(1000, 0, NAME="Ann")
    conference.net.run(10.4)
    conference.assert_told()
    conference.remove(1000, "bye")
    conference.net.run(10.6)
    conference.assert_told()


def test_who_comes_late_soon_knows_everybody() -> None:
    conference = Conference(1)
    for csrc in range(1000, 1300):
        conference.put(csrc, 7)
    conference.net.run(20.0)
    conference.add_leg(1)
    conference.net.run(22.0)
    conference.assert_told()
    assert len(conference.fars[1].people()) == 300


def test_what_a_newcomer_missed_is_told_again_in_full() -> None:
    conference = Conference(1, Link(loss=0.1))
    for csrc in range(1000, 1100):
        conference.put(csrc, 7, LOC="here", NOTE="there", TOOL="a phone", EMAIL=f"{csrc}@x.org")
    conference.net.run(40.0)
    conference.assert_told()


def test_a_far_end_that_starts_anew_is_told_again() -> None:
    conference = Conference(1)
    for csrc in range(1000, 1100):
        conference.put(csrc, 7)
    net = conference.net
    net.run(10.0)
    conference.fars[0].port.disconnect()
    del net.ports["far 0"]
    conference.fars[0] = FarEnd(net, 0, seed=2, **conference.values)
    net.run(12.0)
    conference.assert_told()


def test_a_bye_that_was_lost_is_said_again() -> None:
    conference = Conference(2)
    net = conference.net
    for csrc in (1000, 1001):
        conference.put(csrc, 7)
    net.run(10.0)
    net.set_link("hub 0", "far 0", Link(loss=1.0))
    conference.remove(1000, "gone while nobody listened")
    conference.put(1001, 7, NAME="changed")
    net.run(15.0)
    assert len(conference.fars[0].people()) == 2
    net.set_link("hub 0", "far 0", Link())
    net.run(40.0)
    conference.assert_told()
    assert of(conference.fars[0], "guest 1000")[-1][2:] == (BYE, "gone while nobody listened")


def test_everybody_goes_with_a_mixer_that_says_bye() -> None:
    conference = Conference(1)
    for csrc in range(1000, 1150):
        conference.put(csrc, 7)
    net = conference.net
    net.run(10.0)
    hub, far = conference.hubs[0], conference.fars[0]
    hub.take(hub.session.leave("the meeting is over", net.now))
    net.run(10.1)
    assert far.roster.participants == ()
    farewells = [line for line in far.told if line[0] == "ParticipantLeft"]
    assert len(farewells) == 151
    assert {line[2:] for line in farewells} == {(BYE, "the meeting is over")}


def test_everybody_goes_with_a_mixer_that_dies_and_comes_back_with_it() -> None:
    conference = Conference(1, member_timeout_s=6.0)
    for csrc in range(1000, 1020):
        conference.put(csrc, 7)
    net = conference.net
    net.run(10.0)
    far = conference.fars[0]
    conference.hubs[0].port.disconnect()
    net.run(30.0)
    assert far.roster.participants == ()
    assert len([line for line in far.told if line[0] == "ParticipantTimedOut"]) == 21
    assert not [line for line in far.told if line[0] == "ParticipantLeft"]
    conference.hubs[0].port.reconnect()
    net.run(40.0)
    conference.assert_told()
    assert len([line for line in far.told if line[0] == "ParticipantRecovered"]) == 21


def test_people_live_as_long_as_their_mixer_however_rarely_they_are_described() -> None:
    conference = Conference(1, bandwidth_bps=64_000, member_timeout_s=10.0)
    for csrc in range(1000, 1400):
        conference.put(csrc, 7)
    far = conference.fars[0]
    conference.net.run(40.0)
    heard_at = [s.last_heard for s in far.session.sources.values() if s.contributing]
    assert len(heard_at) == 400
    assert min(heard_at) < 40.0 - 10.0  # on its own it would have timed out
    conference.net.run(120.0)
    conference.assert_told()
    assert not [line for line in far.told if line[0] != "NewParticipant"]


def test_a_far_end_that_only_listens_is_not_forgotten_by_the_mixer() -> None:
    conference = Conference(1, bandwidth_bps=64_000)
    for csrc in range(1000, 1400):
        conference.put(csrc, 7)
    conference.net.run(600.0)
    hub, far = conference.hubs[0], conference.fars[0]
    assert not hub.gone()
    assert len(hub.session.sources) == 1
    pauses = [b - a for (a, _), (b, _) in zip(far.transmitted, far.transmitted[1:], strict=False)]
    assert max(pauses) > 5 * 5.0  # the five intervals of a call of two would have been too short


def test_who_is_loud_in_the_mix_is_active() -> None:
    conference = Conference(1)
    net = conference.net
    for csrc in (1000, 1001):
        conference.put(csrc, 7)
    net.run(2.0)

    def packet(level: int) -> None:
        conference.mix(0, (1000, 1001), (level, QUIET))

    net.every(0.02, lambda: packet(LOUD), count=50)
    net.run(3.0)
    far = conference.fars[0]
    ann, bob = far.roster.find("guest 1000"), far.roster.find("guest 1001")
    assert (ann.talking, bob.talking) == (True, False)
    net.every(0.02, lambda: packet(QUIET), count=100)
    net.run(5.0)
    assert not ann.talking
    active = [line[0] for line in of(far, "guest 1000")]
    assert active == ["NewParticipant", "ParticipantActive", "ParticipantInactive"]
    assert of(far, "guest 1001") == [came("guest 1001")]


def test_levels_of_contributors_reach_the_roster_through_the_stream() -> None:
    lab = Lab(MediaType.AUDIO)
    mixer, ours = session(MIXER), session("us", 2, sections=(AUDIO,))
    lab.channel.session = ours
    lab.stream.connect(lab.channel, SimpleNamespace(mid="a", receive=lab.formats))

    def mix(level: int, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            now = lab.now()
            ticks = round(now * 48000) & 0xFFFFFFFF
            datagram = mixer.send("a", OPUS, ticks, b"x", now, csrcs=(71,), csrc_levels=(level,))
            for output in ours.receive(datagram, now):
                if hasattr(output, "payload"):
                    lab.stream.packet_arrived(output, now)
                else:
                    lab.roster.source_heard(output.source, now)
            lab.run(0.02)

    mix(QUIET, 3.0)
    assert lab.told(ParticipantActive) == []
    mix(LOUD, 0.5)
    guest = lab.roster.participant_of(ours.sources[71])
    assert guest.talking
    assert lab.told(ParticipantActive) == [("ParticipantActive",)]
    mix(QUIET, 2.0)
    assert not guest.talking
    assert lab.told(ParticipantInactive) == [("ParticipantInactive",)]


def test_who_mixed_somebody_is_found_also_without_a_csrc_and_among_several() -> None:
    ours = session(sections=(AUDIO, Section("b", MediaType.AUDIO, AUDIO.formats)))
    media = CallMedia({}, {}, Roster(lambda *a, **k: None), None, lambda: 0.0, 0.0)  # type: ignore[arg-type]
    media._channels.append(SimpleNamespace(session=ours))  # type: ignore[arg-type]
    told = compose_compound([ReceiverReport(7, ()), sdes(7, (1, MIXER)), sdes(71, (1, "guest"))])
    ours.receive(told, 1.0)
    guest = ours.sources[71]
    assert media.mixer_of(guest) is None  # nobody sends sound
    hear(ours, 7, 1.1)
    assert media.mixer_of(guest) is ours.sources[7]
    hear(ours, 8, 1.2)
    assert media.mixer_of(guest) is ours.sources[7]
    hear(ours, 9, 1.3, csrcs=(72,))
    assert media.mixer_of(ours.sources[72]) is ours.sources[9]
