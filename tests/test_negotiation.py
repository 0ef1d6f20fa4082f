"""Offers and answers: what two ends agree on, what they refuse, and that no text does harm."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from offers import (
    AUDIO,
    CHROMIUM,
    FFMPEG,
    FIREFOX,
    FORMATS,
    GSTREAMER,
    TELEPHONE,
    VIDEO,
    WEBRTC_OFFERS,
    PaperTransport,
    negotiator,
    paper,
)

from ipconf.calls.negotiator import MAX_EARLY_CANDIDATES, Bearer, Negotiator
from ipconf.engine.rtp_wire import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    CSRC_LEVEL_URI,
    MID_URI,
    HeaderExtensions,
)
from ipconf.engine.session import RtpSession
from ipconf.engine.session_config import Section, SessionConfig
from ipconf.errors import InvalidStateError, NegotiationError, TransportError
from ipconf.model import CallSettings, MediaType, SdesType
from ipconf.transports.description import write_candidate
from ipconf.transports.negotiation import Agreed
from ipconf.transports.reading import (
    MAX_DESCRIPTION_CHARACTERS,
    read_candidate,
    read_description,
)

T = TypeVar("T")
CANDIDATE = "candidate:1 1 udp 2122260223 192.0.2.9 5000 typ host generation 0 ufrag x"


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def _answer(us: Negotiator, offer: str) -> str:
    return _run(us.answer(offer))


def _agree(one: Negotiator, other: Negotiator) -> tuple[str, str]:
    offer = _run(one.offer())
    answer = _answer(other, offer)
    one.accept_answer(answer)
    return offer, answer


def _lines(us: Negotiator) -> list[Agreed]:
    return [line for bearer in us.bearers for line in bearer.lines]


def _sections(text: str) -> list[str]:
    """The m-lines of a description with what belongs to each."""
    return ["m=" + part for part in re.split(r"^m=", text, flags=re.M)[1:]]


def _line(us: Negotiator, medium: MediaType) -> Agreed:
    return next(line for line in _lines(us) if line.medium is medium)


def _reason(us: Negotiator, medium: MediaType | None) -> str:
    return next(line.reason for line in us.refused if line.medium is medium)


def _session(us: Negotiator, bearer: Bearer) -> RtpSession:
    """The RTP session that a call would put on a bearer."""
    sections = tuple(
        Section(
            line.mid, line.medium, line.receive, line.ssrcs, line.repair, (line.send,),
            us.ssrcs[line.mid], us.repair_ssrcs[line.mid],
        )
        for line in bearer.lines
    )  # fmt: skip
    ids = {uri: number for line in bearer.lines for uri, number in line.extensions.items()}
    identity = {SdesType.CNAME: "us@here"}
    return RtpSession(
        SessionConfig(sections, HeaderExtensions(ids), identity), random.Random(1), 0.0
    )


def _assert_usable(us: Negotiator) -> None:
    """Whatever was agreed on, sessions work with it."""
    for bearer in us.bearers:
        session = _session(us, bearer)
        for line in bearer.lines:
            packet = session.send(
                line.mid, line.send.payload_type, 1, b"x", 0.1, level=3, voice=True
            )
            assert packet[1] & 0x7F == line.send.payload_type
        session.receive(packet, 0.2, "them")


# -- our two ends


def test_two_of_us_agree_on_everything_over_one_transport() -> None:
    one, other = negotiator(), negotiator()
    offer, answer = _agree(one, other)
    for us, them in ((one, other), (other, one)):
        (bearer,) = us.bearers
        assert [(line.medium, line.mid) for line in bearer.lines] == [(AUDIO, "0"), (VIDEO, "1")]
        assert us.refused == [] and us.reduced_size
        for line in bearer.lines:
            assert line.sends and line.receives
            assert them.ssrcs[line.mid] in line.ssrcs
            assert set(line.ssrcs.values()) == {"us@here"}
        video = bearer.lines[1]
        assert video.repair == {them.repair_ssrcs[video.mid]: them.ssrcs[video.mid]}
        assert [f.name for f in bearer.lines[0].receive] == ["opus", "telephone-event"]
        assert [(f.name, f.apt) for f in video.receive] == [("VP8", None), ("rtx", 96)]
        assert video.send.feedback == {"nack", "nack pli", "ccm fir", "goog-remb"}
        audio, video = (set(line.extensions) for line in bearer.lines)
        assert audio == {AUDIO_LEVEL_URI, CSRC_LEVEL_URI, MID_URI}
        assert video == {ABS_SEND_TIME_URI, MID_URI}  # nobody needs to know when sound was sent
        _assert_usable(us)
    assert one.bearers[0].role == "client" and other.bearers[0].role == "server"
    assert "a=group:BUNDLE 0 1" in offer and "a=group:BUNDLE 0 1" in answer
    assert _sections(offer)[1].startswith("m=video 0 ") and "a=bundle-only" in _sections(offer)[1]
    assert "a=bundle-only" not in answer and "m=video 9 " in answer


def test_without_bundle_each_medium_has_its_transport() -> None:
    one, other = negotiator(bundle=False), negotiator()
    offer, answer = _agree(one, other)
    for us in (one, other):
        assert [[line.medium for line in b.lines] for b in us.bearers] == [[AUDIO], [VIDEO]]
    assert "BUNDLE" not in offer + answer
    ours = {b.remote.ice.usernameFragment for b in one.bearers if b.remote.ice}
    assert ours == {f"own{transport.number}" for transport in paper(other)}


@pytest.mark.parametrize("mux", [(False, False), (True, True), (True, False), (False, True)])
def test_plain_rtp_has_a_pair_of_ports_for_each_medium(mux: tuple[bool, bool]) -> None:
    one, other = (negotiator(transport="rtp", rtcp_mux=each) for each in mux)
    offer, answer = _agree(one, other)
    for us in (one, other):
        assert [[line.medium for line in b.lines] for b in us.bearers] == [[AUDIO], [VIDEO]]
        _assert_usable(us)
    assert ("a=rtcp-mux" in offer) is mux[0]
    assert ("a=rtcp-mux" in answer) is (mux[0] and mux[1])  # never unasked (RFC 5761 section 5.1.1)
    for text in (offer, answer):
        assert text.count("RTP/AVP ") == 2 and "ice-ufrag" not in text and "a=mid" not in text
        ports = [int(port) for port in re.findall(r"^a=rtcp:(\d+)", text, re.M)]
        assert len(ports) == len(set(ports)) == 2


def test_a_medium_that_the_answerer_does_not_have_stays_inactive() -> None:
    one, other = negotiator(), negotiator(AUDIO)
    _, answer = _agree(one, other)
    assert [line.medium for line in _lines(other)] == [AUDIO]
    video = _line(one, VIDEO)
    assert not video.sends and not video.receives
    assert "a=group:BUNDLE 0 1" in answer and "a=inactive" in _sections(answer)[1]
    assert "a=ssrc" not in _sections(answer)[1]


def test_a_medium_that_the_answerer_does_not_have_is_refused_when_it_stands_alone() -> None:
    one, other = negotiator(bundle=False), negotiator(AUDIO)
    _, answer = _agree(one, other)
    assert _sections(answer)[1].startswith("m=video 0 ")
    assert [line.medium for line in _lines(one)] == [AUDIO]
    assert "refused" in _reason(one, VIDEO)


def test_descriptions_are_the_same_when_read_again() -> None:
    offer, answer = _agree(negotiator(), negotiator())
    for text in (offer, answer):
        assert text.endswith("\r\n") and "\r\n\r\n" not in text and "None" not in text
        assert [m.rtp.muxId for m in read_description(text).media] == ["0", "1"]
    origins = [re.findall(r"^o=- (\d+) 1 ", text, re.M)[0] for text in (offer, answer)]
    assert origins[0] != origins[1] and all(int(o) < 1 << 63 for o in origins)


@pytest.mark.parametrize("cname", ["alice\r\na=evil", "two words", "ünï", "a\u2028b", "x\0y"])
def test_a_cname_cannot_write_lines_of_its_own(cname: str) -> None:
    offer = _run(negotiator(cname=cname).offer())
    assert "\na=evil" not in offer
    (audio, video) = read_description(offer).media
    assert len(audio.ssrc) == 1 and len(video.ssrc) == 2
    names = {ssrc.cname for ssrc in (*audio.ssrc, *video.ssrc)}
    assert names == {"".join(c for c in cname if c.isprintable())}


# -- offers of others


def test_chromium() -> None:
    us = negotiator()
    answer = _answer(us, CHROMIUM)
    (bearer,) = us.bearers
    audio, video = bearer.lines
    assert [(f.name, f.payload_type) for f in audio.receive] == [
        ("opus", 111), ("telephone-event", 110),
    ]  # fmt: skip
    assert [(f.name, f.payload_type, f.apt) for f in video.receive] == [
        ("VP8", 96, None), ("rtx", 97, 96),
    ]  # fmt: skip
    assert audio.extensions == {AUDIO_LEVEL_URI: 1, MID_URI: 4}
    assert video.extensions == {ABS_SEND_TIME_URI: 2, MID_URI: 4}
    assert audio.ssrcs == {0xDEADBEEF: "Zm9vYmFyYmF6cXV4"}
    assert video.ssrcs == {1111: "Zm9vYmFyYmF6cXV4"} and video.repair == {2222: 1111}
    assert "transport-cc" not in answer  # its sender would wait for feedback that we do not send
    assert "transport-wide" not in answer
    sections = _sections(answer)
    assert sections[2].startswith("m=application 0 UDP/DTLS/SCTP webrtc-datachannel")
    assert "a=mid:2" in sections[2] and _reason(us, None) == "application is not supported"
    assert "a=group:BUNDLE 0 1\r\n" in answer and "a=rtcp-rsize" in answer and us.reduced_size
    assert answer.count("a=setup:passive") == 2
    _assert_usable(us)


def test_firefox() -> None:
    us = negotiator()
    answer = _answer(us, FIREFOX)
    (bearer,) = us.bearers
    audio, video = bearer.lines
    assert (audio.send.payload_type, audio.send.parameters["stereo"]) == (109, "1")
    assert [f.name for f in audio.receive] == ["opus"]  # telephone-event has another rate
    assert audio.extensions == {AUDIO_LEVEL_URI: 1, CSRC_LEVEL_URI: 2, MID_URI: 3}
    assert video.sends and not video.receives
    assert [(f.payload_type, f.apt) for f in video.receive] == [(120, None), (124, 120)]
    assert "a=sendonly" in _sections(answer)[1]
    _assert_usable(us)


def test_ffmpeg() -> None:
    us = negotiator()
    answer = _answer(us, FFMPEG)
    (bearer,) = us.bearers
    (audio,) = bearer.lines
    assert bearer.role == "client"  # it is the server
    assert audio.receives and not audio.sends and audio.extensions == {}
    assert audio.ssrcs == {77: "FFmpeg"}
    assert "no common codec; the far end has H264, rtx" in _reason(us, VIDEO)
    sections = _sections(answer)
    assert "a=recvonly" in sections[0] and "a=ssrc" not in answer
    assert sections[1].startswith("m=video 0 UDP/TLS/RTP/SAVPF 106 105")
    assert "a=group:BUNDLE 0\r\n" in answer and "a=setup:active" in answer
    _assert_usable(us)


def test_gstreamer() -> None:
    us = negotiator()
    answer = _answer(us, GSTREAMER)
    (bearer,) = us.bearers
    assert [line.mid for line in bearer.lines] == ["audio0", "video1"]
    assert bearer.mid == "audio0" and len(bearer.remote.ice_candidates) == 2
    assert "m=video 9 " in answer and "a=group:BUNDLE audio0 video1" in answer
    assert answer.count("a=setup:passive") == 2  # its certificate is not for aiortc's clients
    assert _line(us, VIDEO).send.feedback == {"nack pli", "ccm fir"}
    _assert_usable(us)


def test_a_telephone() -> None:
    us = negotiator(transport="rtp")
    answer = _answer(us, TELEPHONE)
    audio, video = _lines(us)
    assert audio.send.payload_type == video.send.payload_type == 96
    assert [b.remote.host for b in us.bearers] == ["192.0.2.66"] * 2  # the session's
    assert [b.remote.rtcp_port for b in us.bearers] == [18001, 18003]
    assert video.send.feedback == {"nack pli"} and us.reduced_size
    assert audio.ssrcs == {99: "sip:alice@192.0.2.66"}
    sections = _sections(answer)
    assert "\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" in sections[0]
    assert "inline:AAAA" not in answer, "that is the telephone's own"
    assert "crypto" not in sections[1] and "a=mid" not in answer
    _assert_usable(us)


def test_a_browser_that_offers_after_the_refused_line() -> None:
    """The transport of a bundle is its first line's even where we refuse that line."""
    us = negotiator(VIDEO)
    answer = _answer(us, GSTREAMER)
    assert paper(us) and us.bearers[0].remote.rtp.muxId == us.bearers[0].mid == "audio0"
    assert "a=inactive" in _sections(answer)[0]
    assert "a=group:BUNDLE audio0 video1" in answer


def test_the_first_of_the_bundle_counts_not_the_first_of_the_text() -> None:
    us = negotiator()
    answer = _answer(us, CHROMIUM.replace("BUNDLE 0 1 2", "BUNDLE 1 0 2"))
    assert us.bearers[0].mid == "1" and "a=group:BUNDLE 1 0\r\n" in answer


def test_the_first_of_the_bundle_that_has_a_transport_counts() -> None:
    us = negotiator()
    answer = _answer(us, GSTREAMER.replace("BUNDLE audio0 video1", "BUNDLE video1 audio0"))
    assert us.bearers[0].mid == "audio0" and len(us.bearers) == 1
    assert "a=group:BUNDLE video1 audio0" in answer


def test_lines_that_follow_in_a_bundle_need_not_say_everything_again() -> None:
    head, audio, video = GSTREAMER.partition("m=audio")[0], *_sections(GSTREAMER)
    for attribute in ("a=rtcp-mux", "a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"):
        video = _without(attribute)(video)
    us = negotiator()
    _answer(us, head + audio + video)
    assert us.refused == [] and len(us.bearers) == 1


# -- lines that cannot be used


def _spoiled(change: Callable[[str], str], section: int = 1) -> str:
    """Chromium's offer with one section changed."""
    head = CHROMIUM[: CHROMIUM.index("m=")]
    sections = _sections(CHROMIUM)
    sections[section] = change(sections[section])
    return head + "".join(sections)


def _without(pattern: str) -> Callable[[str], str]:
    return lambda text: re.sub(rf"^{pattern}.*\n", "", text, flags=re.M)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s.replace("VP8", "VP7"), "no common codec; the far end has VP7"),
        (_without("a=rtpmap"), "not SDP that we understand"),
        (lambda s: s.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"), "the profile is RTP/AVP"),
        (lambda s: s + "a=extmap:6 urn:x and more\n", "not SDP that we understand"),
        (lambda s: s.replace("m=video 9", "m=video 9/2"), "not SDP that we understand"),
        (lambda s: s.replace("SAVPF", "savpf"), "not SDP that we understand"),
        (lambda s: s.replace("a=mid:1", "a=mid:0"), "another line has its mid, '0'"),
        (lambda s: s.replace("a=rtpmap:96 ", "a=rtpmap:33 "), "no common codec"),
        (lambda s: s.replace(" 96 ", " 200 ").replace(":96 ", ":200 "), "no common codec"),
        (lambda s: s.replace(" 96 ", " 66 ").replace(":96 ", ":66 "), "no common codec"),
    ],
)
def test_a_line_that_cannot_be_used_is_refused_by_itself(
    change: Callable[[str], str], reason: str
) -> None:
    us = negotiator()
    answer = _answer(us, _spoiled(change))
    assert [line.medium for line in _lines(us)] == [AUDIO]
    assert reason in _reason(us, VIDEO)
    assert _sections(answer)[1].startswith("m=video 0 ")
    assert len(read_description(answer).media) == 3
    _assert_usable(us)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("a=setup", "no DTLS fingerprint"),
        ("a=fingerprint", "no DTLS fingerprint"),
        ("a=ice-ufrag", "no ICE credentials"),
        ("a=ice-pwd", "no ICE credentials"),
        ("a=rtcp-mux", "does not multiplex"),
    ],
)
def test_a_transport_that_cannot_be_used_leaves_nothing(pattern: str, reason: str) -> None:
    with pytest.raises(NegotiationError, match=reason):
        _answer(negotiator(), _without(pattern)(CHROMIUM))


def test_credentials_that_are_none_are_refused() -> None:
    with pytest.raises(NegotiationError, match="no ICE credentials"):
        _answer(negotiator(), CHROMIUM.replace("a=ice-pwd:0123", "a=ice-pwd:ünï"))


def test_an_unreadable_line_is_refused_in_a_call_without_its_medium() -> None:
    us = negotiator(AUDIO)
    answer = _answer(us, _spoiled(lambda s: s + "a=extmap:6 urn:x and more\n"))
    assert _sections(answer)[1].startswith("m=video 0 ") and "a=mid:1" in _sections(answer)[1]


def test_a_second_line_of_a_medium_is_refused() -> None:
    us = negotiator()
    again = _sections(CHROMIUM)[1].replace("a=mid:1", "a=mid:3")
    answer = _answer(us, CHROMIUM.replace("BUNDLE 0 1 2", "BUNDLE 0 1 2 3") + again)
    assert _reason(us, VIDEO) == "more video lines than video_sections"
    assert _sections(answer)[3].startswith("m=video 0 ") and "a=mid:3" in _sections(answer)[3]
    assert "a=group:BUNDLE 0 1\r\n" in answer


def test_the_first_line_that_can_be_used_is_taken() -> None:
    us = negotiator(VIDEO)
    foreign = _sections(CHROMIUM)[1].replace("a=mid:1", "a=mid:3").replace("VP8", "VP7")
    _answer(us, CHROMIUM[: CHROMIUM.index("m=")] + foreign + _sections(CHROMIUM)[1])
    assert [line.index for line in _lines(us)] == [1]


def test_a_disabled_line_is_refused() -> None:
    us = negotiator()
    offer = CHROMIUM.replace("m=video 9", "m=video 0").replace("BUNDLE 0 1 2", "BUNDLE 0 2")
    answer = _answer(us, offer)
    assert _reason(us, VIDEO) == "the far end refused it"
    assert _sections(answer)[1].startswith("m=video 0 ")


def test_lines_without_mids_are_not_bundled_nor_given_one() -> None:
    us = negotiator()
    answer = _answer(us, _without("a=mid")(FIREFOX))
    assert [line.mid for line in _lines(us)] == ["0", "1"] and len(us.bearers) == 2
    assert "a=mid" not in answer and "BUNDLE" not in answer
    _assert_usable(us)


def test_a_mid_that_we_give_is_none_that_they_have() -> None:
    us = negotiator()
    audio, video = (_without("a=mid")(s) for s in _sections(FIREFOX))
    _answer(us, FIREFOX[: FIREFOX.index("m=")] + audio + video + "a=mid:0\n")
    assert [line.mid for line in _lines(us)] == ["0+", "0"]


def test_extension_ids_mean_one_thing_in_a_bundle() -> None:
    change = _without("a=extmap")
    video = f"a=extmap:1 {MID_URI}\na=extmap:9 {MID_URI}\na=extmap:200 {ABS_SEND_TIME_URI}\n"
    us = negotiator()
    _answer(us, _spoiled(lambda s: change(s) + video))
    audio, picture = _lines(us)
    assert audio.extensions == {AUDIO_LEVEL_URI: 1, MID_URI: 4}
    assert picture.extensions == {}  # 1 means the level, the mid has an id, 200 is too large
    _assert_usable(us)


def test_extension_ids_fit_one_byte_headers() -> None:
    ids = "".join(
        f"a=extmap:{number} {uri}\n"
        for number, uri in ((0, AUDIO_LEVEL_URI), (15, MID_URI), (300, ABS_SEND_TIME_URI))
    )
    us = negotiator()
    answer = _answer(us, _spoiled(lambda s: _without("a=extmap")(s) + ids, 0))
    assert _line(us, AUDIO).extensions == {} and "extmap" not in _sections(answer)[0]
    _assert_usable(us)


def test_a_mid_that_does_not_fit_its_extension_is_not_sent() -> None:
    us = negotiator()
    _answer(us, CHROMIUM.replace("a=mid:1", "a=mid:" + "m" * 300).replace("0 1 2", "0 2"))
    assert MID_URI in _line(us, AUDIO).extensions
    assert MID_URI not in _line(us, VIDEO).extensions
    _assert_usable(us)


@pytest.mark.parametrize("apt", ["", "²", "9" * 5000, "-1", "x"])
def test_repairs_of_nothing_are_left_out(apt: str) -> None:
    us = negotiator()
    _answer(us, CHROMIUM.replace("a=fmtp:97 apt=96", f"a=fmtp:97  apt={apt}"))
    assert [f.name for f in _line(us, VIDEO).receive] == ["VP8"]


def test_a_payload_type_that_is_mapped_twice_means_the_first() -> None:
    us = negotiator()
    _answer(us, _spoiled(lambda s: s + "a=rtpmap:111 telephone-event/48000\n", 0))
    assert [f.payload_type for f in _line(us, AUDIO).receive] == [111, 110]


# -- profiles, directions, roles


@pytest.mark.parametrize("profile", ["RTP/AVPF", "RTP/AVP"])
def test_the_answer_has_the_profile_of_the_offer(profile: str) -> None:
    answer = _answer(negotiator(transport="rtp"), TELEPHONE.replace("RTP/AVP", profile))
    assert [s.split()[2] for s in _sections(answer)] == [profile, profile]


def test_an_old_webrtc_profile_is_answered_in_kind() -> None:
    answer = _answer(negotiator(), FIREFOX.replace("UDP/TLS/RTP/SAVPF", "RTP/SAVPF"))
    assert [s.split()[2] for s in _sections(answer)] == ["RTP/SAVPF"] * 2


@pytest.mark.parametrize(
    ("offered", "sends", "receives", "answered"),
    [
        ("sendrecv", True, True, "sendrecv"),
        ("sendonly", False, True, "recvonly"),
        ("recvonly", True, False, "sendonly"),
        ("inactive", False, False, "inactive"),
    ],
)
@pytest.mark.parametrize("of_the_session", [False, True])
def test_directions(
    offered: str, sends: bool, receives: bool, answered: str, of_the_session: bool
) -> None:
    offer = TELEPHONE.replace("a=sendrecv", f"a={offered}")
    if of_the_session:
        offer = _without("a=sendrecv")(TELEPHONE).replace("t=0 0", f"t=0 0\na={offered}")
    us = negotiator(transport="rtp")
    answer = _answer(us, offer)
    for line in _lines(us):
        assert (line.sends, line.receives) == (sends, receives)
    assert answer.count(f"a={answered}\r\n") == 2


@pytest.mark.parametrize(
    ("setup", "preference", "role", "answered"),
    [
        ("actpass", "auto", "server", "passive"),
        ("actpass", "server", "server", "passive"),
        ("actpass", "client", "client", "active"),
        ("active", "client", "server", "passive"),
        ("active", "auto", "server", "passive"),
        ("passive", "server", "client", "active"),
        ("passive", "auto", "client", "active"),
    ],
)
def test_our_role_when_answering(setup: str, preference: str, role: str, answered: str) -> None:
    us = negotiator(dtls_role=preference)
    answer = _answer(us, CHROMIUM.replace("a=setup:actpass", f"a=setup:{setup}"))
    assert us.bearers[0].role == role
    assert f"a=setup:{answered}\r\n" in answer


@pytest.mark.parametrize(
    ("preference", "offered", "answered", "role"),
    [
        ("auto", "actpass", "active", "server"),
        ("auto", "actpass", "passive", "client"),
        ("client", "active", "passive", "client"),
        ("server", "passive", "active", "server"),
    ],
)
def test_our_role_when_offering(preference: str, offered: str, answered: str, role: str) -> None:
    one = negotiator(dtls_role=preference)
    offer = _run(one.offer())
    assert offer.count(f"a=setup:{offered}\r\n") == 2
    other = negotiator(dtls_role={"active": "client", "passive": "server"}[answered])
    answer = _answer(other, offer)
    assert f"a=setup:{answered}\r\n" in answer
    one.accept_answer(answer)
    assert one.bearers[0].role == role != other.bearers[0].role


def test_reduced_size_is_answered_only_where_it_was_offered() -> None:
    us = negotiator()
    answer = _answer(us, _without("a=rtcp-rsize")(CHROMIUM))
    assert "a=rtcp-rsize" not in answer and not us.reduced_size


# -- answers


def _offered(**changes: object) -> tuple[Negotiator, str]:
    """An offer of ours, and an answer to it."""
    one = negotiator(**changes)
    return one, _answer(negotiator(), _run(one.offer()))


def test_an_answer_must_have_every_line() -> None:
    one, answer = _offered()
    with pytest.raises(NegotiationError, match="1 media lines where the offer had 2"):
        one.accept_answer(answer[: answer.index("m=video")])


def test_an_answer_that_refuses_everything_is_no_agreement() -> None:
    one, answer = _offered()
    with pytest.raises(NegotiationError, match="audio: the far end refused it; video: the far"):
        one.accept_answer(re.sub(r"^(m=\w+) 9", r"\1 0", answer, flags=re.M))
    assert one.bearers == []


def test_a_refusal_within_a_bundle_is_one() -> None:
    one, answer = _offered()
    one.accept_answer(answer.replace("m=video 9", "m=video 0"))
    assert [line.medium for line in _lines(one)] == [AUDIO]
    assert _reason(one, VIDEO) == "the far end refused it"


def test_an_answer_without_the_bundle_keeps_the_first_line() -> None:
    one, answer = _offered()
    one.accept_answer(answer.replace("a=group:BUNDLE 0 1\r\n", ""))
    assert [line.medium for line in _lines(one)] == [AUDIO]
    assert "bundle=False" in _reason(one, VIDEO)


def test_a_bundle_that_was_not_offered_does_not_count() -> None:
    one, answer = _offered(bundle=False)
    one.accept_answer(answer.replace("t=0 0\r\n", "t=0 0\r\na=group:BUNDLE 0 1\r\n"))
    assert [[line.medium for line in b.lines] for b in one.bearers] == [[AUDIO], [VIDEO]]
    assert [b.remote is b.lines[0].media for b in one.bearers] == [True, True]


def test_an_answer_comes_once_and_to_an_offer() -> None:
    one, answer = _offered()
    one.accept_answer(answer)
    with pytest.raises(InvalidStateError):
        one.accept_answer(answer)
    with pytest.raises(InvalidStateError):
        negotiator().accept_answer(answer)


def test_a_mid_that_the_answer_invents_is_ignored() -> None:
    one, answer = _offered(bundle=False)
    one.accept_answer(answer.replace("a=mid:0", "a=mid:zero"))
    assert [line.mid for line in _lines(one)] == ["0", "1"]


# -- candidates


def test_a_candidate_survives_its_text() -> None:
    candidate = read_candidate(CANDIDATE)
    assert (candidate.ip, candidate.port, candidate.type) == ("192.0.2.9", 5000, "host")
    assert read_candidate("a=" + CANDIDATE) == candidate
    assert read_candidate(write_candidate(candidate)) == candidate


@pytest.mark.parametrize("text", ["", "candidate:", "nonsense", "candidate:1 x udp 1 h 1 typ host"])
def test_what_is_no_candidate_is_a_negotiation_error(text: str) -> None:
    with pytest.raises(NegotiationError, match="not an ICE candidate"):
        read_candidate(text)


def test_candidates_go_to_the_transport_of_their_line() -> None:
    one, answer = _offered(bundle=False)

    async def trickle() -> None:
        await one.add_candidate(CANDIDATE, "1")  # before the answer
        one.accept_answer(answer)
        await one.connect(lambda bearer: None)
        await one.add_candidate("", "0")
        await one.add_candidate("", None)
        await one.add_candidate(CANDIDATE, "7")

    _run(trickle())
    audio, video = paper(one)
    assert audio.candidates == [None, None]
    assert video.candidates == [read_candidate(CANDIDATE), None]


def test_candidates_of_a_bundle_are_those_of_its_first_line() -> None:
    us = negotiator()

    async def trickle() -> None:
        await us.answer(CHROMIUM)
        for mid in ("1", "2", "0"):
            await us.add_candidate(CANDIDATE, mid)
            await us.add_candidate("", mid)

    _run(trickle())
    assert paper(us)[0].candidates == [read_candidate(CANDIDATE), None]


def test_candidates_that_make_no_sense_are_counted() -> None:
    us = negotiator()

    async def trickle() -> None:
        for _ in range(MAX_EARLY_CANDIDATES + 5):
            await us.add_candidate("nonsense", None)
        assert us.unusable_candidates == 5
        await us.answer(CHROMIUM)
        await us.connect(lambda bearer: None)

    _run(trickle())
    assert us.unusable_candidates == MAX_EARLY_CANDIDATES + 5
    assert paper(us)[0].candidates == []


# -- connecting


def test_bearers_are_connected_with_their_roles_and_told_of() -> None:
    one, other = negotiator(bundle=False), negotiator()
    _agree(one, other)
    for us, offered, role in ((one, True, "client"), (other, False, "server")):
        told: list[Bearer] = []
        _run(us.connect(told.append))
        assert told == us.bearers
        for bearer, transport in zip(us.bearers, paper(us), strict=True):
            assert transport.offering is transport.offered is offered
            assert transport.role == role
            assert transport.remote is bearer.remote and transport.opened == 1


def test_transports_that_carry_nothing_are_closed() -> None:
    made: list[PaperTransport] = []

    def make() -> PaperTransport:
        made.append(PaperTransport(CallSettings()))
        return made[-1]

    one = Negotiator(FORMATS, CallSettings(bundle=False), make, "us")
    _agree(one, negotiator(AUDIO))
    _run(one.connect(lambda bearer: None))
    assert [transport.closed_times for transport in made] == [0, 1]
    _run(one.close())
    assert [transport.closed_times for transport in made] == [1, 1]


def test_the_first_failure_ends_connecting() -> None:
    failures: list[Exception | None] = [TransportError("no way"), None]

    def make() -> PaperTransport:
        return PaperTransport(CallSettings(), failures.pop(0))

    one = Negotiator(FORMATS, CallSettings(bundle=False), make, "us")
    _agree(one, negotiator())
    with pytest.raises(TransportError, match="no way"):
        _run(one.connect(lambda bearer: None))


def test_loss_of_the_settings_is_on_every_transport() -> None:
    one = negotiator(bundle=False, loss_percent=5.0, loss_seed=3)
    _agree(one, negotiator())
    for transport in paper(one):
        assert [loss.percent for loss in transport.losses if loss] == [5.0]


# -- nonsense


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "v=0\r\n",
        "m=audio",
        "m=audio 9 UDP/TLS/RTP/SAVPF",
        "m=audio nine UDP/TLS/RTP/SAVPF 111",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\n" * 65,
        CHROMIUM.replace("v=0", "v=zero"),
        CHROMIUM.replace("t=0 0", "t=0 0\na=setup:" + "x" * 5000),
        CHROMIUM.replace("a=setup:actpass", "a=setup:whatever"),
        CHROMIUM + "a=x\n" * 60_000,
        CHROMIUM.replace("t=0 0", "t=0 0" + "\na=x" * 600),
    ],
)
def test_what_is_no_offer_is_a_negotiation_error(text: str) -> None:
    with pytest.raises(NegotiationError) as caught:
        _answer(negotiator(), text)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "bulk", ["a=rtpmap:{} x/1\na=rtcp-fb:* nack\n", "a=rtpmap:{0} x/1\na=fmtp:{0} x\n"]
)
def test_what_the_grammar_compares_with_each_other_is_limited(bulk: str) -> None:
    us = negotiator()
    _answer(us, _spoiled(lambda s: s + "".join(bulk.format(n) for n in range(600))))
    assert "too many formats" in _reason(us, VIDEO)
    assert [line.medium for line in _lines(us)] == [AUDIO]


@pytest.mark.parametrize(
    ("bulk", "words"),
    [
        ("a=candidate:{} 1 udp 1 192.0.2.1 9 typ host\n", "too many lines a=candidate"),
        ("a=extmap:{} urn:x\n", "too many lines a=extmap"),
        ("a=fingerprint:sha-256 {}\n", "too many lines a=fingerprint"),
        ("a=msid:a {}\n", "too many lines a=msid"),
        ("a=ssrc-group:FID {0} {0}\n", "too many lines a=ssrc-group"),
    ],
)
def test_what_a_line_lists_is_limited(bulk: str, words: str) -> None:
    us = negotiator()
    _answer(us, _spoiled(lambda s: s + "".join(bulk.format(n) for n in range(301))))
    assert words in _reason(us, VIDEO)
    assert [line.medium for line in _lines(us)] == [AUDIO]


def _with(bulk: str) -> str:
    """An offer with that in each of thirty lines of video."""
    before, rest = CHROMIUM.split("m=video", 1)
    section = "m=video" + rest.partition("m=")[0]
    return before + (section + bulk) * 30


@pytest.mark.parametrize(
    ("offer", "words"),
    [
        (CHROMIUM + "\n" * 5000, "lines"),
        (CHROMIUM + "\r" * 5000, "lines"),
        (CHROMIUM + "".join(f"a=ssrc:{n} cname:x\n" for n in range(4001)), "sources"),
        (_with("a=msid:a x\n" * 70), "extensions and the like"),
        (_with("a=rtcp-fb:* nack\n" * 30), "formats"),
    ],
)
def test_what_a_description_has_in_all_is_limited(offer: str, words: str) -> None:
    assert len(offer) < MAX_DESCRIPTION_CHARACTERS
    with pytest.raises(NegotiationError, match="at most") as caught:
        read_description(offer)
    assert words in str(caught.value)


def test_each_source_costs_the_same_however_many_there_are() -> None:
    def cost_s(sources: int) -> float:
        bulk = "".join(f"a=ssrc:{n % sources} cname:x\n" for n in range(3900))
        began = time.process_time()
        read_description(CHROMIUM + bulk)
        return time.process_time() - began

    one, many = (min(cost_s(number) for _ in range(5)) for number in (1, 3900))
    assert many < 3 * one


def test_what_is_said_of_sources_is_read_in_order() -> None:
    (media,) = read_description(
        "m=audio 9 UDP/TLS/RTP/SAVPF 0\na=ssrc:7 cname:a\na=ssrc:5 msid:b c\n"
        "a=ssrc:7 label:d:e\na=ssrc:7 other:f\n"
    ).media
    told = [(each.ssrc, each.cname, each.msid, each.label) for each in media.ssrc]
    assert told == [(7, "a", None, "d:e"), (5, None, "b c", None)]


def test_many_sources_are_no_problem() -> None:
    us = negotiator()
    _answer(us, _spoiled(lambda s: s + "".join(f"a=ssrc:{n} cname:x\n" for n in range(3500))))
    assert len(_line(us, VIDEO).ssrcs) > 3000


modest = settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def _survives(us: Negotiator, text: str) -> None:
    """An offer gets an answer that can be read, or a NegotiationError."""
    try:
        answer = _answer(us, text)
    except NegotiationError:
        return
    offered, answered = read_description(text), read_description(answer)
    assert [(m.kind, m.rtp.muxId) for m in answered.media] == [
        (m.kind, m.rtp.muxId) for m in offered.media
    ]
    _assert_usable(us)


@given(st.text())
@example("m=audio 9 RTP/AVP 0\n")
@modest
def test_any_text_gets_an_answer_or_an_error(text: str) -> None:
    _survives(negotiator(), text)
    _survives(negotiator(transport="rtp"), text)


TOKENS = st.one_of(
    st.sampled_from(
        ["", "0", "1", "-1", "65536", "9" * 30, "0 1", "a=mid:0", "BUNDLE", "\x1c", "é"]
    ),
    st.integers(-1, 1 << 33).map(str),
    st.text(max_size=8),
)
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["drop", "double", "swap", "token", "cut", "join"]),
        st.integers(0, 200),
        st.integers(0, 12),
        TOKENS,
    ),
    min_size=1,
    max_size=6,
)


def _mutated(text: str, changes: list[tuple[str, int, int, str]]) -> str:
    lines = text.splitlines()
    for kind, where, place, token in changes:
        if not lines:
            break
        where %= len(lines)
        line = lines[where]
        match kind:
            case "drop":
                del lines[where]
            case "double":
                lines.insert(place * len(lines) // 13, line)
            case "swap":
                other = place * len(lines) // 13
                lines[where], lines[other] = lines[other], line
            case "token":
                parts = re.split(r"([ :/=;])", line)
                parts[place % len(parts)] = token
                lines[where] = "".join(parts)
            case "cut":
                lines[where] = line[: place * 3]
            case "join":
                lines[where] = line + token
    return "\r\n".join(lines) + "\r\n"


@pytest.mark.parametrize("name", WEBRTC_OFFERS)
@given(CHANGES)
@modest
def test_damaged_offers_get_an_answer_or_an_error(
    name: str, changes: list[tuple[str, int, int, str]]
) -> None:
    text = _mutated(WEBRTC_OFFERS[name], changes)
    for us in (negotiator(), negotiator(AUDIO)):
        _survives(us, text)


@given(CHANGES)
@modest
def test_damaged_offers_of_plain_rtp_get_an_answer_or_an_error(
    changes: list[tuple[str, int, int, str]],
) -> None:
    _survives(negotiator(transport="rtp"), _mutated(TELEPHONE, changes))


@pytest.mark.parametrize("changed", [{}, {"bundle": False}, {"transport": "rtp"}])
@given(CHANGES)
@modest
def test_damaged_answers_are_accepted_or_an_error(
    changed: dict[str, Any], changes: list[tuple[str, int, int, str]]
) -> None:
    one = negotiator(**changed)
    answer = _answer(negotiator(**changed), _run(one.offer()))
    try:
        one.accept_answer(_mutated(answer, changes))
    except NegotiationError:
        return
    _assert_usable(one)


# -- plain aiortc


async def _peer() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


@pytest.mark.parametrize("media", [(AUDIO,), (VIDEO,), (AUDIO, VIDEO)])
@pytest.mark.parametrize("bundle", [True, False])
def test_aiortc_answers_our_offer(media: tuple[MediaType, ...], bundle: bool) -> None:
    us = negotiator(*media, bundle=bundle)

    async def negotiate() -> None:
        peer = await _peer()
        offer = await us.offer()
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        us.accept_answer((await peer.createAnswer()).sdp)
        await peer.close()

    _run(negotiate())
    assert us.refused == [] and len(us.bearers) == (1 if bundle else len(media))
    assert {line.medium for line in _lines(us)} == set(media)
    assert all(line.sends and not line.receives for line in _lines(us))  # it has no tracks
    _assert_usable(us)


@pytest.mark.parametrize("media", [(AUDIO,), (VIDEO,), (AUDIO, VIDEO)])
def test_we_answer_the_offer_of_aiortc(media: tuple[MediaType, ...]) -> None:
    us = negotiator(*media)

    async def negotiate() -> str:
        peer = await _peer()
        for kind in ("audio", "video"):
            peer.addTransceiver(kind)
        peer.createDataChannel("chat")
        offer = await peer.createOffer()
        answer = await us.answer(offer.sdp)
        await peer.close()
        return answer

    answer = _run(negotiate())
    assert [line.medium for line in _lines(us)] == list(media)
    assert [s.split()[0] for s in _sections(answer)] == ["m=audio", "m=video", "m=application"]
    _assert_usable(us)


def test_aiortc_takes_our_answer() -> None:
    us = negotiator(AUDIO)

    async def negotiate() -> list[str | None]:
        peer = await _peer()
        for kind in ("audio", "video"):
            peer.addTransceiver(kind)
        await peer.setLocalDescription(await peer.createOffer())
        answer = await us.answer(peer.localDescription.sdp)
        await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        directions = [t.currentDirection for t in peer.getTransceivers()]
        await peer.close()
        return directions

    assert _run(negotiate()) == ["sendrecv", "inactive"]
