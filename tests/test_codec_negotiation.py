"""Which codec two ends use, in which order, under which numbers and with which parameters."""

from __future__ import annotations

import asyncio
import re

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from hypothesis import given
from hypothesis import strategies as st
from offers import AUDIO, CHROMIUM, FIREFOX, TELEPHONE, VIDEO, PaperTransport

from ipconf.calls.negotiator import Negotiator
from ipconf.codecs.h264_profile import likeness
from ipconf.codecs.registry import CODEC_FORMATS, FORMATS, has_codec, offered_formats
from ipconf.engine.session_config import PayloadFormat
from ipconf.errors import ConfigurationError
from ipconf.model import AUDIO_CODECS, VIDEO_CODECS, CallSettings, MediaType
from ipconf.transports.description import write_description
from ipconf.transports.negotiation import Agreed
from ipconf.transports.reading import formats_of, read_description


def negotiator(**changes: object) -> Negotiator:
    """One that offers and accepts what a call with these settings does."""
    settings = CallSettings(**changes)
    formats = {medium: offered_formats(medium, settings) for medium in (AUDIO, VIDEO)}
    return Negotiator(formats, settings, lambda: PaperTransport(settings), "us@here")


def agree(one: Negotiator, other: Negotiator) -> tuple[str, str]:
    async def both() -> tuple[str, str]:
        offer = await one.offer()
        answer = await other.answer(offer)
        one.accept_answer(answer)
        return offer, answer

    return asyncio.run(both())


def answer_of(us: Negotiator, offer: str) -> str:
    return asyncio.run(us.answer(offer))


def line(us: Negotiator, medium: MediaType) -> Agreed:
    return next(x for bearer in us.bearers for x in bearer.lines if x.medium is medium)


def numbers(text: str, medium: MediaType) -> list[int]:
    """The payload types of a description's line, in order."""
    found = re.search(rf"^m={medium.value} \d+ \S+ (.*?)\r?$", text, re.M)
    assert found is not None
    return [int(number) for number in found[1].split()]


def names(formats: tuple[PayloadFormat, ...]) -> list[str]:
    return [f"{f.name}/{f.clock_rate}" for f in formats]


def plain(audio: str, *attributes: str) -> str:
    """An offer of plain RTP with one audio line."""
    lines = ["v=0", "o=- 1 1 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", "t=0 0", audio]
    return "".join(f"{text}\r\n" for text in [*lines, *attributes])


# -- settings


def test_the_usual_order() -> None:
    settings = CallSettings()
    assert names(offered_formats(AUDIO, settings)) == [
        "opus/48000", "G722/8000", "PCMU/8000", "PCMA/8000",
        "CN/8000", "telephone-event/48000", "telephone-event/8000",
    ]  # fmt: skip
    assert [f.name for f in offered_formats(VIDEO, settings)] == [
        "VP8", "rtx", "H264", "rtx", "H264", "rtx", "H264", "rtx",
    ]  # fmt: skip
    offer = asyncio.run(negotiator().offer())
    assert numbers(offer, AUDIO) == [111, 9, 0, 8, 13, 110, 101]
    assert numbers(offer, VIDEO) == [96, 97, 102, 103, 104, 105, 106, 107]
    assert "a=fmtp:111 minptime=10;useinbandfec=1\r\n" in offer
    assert "ptime:" not in offer


def test_codecs_are_offered_in_the_order_of_the_settings() -> None:
    settings = CallSettings(audio_codecs=("PCMA", "l16", "OPUS"), video_codecs=("h264",))
    assert settings.audio_codecs == ("PCMA", "L16", "opus")
    assert names(offered_formats(AUDIO, settings)) == [
        "PCMA/8000", "L16/48000", "L16/48000", "L16/44100", "L16/44100", "opus/48000",
        "CN/8000", "telephone-event/48000", "telephone-event/8000",
    ]  # fmt: skip
    assert {f.name for f in offered_formats(VIDEO, settings)} == {"H264", "rtx"}
    only = offered_formats(AUDIO, CallSettings(audio_codecs=("opus",)))
    assert names(only) == ["opus/48000", "telephone-event/48000"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"audio_codecs": ("opus", "SILK")}, "there is no codec 'SILK'; choose from opus, G722"),
        ({"audio_codecs": ("VP8",)}, "there is no codec 'VP8'"),
        ({"audio_codecs": ()}, "at least one of opus"),
        ({"video_codecs": ("VP8", "vp8")}, "only once"),
        ({"ptime_ms": 15}, "ptime_ms"),
        ({"ptime_ms": 190}, "ptime_ms"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_a_sentence(
    changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        CallSettings(**changes)


def test_every_codec_has_formats_and_every_format_a_number_of_its_own() -> None:
    assert set(CODEC_FORMATS) == {*AUDIO_CODECS, *VIDEO_CODECS}
    settings = CallSettings(audio_codecs=AUDIO_CODECS)
    for medium in (AUDIO, VIDEO):
        offered = offered_formats(medium, settings)
        assert len({f.payload_type for f in offered}) == len(offered)
        assert all(f in offered for f in FORMATS[medium])
    codecs = [f for formats in CODEC_FORMATS.values() for f in formats if not f.is_rtx]
    assert all(has_codec(f) for f in codecs)


# -- who decides


CHOICES = [
    # (the offerer's taste, the answerer's taste, what the offerer sends, what the answerer sends)
    (("opus", "PCMU"), ("PCMU", "opus"), "opus", "PCMU"),
    (("G722", "PCMA", "opus"), ("PCMA",), "PCMA", "PCMA"),
    (("L16", "PCMU"), ("opus", "L16"), "L16", "L16"),
    (("PCMA", "PCMU", "G722", "opus"), ("opus", "G722", "PCMU", "PCMA"), "PCMA", "opus"),
]


@pytest.mark.parametrize(("one", "other", "sent", "returned"), CHOICES)
@pytest.mark.parametrize("transport", ["webrtc", "rtp"])
def test_each_end_sends_what_it_likes_best_of_what_both_have(
    one: tuple[str, ...], other: tuple[str, ...], sent: str, returned: str, transport: str
) -> None:
    offerer = negotiator(audio_codecs=one, transport=transport)
    answerer = negotiator(audio_codecs=other, transport=transport)
    agree(offerer, answerer)
    assert line(offerer, AUDIO).send.name == sent
    assert line(answerer, AUDIO).send.name == returned
    for us, them in ((offerer, answerer), (answerer, offerer)):
        theirs = {f.payload_type: f for f in line(them, AUDIO).receive}
        send = line(us, AUDIO).send
        assert theirs[send.payload_type].name == send.name


@pytest.mark.parametrize("codecs", [("VP8",), ("H264",), ("H264", "VP8"), ("VP8", "H264")])
def test_video_likewise_with_repairs_for_each_format(codecs: tuple[str, ...]) -> None:
    offerer, answerer = negotiator(video_codecs=codecs), negotiator()
    agree(offerer, answerer)
    assert line(offerer, VIDEO).send.name == codecs[0]
    assert line(answerer, VIDEO).send.name == ("VP8" if "VP8" in codecs else "H264")
    for us in (offerer, answerer):
        formats = line(us, VIDEO).receive
        media = {f.payload_type for f in formats if not f.is_rtx}
        assert {f.apt for f in formats if f.is_rtx} == media
        assert len(media) == ("VP8" in codecs) + 3 * ("H264" in codecs)
        assert all("nack pli" in f.feedback for f in formats if not f.is_rtx)


def test_ends_without_a_common_codec_say_so() -> None:
    offerer, answerer = negotiator(audio_codecs=("G722",)), negotiator(audio_codecs=("opus",))
    agree(offerer, answerer)
    assert "no common codec; the far end has G722" in answerer.refused[0].reason


def test_what_rides_along_has_the_clock_of_the_codec() -> None:
    for codecs, riding in (
        (("opus",), ["telephone-event/48000"]),
        (("PCMU", "opus"), ["CN/8000", "telephone-event/8000"]),
        (("G722",), ["CN/8000", "telephone-event/8000"]),
    ):
        one, other = negotiator(audio_codecs=codecs), negotiator(audio_codecs=codecs)
        agree(one, other)
        for us in (one, other):
            assert names(line(us, AUDIO).riding) == riding


def test_what_browsers_offer() -> None:
    us = negotiator()
    answer = answer_of(us, CHROMIUM)
    assert numbers(answer, AUDIO) == [111, 9, 0, 8, 13, 110, 126]
    assert numbers(answer, VIDEO) == [96, 102, 97, 103]
    assert line(us, VIDEO).receive[1].parameters["profile-level-id"] == "42001f"
    assert names(line(us, AUDIO).riding) == ["telephone-event/48000"]
    us = negotiator(audio_codecs=("PCMA", "opus"), video_codecs=("H264",))
    answer = answer_of(us, FIREFOX)
    assert numbers(answer, AUDIO) == [8, 109, 101]
    assert numbers(answer, VIDEO) == [126, 127]
    assert names(line(us, AUDIO).riding) == ["telephone-event/8000"]


# -- static payload types and packet times


def test_static_payload_types_need_no_map() -> None:
    offer = plain(
        "m=audio 5004 RTP/AVP 18 0 8 9 11 10 13 101",
        "a=fmtp:18 annexb=no",
        "a=fmtp:13 noise",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
    )
    us = negotiator(transport="rtp", audio_codecs=AUDIO_CODECS)
    answer = answer_of(us, offer)
    agreed = line(us, AUDIO)
    assert [(f.payload_type, f.name, f.clock_rate, f.channels) for f in agreed.receive] == [
        (9, "G722", 8000, 1), (0, "PCMU", 8000, 1), (8, "PCMA", 8000, 1),
        (11, "L16", 44100, 1), (10, "L16", 44100, 2), (13, "CN", 8000, 1),
        (101, "telephone-event", 8000, 1),
    ]  # fmt: skip
    assert agreed.send.name == "G722"
    assert numbers(answer, AUDIO) == [9, 0, 8, 11, 10, 13, 101]
    assert "a=rtpmap:10 L16/44100/2\r\n" in answer  # we spell them out


def test_a_map_goes_before_the_standing_agreement() -> None:
    offer = plain("m=audio 5004 RTP/AVP 0 8", "a=rtpmap:0 PCMA/8000")
    us = negotiator(transport="rtp", audio_codecs=("PCMA",))
    answer_of(us, offer)
    assert line(us, AUDIO).send.payload_type == 0
    nothing = negotiator(transport="rtp")
    answer_of(nothing, plain("m=audio 5004 RTP/AVP 18 8", "a=fmtp:18 annexb=no"))
    assert names(line(nothing, AUDIO).receive) == ["PCMA/8000"]


@pytest.mark.parametrize(
    ("attributes", "parameters"),
    [
        ([], {}),
        (["a=ptime:30"], {"ptime": "30"}),
        (["a=maxptime:40", "a=ptime:20"], {"ptime": "20", "maxptime": "40"}),
        (["a=ptime: 20 "], {"ptime": "20"}),
        (["a=ptime:twenty", "a=maxptime:-1"], {}),
        (["a=ptime:2.5"], {"ptime": "2.5"}),
    ],
)
def test_packet_times_are_read_and_never_repeated(
    attributes: list[str], parameters: dict[str, str]
) -> None:
    offer = plain("m=audio 5004 RTP/AVP 0 96", "a=rtpmap:96 opus/48000/2", *attributes)
    us = negotiator(transport="rtp")
    answer = answer_of(us, offer)
    assert line(us, AUDIO).send.parameters == parameters
    assert "ptime" not in answer.replace("minptime", "")


def test_our_packet_time_is_told_both_ways() -> None:
    one, other = negotiator(ptime_ms=60), negotiator(ptime_ms=30)
    offer, answer = agree(one, other)
    assert offer.count("a=ptime:60\r\n") == 1 and answer.count("a=ptime:30\r\n") == 1
    assert "ptime=" not in (offer + answer).replace("minptime=", "")
    assert line(one, AUDIO).send.parameters["ptime"] == "30"
    assert line(other, AUDIO).send.parameters["ptime"] == "60"
    assert "ptime" not in offer[offer.index("m=video") :]


def test_what_was_read_is_written_and_read_again() -> None:
    offer = plain("m=audio 5004 RTP/AVP 0", "a=ptime:40", "a=maxptime:60")
    (media,) = read_description(offer).media
    formats = formats_of(media)
    text = write_description([media], [], session_id=1, reduced_size=False)
    assert text.count("m=audio 0") == 1
    assert formats[0].parameters == {"ptime": "40", "maxptime": "60"}


def test_far_ends_say_what_they_like_of_opus() -> None:
    us = negotiator(transport="rtp", opus_dtx=True, opus_fec=False)
    answer = answer_of(us, TELEPHONE)
    assert line(us, AUDIO).send.parameters == {"stereo": "1", "sprop-stereo": "1", "ptime": "20"}
    assert "a=fmtp:96 minptime=10;usedtx=1\r\n" in answer


# -- H.264


def h264(number: int, parameters: str) -> str:
    return f"a=rtpmap:{number} H264/90000\r\n" + (
        f"a=fmtp:{number} {parameters}\r\n" if parameters else ""
    )


def video(*formats: str) -> str:
    """An offer of plain RTP with H.264 formats 100, 101, ..."""
    kinds = " ".join(str(100 + index) for index in range(len(formats)))
    lines = "".join(h264(100 + index, text) for index, text in enumerate(formats))
    return plain(f"m=video 5006 RTP/AVP {kinds}") + lines


CB, B, MAIN, HIGH = "42e01f", "42001f", "4d001f", "64001f"
FREE = ";level-asymmetry-allowed=1"


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        # Constrained baseline and baseline, each with its like; the mode is kept.
        ([f"profile-level-id={CB};packetization-mode=1"], {100: (CB, "1")}),
        ([f"profile-level-id={B};packetization-mode=1"], {100: (B, "1")}),
        ([f"profile-level-id={CB}"], {100: (CB, "0")}),
        (
            [f"profile-level-id={B}", f"profile-level-id={B};packetization-mode=1",
             f"profile-level-id={CB};packetization-mode=1"],
            {102: (CB, "1"), 101: (B, "1"), 100: (B, "0")},
        ),
        # Everybody's decoders take what we send.
        ([f"profile-level-id={HIGH};packetization-mode=1"], {100: (HIGH, "1")}),
        (
            [f"profile-level-id={HIGH};packetization-mode=1",
             f"profile-level-id={MAIN};packetization-mode=1",
             f"profile-level-id={CB};packetization-mode=1"],
            {102: (CB, "1"), 100: (HIGH, "1")},
        ),
        # Without level-asymmetry-allowed the lower level is for both.
        (["profile-level-id=42e00d;packetization-mode=1"], {100: ("42e00d", "1")}),
        (["profile-level-id=42e034;packetization-mode=1"], {100: ("42e01f", "1")}),
        ([f"profile-level-id=42e00d;packetization-mode=1{FREE}"], {100: ("42e01f", "1")}),
        # What is not said.
        (["packetization-mode=1"], {100: (CB, "1")}),
        ([""], {100: (CB, "0")}),
        # Hexadecimal digits may be capitals, and bits of other constraints may be set.
        (["profile-level-id=42C01E;packetization-mode=1"], {100: ("42c01e", "1")}),
    ],
)  # fmt: skip
def test_h264_is_answered_in_the_offered_profile_and_mode(
    offered: list[str], answered: dict[int, tuple[str, str]]
) -> None:
    us = negotiator(transport="rtp", video_codecs=("H264",))
    answer_of(us, video(*offered))
    agreed = line(us, VIDEO)
    found = {
        f.payload_type: (f.parameters["profile-level-id"], f.parameters["packetization-mode"])
        for f in agreed.receive
    }
    assert found == answered and list(found) == list(answered)
    assert agreed.send.payload_type == next(iter(answered))


@pytest.mark.parametrize(
    "parameters",
    [
        "packetization-mode=2",
        "packetization-mode=x",
        "profile-level-id=42e0",
        "profile-level-id=zzzzzz;packetization-mode=1",
        "profile-level-id=58001f;packetization-mode=1",  # extended
        "profile-level-id=f4001f;packetization-mode=1",  # 4:4:4
        "profile-level-id=42e0ff;packetization-mode=1",  # no such level
    ],
)
def test_h264_that_cannot_be_is_no_common_codec(parameters: str) -> None:
    us = negotiator(transport="rtp")
    offer = plain("m=audio 5004 RTP/AVP 0") + video(parameters)[len(plain("")) - 2 :]
    answer_of(us, offer)
    assert "no common codec" in us.refused[0].reason


def test_the_level_that_we_send_is_the_far_ends() -> None:
    for text, level in (
        (f"profile-level-id=42e034;packetization-mode=1{FREE}", "34"),
        ("profile-level-id=42e034;packetization-mode=1", "1f"),
        ("profile-level-id=42e00d;packetization-mode=1", "0d"),
    ):
        us = negotiator(transport="rtp")
        answer_of(us, video(text))
        assert line(us, VIDEO).send.parameters["profile-level-id"][4:] == level


def test_parameter_sets_of_the_far_end_are_kept_and_not_repeated() -> None:
    us = negotiator(transport="rtp")
    text = "packetization-mode=1; sprop-parameter-sets=Z0LAHg==,aM4=; profile-level-id=42C01E"
    answer = answer_of(us, video(text))
    assert line(us, VIDEO).receive[0].parameters["sprop-parameter-sets"] == "Z0LAHg==,aM4="
    assert "sprop" not in answer


def test_an_answer_may_leave_most_of_an_offer_out() -> None:
    offerer = negotiator(video_codecs=("H264",), transport="rtp")
    answerer = negotiator(video_codecs=("H264",), transport="rtp")
    offer, answer = agree(offerer, answerer)
    again = negotiator(video_codecs=("H264",), transport="rtp")
    asyncio.run(again.offer())
    short = re.sub(r"^a=(rtpmap|fmtp|rtcp-fb):(10[23567]) .*\r\n", "", answer, flags=re.M)
    again.accept_answer(re.sub(r"^(m=video \d+ RTP/AVP).*\r$", r"\1 104\r", short, flags=re.M))
    agreed = line(again, VIDEO)
    assert [f.payload_type for f in agreed.receive] == [104]
    assert agreed.send.payload_type == 104


PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "profile-level-id": st.text(max_size=8) | st.from_regex("[0-9a-f]{6}", fullmatch=True),
        "packetization-mode": st.sampled_from(["0", "1", "2", "", "x"]),
        "level-asymmetry-allowed": st.sampled_from(["0", "1", ""]),
    },
)


@given(PARAMETERS, PARAMETERS)
def test_likeness_is_mutual(one: dict[str, str], other: dict[str, str]) -> None:
    assert likeness(one, other) == likeness(other, one) in (0, 1, 2)


# -- plain aiortc


@pytest.mark.parametrize("codec", ["opus", "G722", "PCMU", "PCMA"])
@pytest.mark.parametrize("picture", ["VP8", "H264"])
@pytest.mark.parametrize("they_offer", [True, False])
def test_aiortc_takes_what_we_name(codec: str, picture: str, they_offer: bool) -> None:
    us = negotiator(audio_codecs=(codec,), video_codecs=(picture,))

    async def negotiate() -> None:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        if they_offer:
            for kind in ("audio", "video"):
                peer.addTransceiver(kind)
            await peer.setLocalDescription(await peer.createOffer())
            answer = await us.answer(peer.localDescription.sdp)
            await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        else:
            offer = await us.offer()
            await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            us.accept_answer((await peer.createAnswer()).sdp)
        await peer.close()

    asyncio.run(negotiate())
    assert us.refused == []
    assert line(us, AUDIO).send.name == codec
    assert line(us, VIDEO).send.name == picture
