"""Several sizes of one picture at the same time: described, told apart, repaired, shown as one."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from aiortc.sdp import SessionDescription
from offers import CHROMIUM, negotiator
from peers import LIMIT_S, LOCALHOST, PLAIN, eventually, scenario
from section_lab import Inlet
from senses import AUDIO as SOUND
from senses import RENDER
from senses import VIDEO as PICTURES
from sessions import AUDIO, OPUS, RTX, VIDEO, VP8, rtp, sdes, session
from stream_lab import Lab, Sender, Window, decoders
from video_lab import vp8_payload

from ipconf import MediaServiceProvider
from ipconf.calls.negotiator import Negotiator
from ipconf.engine.outputs import SourceDescribed, SourceGone, SourceHeard
from ipconf.engine.reception import RemoteSource
from ipconf.engine.rtcp_wire import ReceiverReport, compose_compound
from ipconf.engine.rtp_wire import (
    MID_URI,
    REPAIRED_RID_URI,
    RID_URI,
    HeaderExtensions,
    RtpPacket,
    compose_extension,
    parse_rtp,
)
from ipconf.engine.session import RtpSession
from ipconf.engine.session_config import Section
from ipconf.errors import ConfigurationError
from ipconf.events import (
    CallEvent,
    NewParticipant,
    NewSubStream,
    ParticipantEvent,
    ParticipantInactive,
    SubStreamEvent,
    SubStreamRemoved,
    TspData,
)
from ipconf.model import CallSettings, GoneReason
from ipconf.participants import Participant, Roster
from ipconf.streams.layers import MIN_STAY_S
from ipconf.transports.negotiation import Agreed
from ipconf.transports.simulcast import simulcasts_of
from ipconf.tsp_data import Description

# -- descriptions

LAYERS = """a=rid:q send
a=rid:h send
a=rid:f send
a=simulcast:send q;h;f
"""


def simulcast_offer(layers: str = LAYERS) -> str:
    """What a browser offers for `sendEncodings` with three rids: nothing is said of SSRCs."""
    head, video = CHROMIUM.split("m=video")
    video, data = video.split("m=application")
    lines = [line for line in video.splitlines() if not line.startswith("a=ssrc")]
    return f"{head}m=video" + "\n".join(lines) + f"\n{layers}m=application{data}"


def answer_to(offer: str, **settings: object) -> tuple[str, Negotiator]:
    us = negotiator(**{"video_layers": 3} | settings)
    return asyncio.run(us.answer(offer.replace("\n", "\r\n"))), us


def said(answer: str) -> list[str]:
    """Its lines about layers."""
    return re.findall(r"a=((?:rid|simulcast):.*)\r\n", answer)


def video_line(us: Negotiator) -> Agreed:
    (line,) = [line for line in us.bearers[0].lines if line.medium is PICTURES]
    return line


def test_an_offer_of_three_layers_is_taken() -> None:
    answer, us = answer_to(simulcast_offer())
    assert said(answer) == ["rid:q recv", "rid:h recv", "rid:f recv", "simulcast:recv q;h;f"]
    line = video_line(us)
    assert [layer.rid for layer in line.layers] == ["q", "h", "f"]
    assert (line.extensions[RID_URI], line.extensions[REPAIRED_RID_URI]) == (10, 11)
    sound, video = answer.split("m=video")
    assert f"a=extmap:10 {RID_URI}\r\n" in video and f"a=extmap:11 {REPAIRED_RID_URI}\r\n" in video
    assert RID_URI not in sound
    assert SessionDescription.parse(answer).media[1].rtp.muxId == "1"


def test_a_call_that_wants_one_layer_says_nothing() -> None:
    answer, us = answer_to(simulcast_offer(), video_layers=1)
    assert (said(answer), video_line(us).layers) == ([], ())
    assert RID_URI not in answer and CallSettings().video_layers == 1


def test_no_more_layers_are_taken_than_wanted() -> None:
    answer, us = answer_to(simulcast_offer(), video_layers=2)
    assert said(answer) == ["rid:q recv", "rid:h recv", "simulcast:recv q;h"]
    assert [layer.rid for layer in video_line(us).layers] == ["q", "h"]


@pytest.mark.parametrize("number", [0, 5])
def test_layers_are_one_to_four(number: int) -> None:
    with pytest.raises(ConfigurationError, match="video_layers"):
        CallSettings(video_layers=number)


def test_our_offers_have_one_layer() -> None:
    us = negotiator(video_layers=3)
    offer = asyncio.run(us.offer())
    assert said(offer) == [] and RID_URI not in offer


THREE = "a=rid:q send\na=rid:h send\na=rid:f send\n"


@pytest.mark.parametrize(
    ("layers", "answered"),
    [
        (THREE + "a=simulcast:send ~q;h;~f\n", "q;h;f"),  # a paused one may come later
        (THREE + "a=simulcast:send h,q;f\n", "h;f"),
        (THREE + "a=simulcast:send x,q;f\n", "q;f"),  # the first alternative that is described
        (THREE + "a=simulcast:send q;q,h;q\n", "q;h"),
        (THREE + "a=simulcast:recv a;b send q;h\n", "q;h"),
        (THREE + "a=simulcast:send q;h recv a;b\n", "q;h"),
        (THREE + "a=simulcast: send q;h\n", "q;h"),
        (THREE + "a=simulcast:send q;h\na=simulcast:send f\n", "q;h"),
        (THREE + "a=simulcast:send f\n", "f"),
    ],
)
def test_what_an_offer_may_say(layers: str, answered: str) -> None:
    answer, _ = answer_to(simulcast_offer(layers))
    assert said(answer)[-1] == f"simulcast:recv {answered}"
    assert said(answer)[:-1] == [f"rid:{rid} recv" for rid in answered.split(";")]


@pytest.mark.parametrize(
    "layers",
    [
        THREE,
        "a=simulcast:send q;h;f\n",
        THREE + "a=simulcast:recv q;h;f\n",
        THREE + "a=simulcast:send\n",
        THREE + "a=simulcast:send ;;~;,\n",
        THREE + "a=simulcast:send rid=q;h\n",
        "a=rid:q recv\na=rid:h recv\na=simulcast:send q;h\n",
        "a=rid: send\na=rid:~ send\na=simulcast:send ~;~~\n",
        f"a=rid:{'q' * 17} send\na=simulcast:send {'q' * 17}\n",
        "a=rid:q-1 send\na=rid:h_2 send\na=rid:\u00fc send\na=simulcast:send q-1;h_2;\u00fc\n",
        "a=rid:q send pt=98\na=rid:h send pt=x\na=simulcast:send q;h\n",
        "a=rid:q send =\na=rid:h send max width\na=simulcast:send q;h\n",
    ],
)
def test_what_makes_no_sense_is_no_simulcast(layers: str) -> None:
    answer, us = answer_to(simulcast_offer(layers))
    assert (said(answer), video_line(us).layers) == ([], ())
    assert RID_URI not in answer


def test_restrictions_are_repeated_and_formats_kept_to_what_is_common() -> None:
    layers = (
        "a=rid:q send pt=98,96,97;max-width=320;max-height=180\n"
        "a=rid:h send max-fps=30\n"
        "a=simulcast:send q;h\n"
    )
    answer, _ = answer_to(simulcast_offer(layers))
    assert said(answer)[:2] == [
        "rid:q recv pt=96;max-width=320;max-height=180",
        "rid:h recv max-fps=30",
    ]


def test_without_stream_ids_in_packets_there_is_no_simulcast() -> None:
    offer = simulcast_offer().replace(f"a=extmap:10 {RID_URI}\n", "")
    answer, us = answer_to(offer)
    assert (said(answer), video_line(us).layers) == ([], ())


def test_an_extension_number_that_means_something_else_is_not_taken() -> None:
    offer = simulcast_offer().replace(f"a=extmap:10 {RID_URI}", f"a=extmap:1 {RID_URI}")
    answer, us = answer_to(offer)  # 1 is the audio level's
    assert (said(answer), video_line(us).layers) == ([], ())


def test_who_sends_nothing_has_no_layers() -> None:
    head, video = simulcast_offer().split("m=video")
    answer, _ = answer_to(f"{head}m=video" + video.replace("a=sendrecv", "a=recvonly"))
    assert said(answer) == []


def test_thousands_of_layers_cost_little_and_four_are_taken() -> None:
    rids = [f"r{number}" for number in range(4000)]
    layers = "".join(f"a=rid:{rid} send\n" for rid in rids)
    offer = simulcast_offer(layers + f"a=simulcast:send {';'.join(rids)}\n")
    assert len(offer) < 100_000
    answer, _ = answer_to(offer, video_layers=4)
    assert said(answer)[-1] == "simulcast:recv r0;r1;r2;r3"


def test_layers_are_read_line_by_line() -> None:
    found = simulcasts_of(simulcast_offer(), 3)
    assert [len(each.streams) for each in found] == [0, 3, 0]


# -- packets and sources

EXTENSIONS = HeaderExtensions({MID_URI: 2, RID_URI: 10, REPAIRED_RID_URI: 11})
TWO_BYTE = HeaderExtensions({MID_URI: 2, RID_URI: 20, REPAIRED_RID_URI: 21})
RIDS = ("q", "h", "f")
SSRCS = dict(zip(RIDS, (0x71, 0x68, 0x66), strict=True))
CAMERA = Section("v", PICTURES, VIDEO.formats, rids=RIDS)
SCREEN = Section("s", PICTURES, VIDEO.formats, rids=RIDS)


def layered(*sections: Section, **values: object) -> RtpSession:
    values.setdefault("extensions", EXTENSIONS)
    return session(sections=sections or (AUDIO, CAMERA), **values)


def packet(
    ssrc: int,
    sequence: int,
    rid: str | None = None,
    *,
    mid: str | None = "v",
    repaired: str | None = None,
    payload: bytes = b"media",
    payload_type: int = VP8,
    ids: HeaderExtensions = EXTENSIONS,
) -> bytes:
    """A packet of a layer, which says so if that is given."""
    extension = compose_extension(ids, mid=mid if rid or repaired else None, rid=rid,
                                  repaired_rid=repaired)  # fmt: skip
    return rtp(
        ssrc, sequence, sequence * 3000, payload, payload_type=payload_type, extension=extension
    )


def repeat(ssrc: int, sequence: int, repaired: str | None, number: int = 1) -> bytes:
    """The retransmission of a layer's packet."""
    payload = sequence.to_bytes(2, "big") + b"again"
    return packet(ssrc, number, repaired=repaired, payload=payload, payload_type=RTX)


def come(ours: RtpSession, now: float = 0.1) -> None:
    """All three layers are there."""
    for rid, ssrc in SSRCS.items():
        for sequence in (1, 2):
            ours.receive(packet(ssrc, sequence, rid), now)


def rids(ours: RtpSession) -> dict[int, str | None]:
    return {ssrc: source.rid for ssrc, source in ours.sources.items()}


@pytest.mark.parametrize("ids", [EXTENSIONS, TWO_BYTE])
def test_a_packet_says_its_layer_and_what_it_repairs(ids: HeaderExtensions) -> None:
    one = parse_rtp(packet(1, 1, "q", ids=ids), ids)
    assert (one.mid, one.rid, one.repaired_rid) == ("v", "q", None)
    other = parse_rtp(packet(1, 1, repaired="h", ids=ids), ids)
    assert (other.mid, other.rid, other.repaired_rid) == ("v", None, "h")
    assert parse_rtp(packet(1, 1), ids).rid is None
    unknown = parse_rtp(packet(1, 1, "q", ids=ids), HeaderExtensions({}))
    assert (unknown.rid, unknown.repaired_rid) == (None, None)


@pytest.mark.parametrize("ids", [EXTENSIONS, TWO_BYTE])
def test_layers_are_told_apart_by_what_their_first_packets_say(ids: HeaderExtensions) -> None:
    ours = layered(extensions=ids)
    delivered: list[RtpPacket] = []
    for sequence in range(1, 6):
        for rid, ssrc in SSRCS.items():
            told = rid if sequence < 3 else None
            outputs = ours.receive(packet(ssrc, sequence, told, ids=ids), sequence * 0.03)
            delivered += [o for o in outputs if isinstance(o, RtpPacket)]
    assert rids(ours) == {ssrc: rid for rid, ssrc in SSRCS.items()}
    assert len(delivered) == 15
    assert all(SSRCS[p.source.rid] == p.ssrc and p.source.mid == "v" for p in delivered)  # type: ignore


def test_one_held_packet_that_says_it_is_enough() -> None:
    ours = layered()
    ours.receive(packet(1, 1, "q"), 0.1)
    ours.receive(packet(1, 3), 0.2)
    first, *others = ours.receive(packet(1, 4), 0.3)
    assert isinstance(first, SourceHeard) and len(others) == 3
    assert rids(ours) == {1: "q"}


def test_sections_with_the_same_formats_and_layers_are_told_apart_by_mid() -> None:
    ours = layered(CAMERA, SCREEN)
    for ssrc, mid in ((1, "v"), (2, "s"), (3, "v"), (4, "s")):
        rid = "q" if ssrc < 3 else "f"
        for sequence in (1, 2):
            ours.receive(packet(ssrc, sequence, rid, mid=mid), 0.1)
    found = {(s.mid, s.rid): s.ssrc for s in ours.sources.values()}
    assert found == {("v", "q"): 1, ("s", "q"): 2, ("v", "f"): 3, ("s", "f"): 4}


def test_a_source_is_the_same_layer_for_good() -> None:
    ours = layered(CAMERA, SCREEN)
    come(ours)
    source = ours.sources[SSRCS["q"]]
    for sequence in range(3, 10):
        ours.receive(packet(SSRCS["q"], sequence, "f"), 0.2)
    assert (source.mid, source.rid) == ("v", "q")
    ours.receive(packet(SSRCS["q"], 10, "h", mid="s"), 0.3)
    assert (source.mid, source.rid) == ("s", "q")


def test_a_layer_that_was_known_from_reports_first() -> None:
    ours = layered()
    ours.receive(compose_compound([ReceiverReport(1, ()), sdes(1, (1, "ann"))]), 0.1)
    assert rids(ours) == {1: None}
    for sequence in (1, 2):
        ours.receive(packet(1, sequence, "h"), 0.2)
    assert rids(ours) == {1: "h"}


@pytest.mark.parametrize("told", ["x", "Q", "q" * 200, "\0", "q;h", "\u00fc", " q"])
def test_ids_that_were_not_agreed_on_mean_nothing(told: str) -> None:
    ours = layered()
    come(ours)
    for sequence in (1, 2):
        ours.receive(packet(9, sequence, told), 0.2)
    assert ours.sources[9].rid is None and ours.sources[9].mid == "v"


def test_thousands_of_ids_and_sources_are_bounded() -> None:
    ours = layered(max_sources=20)
    generator = random.Random(3)
    come(ours)
    for number in range(3000):
        told = "".join(generator.choices("abcqhf0123456789", k=generator.randrange(1, 20)))
        ssrc = generator.randrange(100, 1000)
        for sequence in (number, number + 1):
            ours.receive(packet(ssrc, sequence & 0xFFFF, told), 0.2 + number * 0.001)
    assert len(ours.sources) == 20
    assert set(rids(ours).values()) <= {*RIDS, None}


def test_broken_ids_spoil_nothing() -> None:
    ours = layered()
    for sequence, value in ((1, b"\xff\xfe"), (2, b"")):
        element = bytes((20, len(value))) + value
        body = element + bytes(-len(element) % 4)
        block = b"\x10\x00" + (len(body) // 4).to_bytes(2, "big") + body
        ours.receive(rtp(1, sequence, payload_type=VP8, extension=block), 0.1)
    assert rids(ours) == {1: None}


# -- retransmissions


def test_a_repeat_is_of_the_layer_that_it_names() -> None:
    ours = layered()
    come(ours)
    for rid, ssrc in SSRCS.items():
        ours.receive(packet(ssrc, 5), 0.2)
        (repaired,) = ours.receive(repeat(0x1000 + ssrc, 3, rid), 0.3)
        assert isinstance(repaired, RtpPacket)
        assert (repaired.source, repaired.sequence) == (ours.sources[ssrc], 3)
        (repaired,) = ours.receive(repeat(0x1000 + ssrc, 4, None, 2), 0.4)  # it is known now
        assert repaired.source is ours.sources[ssrc]
    assert ours.stats.repaired == 6 and len(ours.sources) == 3


def test_what_a_repeat_says_goes_before_what_was_guessed() -> None:
    ours = layered()
    for sequence in (1, 2, 5):
        ours.receive(packet(SSRCS["q"], sequence, "q"), 0.1)
    (repaired,) = ours.receive(repeat(0x99, 3, None), 0.2)  # of the only source there is
    assert repaired.source is ours.sources[SSRCS["q"]]
    come(ours)
    ours.receive(packet(SSRCS["f"], 5), 0.3)
    (repaired,) = ours.receive(repeat(0x99, 3, "f", 2), 0.4)
    assert repaired.source is ours.sources[SSRCS["f"]]


def test_a_repeat_of_a_layer_that_is_not_there_is_nobodys() -> None:
    ours = layered()
    for sequence in (1, 2, 5):
        ours.receive(packet(SSRCS["q"], sequence, "q"), 0.1)
    assert ours.receive(repeat(0x99, 3, "f"), 0.2) == []
    come(ours)
    assert ours.receive(repeat(0x98, 3, "x"), 0.3) == []  # not agreed on: as if it said nothing
    assert ours.stats.unassignable_repairs == 2


def test_lost_packets_of_all_layers_are_repaired_over_a_bad_network() -> None:
    generator = random.Random(8)
    ours = layered()
    come(ours)
    delivered: dict[int, set[int]] = {ssrc: set() for ssrc in SSRCS.values()}
    for sequence in range(3, 400):
        now = sequence * 0.03
        for rid, ssrc in SSRCS.items():
            lost = generator.random() < 0.1 and sequence < 399
            late = repeat(0x1000 + ssrc, sequence, rid if sequence < 100 else None, sequence)
            for output in ours.receive(late if lost else packet(ssrc, sequence), now):
                assert isinstance(output, RtpPacket)
                delivered[output.ssrc].add(output.sequence)
    for ssrc, sequences in delivered.items():
        assert sequences == set(range(3, 400)), ssrc
    assert ours.stats.repaired > 50


# -- people


class Leg:
    """A session, and a roster that hears of its sources."""

    def __init__(self, ours: RtpSession) -> None:
        self.session = ours
        self.events: list[type[ParticipantEvent]] = []
        self.roster = Roster(self._post)

    def _post(
        self, kind: type[ParticipantEvent], at: float, person: Participant | None, /, **_: object
    ) -> None:
        self.events.append(kind)

    def receive(self, datagram: bytes, now: float) -> None:
        for output in self.session.receive(datagram, now):
            if isinstance(output, SourceHeard):
                self.roster.source_heard(output.source, now)
            elif isinstance(output, SourceDescribed):
                self.roster.source_described(output.source, output.changed, now)
            elif isinstance(output, SourceGone):
                self.roster.source_gone(output.source, output.reason, output.text, now)

    def send(self, ssrc: int, rid: str | None, now: float, mid: str = "v") -> None:
        for sequence in (1, 2):
            self.receive(packet(ssrc, sequence, rid, mid=mid), now)

    def talk(self, ssrc: int, now: float, cname: str | None = None) -> None:
        for sequence in (1, 2):
            self.receive(rtp(ssrc, sequence, payload_type=OPUS), now)
        if cname is not None:
            self.tell(ssrc, cname, now)

    def tell(self, ssrc: int, cname: str, now: float) -> None:
        self.receive(compose_compound([ReceiverReport(ssrc, ()), sdes(ssrc, (1, cname))]), now)

    def people(self, now: float) -> dict[str, int]:
        """Who is there by then, with the number of their sources."""
        self.roster.handle_timer(now)
        return {person.identity: len(person.sources) for person in self.roster.participants}


def browser(**values: object) -> Leg:
    return Leg(layered(one_person=True, **values))


def test_layers_are_whose_sound_comes_on_the_same_transport() -> None:
    leg = browser()
    leg.talk(1, 0.1, "ann")
    for rid, ssrc in SSRCS.items():
        leg.send(ssrc, rid, 0.2)
    assert leg.people(0.2) == {"ann": 4}
    for ssrc in SSRCS.values():
        leg.tell(ssrc, "", 0.3)  # as some browsers do
    assert leg.people(5.0) == {"ann": 4}
    assert leg.events.count(NewParticipant) == 1


def test_layers_that_come_before_the_name() -> None:
    leg = browser()
    for rid, ssrc in SSRCS.items():
        leg.send(ssrc, rid, 0.1)
        leg.tell(ssrc, "", 0.2)
    leg.talk(1, 0.3, "ann")
    assert leg.people(0.3) == {"ann": 4}


def test_layers_that_were_announced_as_nobody_get_their_name() -> None:
    leg = browser()
    for rid, ssrc in SSRCS.items():
        leg.send(ssrc, rid, 0.1)
    assert leg.people(3.0) == {f"ssrc {SSRCS['q']:08x}": 3}
    leg.talk(1, 3.1, "ann")
    assert leg.people(3.1) == {"ann": 4}
    leg.send(9, None, 3.2)  # not a layer, and has not said that it has no name
    assert leg.people(3.3) == {"ann": 4}
    leg.tell(9, "", 3.4)
    assert leg.people(3.5) == {"ann": 5}


def test_a_name_that_the_description_tells_is_enough() -> None:
    sound = Section("a", SOUND, AUDIO.formats, ssrcs={1: "ann"})
    leg = Leg(layered(sound, CAMERA, one_person=True))
    leg.send(SSRCS["q"], "q", 0.1)  # the microphone is off
    assert leg.people(0.1) == {"ann": 1}


def test_where_several_are_named_nobody_knows_whose_it_is() -> None:
    leg = browser()
    leg.talk(1, 0.1, "ann")
    leg.talk(2, 0.1, "ben")
    for rid, ssrc in SSRCS.items():
        leg.send(ssrc, rid, 0.2)
    assert leg.people(0.3) == {"ann": 1, "ben": 1}
    assert leg.people(3.0) == {"ann": 1, "ben": 1, f"ssrc {SSRCS['q']:08x}": 3}


def test_without_browsers_everybody_tells_their_own_name() -> None:
    leg = Leg(layered())
    leg.talk(1, 0.1, "ann")
    for rid, ssrc in SSRCS.items():
        leg.send(ssrc, rid, 0.2)
        leg.tell(ssrc, "", 0.3)
    assert leg.people(3.0) == {"ann": 1, f"ssrc {SSRCS['q']:08x}": 3}
    leg.tell(SSRCS["h"], "ben", 3.1)
    assert leg.people(3.1) == {"ann": 1, "ben": 3}


def test_layers_of_two_sections_are_two_unless_somebody_names_them() -> None:
    leg = Leg(layered(CAMERA, SCREEN))
    for ssrc, (mid, rid) in enumerate((m, r) for m in ("v", "s") for r in RIDS):
        leg.send(ssrc + 1, rid, 0.1, mid)
    assert leg.people(3.0) == {"ssrc 00000001": 3, "ssrc 00000004": 3}


def test_a_name_of_its_own_goes_before_a_given_one() -> None:
    leg = browser()
    leg.talk(1, 0.1, "ann")
    leg.send(SSRCS["q"], "q", 0.2)
    leg.tell(SSRCS["q"], "ben", 0.3)
    assert leg.people(0.3) == {"ann": 1, "ben": 1}
    leg.send(SSRCS["h"], "h", 0.4)  # by now there are two
    assert leg.people(0.5) == {"ann": 1, "ben": 1}


def test_whom_a_mixer_describes_is_not_the_mixer() -> None:
    leg = browser()
    leg.tell(1, "mixer", 0.1)
    leg.receive(
        compose_compound([ReceiverReport(1, ()), sdes(1, (1, "mixer")), sdes(5, (1, "cy"))]), 0.2
    )
    leg.send(SSRCS["q"], "q", 0.3)
    assert leg.people(0.4) == {"mixer": 2, "cy": 1}


# -- streams


class LayerSender(Sender):
    """A layer, each packet a picture of that size."""

    def __init__(self, lab: Lab, rid: str, size: int, cname: str = "ann", mid: str = "0") -> None:
        self.rid, self.size, self.mid = rid, size, mid
        super().__init__(lab, cname, level=None)

    def send(self) -> None:
        self.source.rid, self.source.mid = self.rid, self.mid
        self.payload = vp8_payload(self.number, key=True, size=self.size)
        super().send()


@pytest.fixture
def lab() -> Iterator[Lab]:
    with decoders():
        yield Lab()


def send_layers(lab: Lab, **options: str) -> list[LayerSender]:
    return [LayerSender(lab, rid, 100 * 3**n, **options) for n, rid in enumerate(RIDS)]


def about_substreams(lab: Lab) -> list[type[CallEvent]]:
    found = [type(event) for event in lab.events if isinstance(event, SubStreamEvent)]
    lab.events.clear()
    return [kind for kind in found if kind in (NewSubStream, SubStreamRemoved)]


def test_a_person_is_shown_once_and_in_the_best_layer(lab: Lab) -> None:
    (window, other) = lab.windows(2)
    lab.connect()
    low, _, high = send_layers(lab)
    lab.run(0.5)
    assert len(lab.stream.substreams) == 1
    assert lab.stream.substreams[0].source is low.source  # it came first
    assert lab.stream.substream_of(high.source) is None
    lab.run(4.0)
    assert window.shows() == other.shows() == high.number
    (substream,) = lab.stream.substreams
    assert substream.source is high.source and substream.participant is high.person
    assert high.source.ssrc in lab.key_frames
    assert about_substreams(lab) == [NewSubStream]


def test_where_the_best_is_switched_off_the_next_one_is_shown(lab: Lab) -> None:
    (window,) = lab.windows(1)
    lab.connect()
    low, middle, high = send_layers(lab)
    lab.run(5.0)
    (substream,) = lab.stream.substreams
    high.sends = False
    lab.run(3.0)
    assert window.shows() == middle.number
    middle.leave()
    lab.run(0.1)
    assert window.shows() == low.number
    high.sends = True
    lab.run(5.0)
    assert window.shows() == high.number
    assert high.person.talking and ParticipantInactive not in map(type, lab.events)
    assert lab.stream.substreams == (substream,)
    assert about_substreams(lab) == [NewSubStream]
    high.leave()
    low.leave()
    assert about_substreams(lab) == [SubStreamRemoved] and not lab.stream.substreams


def test_layers_that_are_alike_are_not_changed(lab: Lab) -> None:
    lab.windows(1)
    lab.connect()
    first = LayerSender(lab, "q", 500)
    LayerSender(lab, "h", 600)
    lab.run(10.0)
    assert lab.stream.substreams[0].source is first.source


def test_layers_that_take_turns_are_changed_now_and_then(lab: Lab) -> None:
    lab.windows(1)
    lab.connect()
    layers = [LayerSender(lab, "q", 100), LayerSender(lab, "h", 5000)]
    (substream,) = lab.stream.substreams
    changed_at, source = [], substream.source
    for tenth in range(300):
        if tenth % 10 == 0:
            layers[0].size, layers[1].size = layers[1].size, layers[0].size
        lab.run(0.1)
        if substream.source is not source:
            source = substream.source
            changed_at.append(lab.now())
    pauses = [later - earlier for earlier, later in itertools.pairwise(changed_at)]
    assert pauses and min(pauses) > MIN_STAY_S - 0.15
    assert about_substreams(lab) == [NewSubStream]


def test_somebody_in_a_window_of_their_own_stays_there(lab: Lab) -> None:
    lab.connect()
    low, *_, high = send_layers(lab)
    terminal = Window()
    low.substream.select_terminal(terminal)
    lab.run(5.0)
    assert high.substream.terminals == (terminal,)


def test_layers_of_two_sections_are_two_pictures(lab: Lab) -> None:
    windows = lab.windows(2)
    lab.connect()
    camera, screen = send_layers(lab), send_layers(lab, mid="1", cname="ann")
    lab.run(5.0)
    assert {window.shows() for window in windows} == {camera[2].number, screen[2].number}
    assert about_substreams(lab) == [NewSubStream] * 2


def test_sources_without_a_layer_have_a_substream_each(lab: Lab) -> None:
    lab.connect()
    send_layers(lab)
    lab.join("ann", level=None)
    lab.join("ben", level=None)
    assert len(lab.stream.substreams) == 3


def test_a_terminal_that_takes_packets_gets_those_of_all_layers(lab: Lab) -> None:
    inlet = Inlet()
    lab.stream.select_terminal(inlet)
    lab.connect()
    gone: list[RemoteSource] = []
    inlet.source_gone = gone.append  # type: ignore[method-assign]
    layers = send_layers(lab)
    lab.run(5.0)
    heard = {p.source.rid for p in inlet.packets if p.source is not None}
    assert heard == set(RIDS)
    assert len(inlet.packets) == sum(sender.source.packets for sender in layers)
    for sender in layers:
        sender.leave()
    assert gone == [sender.source for sender in layers]
    assert about_substreams(lab) == [NewSubStream, SubStreamRemoved]


def test_a_window_and_a_terminal_that_takes_packets_at_once(lab: Lab) -> None:
    (window,) = lab.windows(1)
    inlet = Inlet()
    lab.stream.select_terminal(inlet)
    lab.connect()
    *_, high = layers = send_layers(lab)
    lab.run(5.0)
    assert window.shows() == high.number
    assert len(inlet.packets) == sum(sender.source.packets for sender in layers)


def test_packets_of_all_layers_are_counted_also_of_those_who_left(lab: Lab) -> None:
    lab.windows(1)
    lab.connect()
    layers = send_layers(lab)
    lab.run(5.0)
    sent = sum(sender.source.packets for sender in layers)
    octets = sum(sender.source.octets for sender in layers)
    before = lab.stream.stats()
    assert (before.packets, before.octets) == (sent, octets)
    for sender in layers:
        sender.leave(GoneReason.TIMEOUT)
    after = lab.stream.stats()
    assert (after.packets, after.octets) == (sent, octets)
    assert after.frames >= before.frames > 200


def test_a_stream_of_which_a_spare_layer_comes_is_active(lab: Lab) -> None:
    lab.windows(1)
    lab.connect()
    low, middle, high = send_layers(lab)
    lab.run(5.0)
    low.sends = high.sends = False
    lab.run(10.0)
    assert lab.stream.active
    middle.sends = False
    lab.run(10.0)
    assert not lab.stream.active


# -- a call


@scenario()
async def test_a_call_takes_layers_from_a_socket() -> None:
    offer = (
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        "m=video 9 RTP/AVP 96 97\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\n"
        f"a=fmtp:97 apt=96\r\na=mid:v\r\na=extmap:2 {MID_URI}\r\na=extmap:10 {RID_URI}\r\n"
        f"a=extmap:11 {REPAIRED_RID_URI}\r\na=sendonly\r\na=rtcp-mux\r\n"
    ) + LAYERS.replace("\n", "\r\n")
    async with MediaServiceProvider(settings=PLAIN.replace(video_layers=3)) as msp:
        call, inlet = msp.create_call({PICTURES}), Inlet()
        call.stream(PICTURES, RENDER).select_terminal(inlet)
        with closing(msp.events(TspData)) as posted:
            call.receive_tsp_data(Description(type="offer", sdp=offer))
            async with asyncio.timeout(LIMIT_S):
                ours = (await posted.wait_for(TspData)).data
                await call.wait_connected()
        assert isinstance(ours, Description) and "a=simulcast:recv q;h;f\r\n" in ours.sdp
        port = int(re.findall(r"m=video (\d+)", ours.sdp)[0])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
            for sequence in range(1, 20):
                for rid, ssrc in SSRCS.items():
                    far.sendto(packet(ssrc, sequence, rid), (LOCALHOST, port))
            await eventually(lambda: len(inlet.packets) == 57, "all of it came")
        assert {p.source and p.source.rid for p in inlet.packets} == set(RIDS)
        assert len(call.stream(PICTURES, RENDER).substreams) == 1
