"""Several video sections in one call: agreed on, sent on, told apart, and who is seen on them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aioice.ice
import av
import pytest
from aiortc_peer import AiortcPeer
from call_ends import EventLog, provider
from offers import FORMATS, PaperTransport
from peers import LOCALHOST, PLAIN, eventually, scenario, webrtc
from section_lab import Inlet, Slots
from senses import (
    AUDIO,
    BLUE,
    CAPTURE,
    GREEN,
    RED,
    RENDER,
    VIDEO,
    YELLOW,
    Picture,
    PictureTerminal,
    Sink,
    is_picture,
)

from ipconf import Call, CallSettings, LoopbackTsp, ParticipantSubStreamControl, ToneTerminal
from ipconf.calls.negotiator import Negotiator
from ipconf.engine.forwarding import ForwardedPeople
from ipconf.engine.outputs import BitrateLimited, KeyFrameRequested
from ipconf.engine.rtp_wire import MID_URI
from ipconf.errors import (
    ClosedError,
    ConfigurationError,
    InvalidStreamError,
    MaxStreamsError,
    NotSupportedError,
)
from ipconf.events import (
    NewSubStream,
    StreamNotUsed,
    SubStreamEvent,
    SubStreamMapped,
    SubStreamRemoved,
    SubStreamUnmapped,
)
from ipconf.model import SdesType
from ipconf.transports.negotiation import Agreed, Refused

PICTURES: tuple[Picture, ...] = ((RED, GREEN), (BLUE, YELLOW), (GREEN, BLUE))
ANN, ANN_SEEN, BEN_SEEN = 0xA0, 0xA1, 0xB1
"""CSRCs: of Ann's sound, of her pictures, of Ben's pictures."""


@pytest.fixture
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiortc on its own never offers the loopback address."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [LOCALHOST])


# -- what is agreed on


def _negotiator(sections: int, further: int = 0, **changes: object) -> Negotiator:
    settings = CallSettings(video_sections=sections, **changes)
    return Negotiator(FORMATS, settings, lambda: PaperTransport(settings), "us@here", further)


def _agree(one: Negotiator, other: Negotiator) -> tuple[str, str]:
    offer = asyncio.run(one.offer())
    answer = asyncio.run(other.answer(offer))
    one.accept_answer(answer)
    return offer, answer


def _lines(us: Negotiator) -> list[Agreed]:
    return sorted((line for b in us.bearers for line in b.lines), key=lambda line: line.index)


def _sections(text: str) -> list[str]:
    return ["m=" + part for part in re.split(r"^m=", text, flags=re.M)[1:]]


@pytest.mark.parametrize(
    ("changes", "transports"),
    [({}, 1), ({"bundle": False}, 4), ({"transport": "rtp"}, 4)],
    ids=["bundle", "no bundle", "plain"],
)
def test_each_section_has_its_mid_and_its_sources(
    changes: dict[str, object], transports: int
) -> None:
    one, other = _negotiator(3, **changes), _negotiator(3, **changes)
    offer, answer = _agree(one, other)
    for us, them, text in ((one, other, answer), (other, one, offer)):
        lines = _lines(us)
        assert [line.medium for line in lines] == [AUDIO, VIDEO, VIDEO, VIDEO]
        assert len(us.bearers) == transports and us.refused == []
        assert all(line.sends and line.receives and MID_URI in line.extensions for line in lines)
        for line in lines[1:]:
            assert set(line.ssrcs) == {them.ssrcs[line.mid]}
            assert line.repair == {them.repair_ssrcs[line.mid]: them.ssrcs[line.mid]}
        told = {ssrc for line in lines for ssrc in (*line.ssrcs, *line.repair)}
        assert len(told) == 1 + 2 * 3
        tracks = re.findall(r"^a=msid:\S+ (\S+)\r$", text, re.M)
        assert len(set(tracks)) == 4


def test_lines_beyond_the_limit_are_refused() -> None:
    one, other = _negotiator(4), _negotiator(3)
    _, answer = _agree(one, other)
    (refused,) = other.refused
    assert refused == Refused(4, VIDEO, "more video lines than video_sections")
    assert _sections(answer)[4].startswith("m=video 0 ")
    assert [line.index for line in _lines(one)] == [0, 1, 2, 3]
    assert [line.index for line in one.refused] == [4]


def test_what_we_show_is_told_both_ways() -> None:
    one, other = _negotiator(3, further=1), _negotiator(3)
    offer, answer = _agree(one, other)
    assert [part.count("a=content:slides\r\n") for part in _sections(offer)] == [0, 0, 1, 0]
    assert "a=content" not in answer
    assert [line.content for line in _lines(other)] == ["", "", "slides", ""]
    assert [line.content for line in _lines(one)] == ["", "", "", ""]


def test_slides_go_to_the_line_that_is_for_slides() -> None:
    one, other = _negotiator(3), _negotiator(3, further=1)
    offer = asyncio.run(one.offer()).replace("a=mid:3\r\n", "a=mid:3\r\na=content:slides\r\n")
    assert other.slides == [2]
    answer = asyncio.run(other.answer(offer))
    assert other.slides == [3]
    assert [part.count("a=content:slides\r\n") for part in _sections(answer)] == [0, 0, 0, 1]


@pytest.mark.parametrize("spoiled", ["a=content:sl ides", "a=content:", "a=content:" + "x" * 65])
def test_a_content_that_is_none_says_nothing(spoiled: str) -> None:
    one, other = _negotiator(2), _negotiator(2)
    offer = asyncio.run(one.offer()).replace("a=mid:2\r\n", f"a=mid:2\r\n{spoiled}\r\n")
    asyncio.run(other.answer(offer))
    assert [line.content for line in _lines(other)] == ["", "", ""]


def test_the_first_line_is_never_for_slides() -> None:
    one, other = _negotiator(2), _negotiator(2, further=1)
    offer = asyncio.run(one.offer())
    only = offer.replace("a=sendrecv", "a=sendonly", 3).replace("a=sendonly", "a=sendrecv", 2)
    answer = asyncio.run(other.answer(only))
    assert other.slides == [] and "a=content" not in answer


@pytest.mark.parametrize("sections", [0, 17, 1.5])
def test_there_are_one_to_sixteen_sections(sections: float) -> None:
    with pytest.raises(ConfigurationError, match="video_sections"):
        CallSettings(video_sections=sections)


# -- calls


@asynccontextmanager
async def _calls(settings: CallSettings) -> AsyncIterator[tuple[LoopbackTsp, Call, Call]]:
    async with (
        provider("Alice", settings) as alice,
        provider("Bob", settings) as bob,
        LoopbackTsp(alice, bob) as tsp,
    ):
        yield tsp, *tsp.pair()


def _windows(call: Call, number: int) -> list[asyncio.Queue[av.VideoFrame]]:
    queues: list[asyncio.Queue[av.VideoFrame]] = [asyncio.Queue() for _ in range(number)]
    for queue in queues:
        call.stream(VIDEO, RENDER).select_terminal(Sink(VIDEO, queue))
    return queues


def _seen(queues: list[asyncio.Queue[av.VideoFrame]]) -> set[Picture]:
    """Which of the pictures have been shown of late."""
    frames = [queue.get_nowait() for queue in queues for _ in range(queue.qsize())]
    return {picture for picture in PICTURES for frame in frames if is_picture(frame, picture)}


@pytest.mark.parametrize(
    "settings",
    [
        webrtc(video_sections=3),
        webrtc(video_sections=3, bundle=False),
        PLAIN.replace(video_sections=3),
    ],
    ids=["bundle", "no bundle", "plain"],
)
@scenario()
async def test_packets_of_three_sections_are_three_substreams(settings: CallSettings) -> None:
    async with _calls(settings) as (tsp, one, other):
        slots, queues = Slots(), _windows(other, 3)
        sent, arriving = one.stream(VIDEO, CAPTURE), other.stream(VIDEO, RENDER)
        sent.select_terminal(slots)
        await tsp.connect(pair=(one, other))
        await eventually(lambda: len(slots.outlets) == 3, "all sections can be sent to")
        assert [outlet.mid for outlet in slots.outlets] == ["1", "2", "3"]
        assert len({outlet.ssrc for outlet in slots.outlets}) == 3
        seen: set[Picture] = set()

        def all_seen() -> bool:
            seen.update(_seen(queues))
            return seen == set(PICTURES)

        await slots.until(all_seen, one.now, PICTURES)
        sources = {s.source.mid: s.source.ssrc for s in arriving.substreams if s.source}
        assert sources == {outlet.mid: outlet.ssrc for outlet in slots.outlets}
        (person,) = other.participants
        assert set(person.substreams) >= set(arriving.substreams)
        assert sent.stats().packets == sum(outlet.source.packets for outlet in slots.outlets)
        slots.asked.clear()
        substream = next(s for s in arriving.substreams if s.source and s.source.mid == "2")
        assert substream.source is not None

        def ask() -> list[str]:
            arriving.request_key_frame(substream.source)  # type: ignore[attr-defined]
            return slots.asked

        assert set(await eventually(ask, "a key frame is asked for")) == {"2"}
        sent.unselect_terminal(slots)
        assert slots.outlets == []


@scenario()
async def test_a_limit_reaches_the_section_that_it_names() -> None:
    async with _calls(webrtc(video_sections=2)) as (tsp, one, other):
        slots = Slots()
        one.stream(VIDEO, CAPTURE).select_terminal(slots)
        await tsp.connect(pair=(one, other))
        channel = one._media.channels[0]
        first, second = (outlet.ssrc for outlet in slots.outlets)
        channel._dispatch(BitrateLimited(300_000, (second,)), one.now())
        channel._dispatch(BitrateLimited(900_000, (first, second)), one.now())
        channel._dispatch(KeyFrameRequested(second), one.now())
        assert slots.limits == [
            ("2", 300_000, (second,)),
            ("1", 900_000, (first, second)),
            ("2", 900_000, (first, second)),
        ]
        assert slots.asked == ["2"]


@scenario()
async def test_a_camera_is_sent_on_the_first_section_alone() -> None:
    async with _calls(webrtc(video_sections=3)) as (tsp, one, other):
        one.stream(VIDEO, CAPTURE).select_terminal(PictureTerminal(PICTURES[0]))
        queues = _windows(other, 2)
        await tsp.connect(pair=(one, other))
        await eventually(lambda: _seen(queues) == {PICTURES[0]}, "the picture is there")
        (substream,) = other.stream(VIDEO, RENDER).substreams
        assert substream.source is not None and substream.source.mid == "1"


@scenario()
async def test_a_packet_sink_knows_the_sections() -> None:
    async with _calls(webrtc(video_sections=3)) as (tsp, one, other):
        slots, inlet = Slots(), Inlet()
        one.stream(VIDEO, CAPTURE).select_terminal(slots)
        screen = one.create_stream(VIDEO, CAPTURE)
        screen.select_terminal(PictureTerminal(PICTURES[2]))
        other.stream(VIDEO, RENDER).select_terminal(inlet)
        await tsp.connect(pair=(one, other))
        assert inlet.sections == {"1": "", "2": "slides", "3": ""}
        assert [outlet.mid for outlet in slots.outlets] == ["1", "3"]
        await slots.until(lambda: len(inlet.taken) == 3, one.now, PICTURES)
        contents = {
            s.source.mid: s.content for s in other.stream(VIDEO, RENDER).substreams if s.source
        }
        assert contents == {"1": "", "2": "slides", "3": ""}


@scenario()
async def test_packets_that_a_source_makes_are_transmitted_as_they_are() -> None:
    async with _calls(webrtc(video_sections=2)) as (tsp, one, other):
        slots, inlet = Slots(), Inlet()
        one.stream(VIDEO, CAPTURE).select_terminal(slots)
        other.stream(VIDEO, RENDER).select_terminal(inlet)
        await tsp.connect(pair=(one, other))
        outlet = slots.outlets[1]
        assert {each.name for each in outlet.formats} == {"VP8", "H264"}
        assert outlet.formats[0] == outlet.format
        for each in outlet.formats:
            source, now = outlet.source, one.now()
            csrcs = ANN_SEEN.to_bytes(4, "big")
            made = (source.sequence, each.payload_type, 9, b"head", b"body", True, csrcs, now)
            datagram = source.forward(*made)
            assert datagram is not None
            outlet.transmit(datagram, True)
        sent = len(outlet.formats)
        await eventually(lambda: inlet.taken.get("2") == sent, "they are there")
        types = [packet.payload_type for packet in inlet.packets]
        assert types == [each.payload_type for each in outlet.formats]
        for packet in inlet.packets:
            assert packet.csrcs == (ANN_SEEN,) and packet.payload == b"headbody"
            assert packet.ssrc == outlet.ssrc and packet.marker
        assert one.stream(VIDEO, CAPTURE).active


# -- who is shown


def _told(log: EventLog) -> list[tuple[str, str]]:
    told = [
        (type(event).__name__, event.participant.name)
        for event in log.of(SubStreamEvent)
        if event.participant is not None and event.substream.media_type is VIDEO
    ]
    log.forget()
    return told


def _people(log: ForwardedPeople, now: float) -> None:
    for csrc, name in ((ANN, "Ann"), (ANN_SEEN, "Ann"), (BEN_SEEN, "Ben")):
        items = {SdesType.CNAME: f"{name.lower()}@far", SdesType.NAME: name}
        log.put(csrc, items, {}, name, now)


@scenario()
async def test_a_contributor_is_who_is_shown() -> None:
    async with _calls(webrtc(video_sections=2)) as (tsp, hub, guest):
        slots, log, people = Slots(), EventLog(guest), ForwardedPeople()
        hub.stream(VIDEO, CAPTURE).select_terminal(slots)
        hub.stream(AUDIO, CAPTURE).select_terminal(ToneTerminal())
        arriving = guest.stream(VIDEO, RENDER)
        queues = _windows(guest, 2)
        await tsp.connect(pair=(hub, guest))
        slots.outlets[0].forward(people, None)
        _people(people, hub.now())
        await eventually(lambda: len(guest.participants) == 3, "all are known")
        names = {person.name: person for person in guest.participants}
        assert set(names) == {"Alice", "Ann", "Ben"}
        pictures = PICTURES[:1]

        def shown() -> str | None:
            people = [s.participant for s in arriving.substreams]
            return people[0].name if people and people[0] else None

        await slots.until(lambda: shown() == "Ann", hub.now, pictures, {0: ANN_SEEN})
        await slots.until(lambda: _seen(queues), hub.now, pictures, {0: ANN_SEEN})
        (substream,) = arriving.substreams
        control = guest.query(ParticipantSubStreamControl)
        await eventually(lambda: len(log.of(SubStreamMapped)) == 1, "Ann is mapped")
        assert _told(log) == [(NewSubStream.__name__, "Ann"), (SubStreamMapped.__name__, "Ann")]
        assert control.substream_of(names["Ann"]) is substream
        assert control.participant_of(substream) is names["Ann"]
        assert names["Ann"].substreams == (substream,)
        assert substream not in names["Alice"].substreams
        assert substream.source is not None and substream.whose is not substream.source
        assert VIDEO in names["Ann"].media_types
        assert [source.ssrc for source in names["Ann"].sources] == [ANN, ANN_SEEN]

        await slots.until(lambda: shown() == "Ben", hub.now, pictures, {0: BEN_SEEN})
        await eventually(lambda: len(log.of(SubStreamMapped)) == 1, "Ben is mapped")
        assert _told(log) == [
            (SubStreamUnmapped.__name__, "Ann"),
            (SubStreamRemoved.__name__, "Ann"),
            (NewSubStream.__name__, "Ben"),
            (SubStreamMapped.__name__, "Ben"),
        ]
        assert names["Ben"].substreams == (substream,) and names["Ann"].substreams == ()
        assert names["Ben"].streams == (arriving,), "nothing is mixed of who is only seen"
        names["Ben"].set_enabled(arriving, False)
        assert not substream.enabled

        await slots.until(lambda: shown() is None, hub.now, pictures)
        assert arriving.substreams == (substream,) and substream.enabled
        assert all(substream not in person.substreams for person in guest.participants)

        await slots.until(lambda: shown() == "Ann", hub.now, pictures, {0: ANN_SEEN})
        await eventually(lambda: names["Ann"].substreams == (substream,))
        log.forget()
        people.remove(ANN_SEEN, hub.now(), "gone home")
        await eventually(lambda: substream.participant is None, "nobody is shown")
        await eventually(lambda: len(log.of(SubStreamRemoved)) == 1)
        assert _told(log) == [
            (SubStreamUnmapped.__name__, "Ann"),
            (SubStreamRemoved.__name__, "Ann"),
        ]
        assert names["Ann"].present and names["Ann"].substreams == ()


# -- streams that are created


@scenario()
async def test_a_created_stream_has_a_section_of_its_own() -> None:
    async with _calls(webrtc(video_sections=2)) as (tsp, one, other):
        camera, screen = one.stream(VIDEO, CAPTURE), one.create_stream(VIDEO, CAPTURE)
        assert one.streams[:3] == (one.stream(AUDIO, CAPTURE), camera, screen)
        assert screen.identity == "video capture 2"
        camera.select_terminal(PictureTerminal(PICTURES[0]))
        screen.select_terminal(PictureTerminal(PICTURES[1]))
        queues = _windows(other, 2)
        await tsp.connect(pair=(one, other))
        seen: set[Picture] = set()

        def both() -> bool:
            seen.update(_seen(queues))
            return seen == set(PICTURES[:2])

        await eventually(both, "both pictures are there")
        contents = sorted(s.content for s in other.stream(VIDEO, RENDER).substreams)
        assert contents == ["", "slides"]
        assert {
            s.identity: s.packets > 0 for s in one.stats().streams if "capture" in s.identity
        } == {
            "audio capture": False,
            "video capture": True,
            "video capture 2": True,
        }
        with pytest.raises(MaxStreamsError, match="before that"):
            one.create_stream(VIDEO, CAPTURE)
        one.remove_stream(screen)
        assert screen not in one.streams and screen.terminals == ()
        _seen(queues)
        await eventually(lambda: _seen(queues) == {PICTURES[0]}, "the camera goes on")


@scenario()
async def test_streams_are_created_where_a_section_is_left() -> None:
    async with _calls(webrtc(video_sections=2)) as (tsp, one, other):
        with pytest.raises(MaxStreamsError, match=r"use stream\(\)"):
            one.create_stream(AUDIO, CAPTURE)
        with pytest.raises(MaxStreamsError, match=r"use stream\(\)"):
            one.create_stream(VIDEO, RENDER)
        screen = one.create_stream(VIDEO, CAPTURE)
        with pytest.raises(MaxStreamsError, match="video_sections=2"):
            one.create_stream(VIDEO, CAPTURE)
        with pytest.raises(InvalidStreamError):
            other.remove_stream(screen)
        with pytest.raises(NotSupportedError, match=r"stop\(\)"):
            one.remove_stream(one.stream(VIDEO, CAPTURE))
        one.remove_stream(screen)
        with pytest.raises(InvalidStreamError):
            one.remove_stream(screen)
        screen = one.create_stream(VIDEO, CAPTURE)
        other.settings = other.settings.replace(video_sections=1)
        log = EventLog(one)
        await tsp.connect(pair=(one, other))
        event = await log.until(StreamNotUsed)
        assert event.stream is screen and "wants no video" in str(event.error)
        await one.close()
        with pytest.raises(ClosedError):
            one.create_stream(VIDEO, CAPTURE)


# -- far ends that are not ours


@pytest.mark.usefixtures("loopback_only")
@pytest.mark.parametrize("they_offer", [True, False])
@scenario()
async def test_three_transceivers_of_aiortc(they_offer: bool) -> None:
    settings = webrtc(video_sections=3, video_codecs="VP8")
    async with provider("Us", settings) as msp, AiortcPeer(660, PICTURES[0], PICTURES[1:]) as peer:
        call = msp.create_call()
        slots, queues = Slots(), _windows(call, 3)
        call.stream(VIDEO, CAPTURE).select_terminal(slots)
        await (peer.call_us if they_offer else peer.answer_us)(msp, call)
        ours: set[Picture] = set()
        theirs: set[Picture] = set()

        def both_ways() -> bool:
            ours.update(_seen(queues))
            theirs.update(_seen([peer.seen]))
            return ours == theirs == set(PICTURES)

        await slots.until(both_ways, call.now, PICTURES)
        assert len(call.stream(VIDEO, RENDER).substreams) == 3
        assert len(call.participants) == 1
