"""What of a conference's description a call takes part in, and where."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from multicast_lab import conference

from ipconf import CallSettings, ConferenceDescription, MediaType
from ipconf.codecs.registry import offered_formats
from ipconf.engine.rtp_wire import AUDIO_LEVEL_URI
from ipconf.sdp import Connection, Media, parse_description
from ipconf.transports.group_lines import GroupLine, agree_on_description
from ipconf.transports.negotiation import Refused

AUDIO, VIDEO = MediaType.AUDIO, MediaType.VIDEO
HEAD = "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=Tea\nc=IN IP4 239.255.7.7/15\nt=0 0\n"


def agree(
    description: ConferenceDescription | str,
    media: tuple[MediaType, ...] = (AUDIO, VIDEO),
    **settings: object,
) -> list[GroupLine | Refused]:
    chosen = CallSettings(transport="rtp", **settings)  # type: ignore[arg-type]
    if isinstance(description, str):
        description = parse_description(HEAD + description)
    formats = {medium: offered_formats(medium, chosen) for medium in media}
    return agree_on_description(description, formats, chosen)


def only(description: ConferenceDescription | str, **settings: object) -> GroupLine:
    (line,) = agree(description, **settings)
    assert isinstance(line, GroupLine), line
    return line


def refusal(description: ConferenceDescription | str, **settings: object) -> str:
    (line,) = agree(description, **settings)  # type: ignore[arg-type]
    assert isinstance(line, Refused), line
    return line.reason


def test_a_line_of_sound_and_one_of_pictures() -> None:
    sound, pictures = agree(
        "m=audio 5004 RTP/AVP 0\nm=video 5006 RTP/AVP 96\na=rtpmap:96 VP8/90000\n"
    )
    assert isinstance(sound, GroupLine) and isinstance(pictures, GroupLine)
    assert (sound.agreed.medium, pictures.agreed.medium) == (AUDIO, VIDEO)
    assert (sound.agreed.index, pictures.agreed.mid) == (0, "1")
    assert sound.place.group == ip_address("239.255.7.7") and sound.is_group
    assert (sound.place.port, sound.place.rtcp_port) == (5004, 5005)
    assert (sound.place.dscp, pictures.place.dscp) == (46, 34)
    assert sound.place.ttl == 15 and sound.place.sources == ()
    assert sound.agreed.sends and sound.agreed.receives


def test_static_payload_types_need_no_rtpmap() -> None:
    line = only("m=audio 5004 RTP/AVP 9 0 8 13\n")
    assert [f.name for f in line.agreed.receive] == ["G722", "PCMU", "PCMA", "CN"]
    assert (line.agreed.send.name, line.agreed.send.payload_type) == ("G722", 9)


def test_the_first_format_that_we_have_is_sent_and_any_may_come() -> None:
    text = "m=audio 5004 RTP/AVP 3 8 111 72\na=rtpmap:111 opus/48000/2\na=rtpmap:72 PCMU/8000\n"
    line = only(text)
    assert line.agreed.send.name == "PCMA"
    assert {f.name for f in line.agreed.receive} == {"PCMA", "opus"}
    assert {f.name for f in line.agreed.sendable} == {"PCMA", "opus"}
    assert only(text, audio_codecs=("opus",)).agreed.send.payload_type == 111


def test_packet_times_hold_for_all() -> None:
    assert only("m=audio 5004 RTP/AVP 0\na=ptime:40\n").agreed.send.parameters["ptime"] == "40"
    assert "ptime" not in only("m=audio 5004 RTP/AVP 0\na=ptime:much\n").agreed.send.parameters


@pytest.mark.parametrize(
    ("said", "sends", "receives"),
    [
        ("", True, True),
        ("sendonly", True, False),
        ("recvonly", False, True),
        ("inactive", False, False),
    ],
)
def test_a_direction_is_that_of_whoever_joins(said: str, sends: bool, receives: bool) -> None:
    for text in (f"m=audio 5004 RTP/AVP 0\na={said}\n", f"a={said}\nm=audio 5004 RTP/AVP 0\n"):
        agreed = only(text if said else "m=audio 5004 RTP/AVP 0\n").agreed
        assert (agreed.sends, agreed.receives) == (sends, receives)


def test_of_feedback_only_key_frames_are_for_groups() -> None:
    lines = (
        "a=rtpmap:96 VP8/90000\na=rtcp-fb:96 nack\na=rtcp-fb:96 nack pli\na=rtcp-fb:* goog-remb\n"
    )
    with_feedback = only(
        f"m=video 5006 RTP/AVPF 96 97\n{lines}a=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\n"
    )
    assert with_feedback.agreed.send.feedback == {"nack pli"}
    assert [f.name for f in with_feedback.agreed.receive] == ["VP8"]
    without = only(f"m=video 5006 RTP/AVP 96\n{lines}")
    assert without.agreed.send.feedback == frozenset()


def test_header_extensions_that_the_description_names() -> None:
    text = "m=audio 5004 RTP/AVP 0\n"
    assert only(text).agreed.extensions == {}
    named = f"a=extmap:3 {AUDIO_LEVEL_URI}\na=extmap:3 urn:x\na=extmap:99 urn:y\na=extmap:x\n"
    assert only(text + named).agreed.extensions == {AUDIO_LEVEL_URI: 3}
    assert only(f"{text}a=extmap:2/sendrecv {AUDIO_LEVEL_URI}\n").agreed.extensions


def test_where_rtcp_goes() -> None:
    assert only("m=audio 5004 RTP/AVP 0\na=rtcp:6000\n").place.rtcp_port == 6000
    assert only("m=audio 5004 RTP/AVP 0\na=rtcp-mux\n").place.rtcp_port == 5004


def test_settings_come_before_the_description() -> None:
    text = "m=audio 5004 RTP/AVP 0\n"
    line = only(text, multicast_ttl=0, multicast_interface="lo", dscp=0)
    assert (line.place.ttl, line.place.interface, line.place.dscp) == (0, "lo", 0)
    no_ttl = conference(Media.audio(5004), connection=Connection(address="239.255.1.1"))
    assert only(no_ttl).place.ttl == 1


def test_bandwidth_of_the_line_or_else_of_the_session() -> None:
    assert only("m=audio 5004 RTP/AVP 0\n").bandwidth_bps is None
    assert only("b=CT:128\nm=audio 5004 RTP/AVP 0\n").bandwidth_bps == 128_000
    assert only("b=CT:128\nm=audio 5004 RTP/AVP 0\nb=AS:64\n").bandwidth_bps == 64_000
    assert not only("m=audio 5004 RTP/AVP 0\nb=AS:0\n").bandwidth_bps


def test_ipv6_and_layers_of_which_the_first_is_taken() -> None:
    line = only("m=audio 5004 RTP/AVP 0\nc=IN IP6 ff15::7/3\n")
    assert line.place.group == ip_address("ff15::7") and line.place.ttl == 1


def test_one_far_end_instead_of_a_group() -> None:
    line = only("m=audio 5004 RTP/AVP 0\nc=IN IP4 192.0.2.9\n")
    assert not line.is_group and line.place.group == ip_address("192.0.2.9")


def test_who_alone_may_send() -> None:
    line = "m=audio 5004 RTP/AVP 0\n"
    said = f"{line}a=source-filter: incl IN IP4 239.255.7.7 192.0.2.5 192.0.2.6\n"
    assert list(map(str, only(said).place.sources)) == ["192.0.2.5", "192.0.2.6"]
    assert only(f"a=source-filter: incl IN IP4 * 192.0.2.5\n{line}").place.sources
    for other in ("incl IN IP4 239.1.1.1 192.0.2.5", "excl IN IP4 * 192.0.2.5"):
        assert only(f"{line}a=source-filter: {other}\n").place.sources == ()
    assert "are no addresses" in refusal(f"{line}a=source-filter: incl IN IP4 * example.com\n")


def test_who_may_not_send() -> None:
    line = "m=audio 5004 RTP/AVP 0\n"
    said = f"{line}a=source-filter: excl IN IP4 239.255.7.7 192.0.2.5 192.0.2.6\n"
    assert list(map(str, only(said).place.excluded)) == ["192.0.2.5", "192.0.2.6"]
    assert only(f"a=source-filter: excl IN IP4 * 192.0.2.5\n{line}").place.excluded
    for other in ("excl IN IP4 239.1.1.1 192.0.2.5", "incl IN IP4 * 192.0.2.5"):
        assert only(f"{line}a=source-filter: {other}\n").place.excluded == ()
    assert "are no addresses" in refusal(f"{line}a=source-filter: excl IN IP4 * example.com\n")


@pytest.mark.parametrize("group", ["ff3e::8000:1", "FF3E::8000:1", "ff3e:0:0:0:0:0:8000:1"])
@pytest.mark.parametrize("mode", ["incl", "INCL"])
def test_filters_may_be_spelled_otherwise(group: str, mode: str) -> None:
    said = f"a=source-filter: {mode} IN IP6 {group} 2001:DB8::5\n"
    place = only(f"m=audio 5004 RTP/AVP 0\nc=IN IP6 {group}\n{said}").place
    assert place.sources == (ip_address("2001:db8::5"),)


def test_a_filter_of_the_line_goes_before_those_of_the_session() -> None:
    session = "a=source-filter: incl IN IP4 * 192.0.2.5\na=source-filter: excl IN IP4 * 192.0.2.7\n"
    line = "m=audio 5004 RTP/AVP 0\na=source-filter: incl IN IP4 * 192.0.2.6\n"
    place = only(session + line).place
    assert place.sources == (ip_address("192.0.2.6"),) and not place.excluded


def test_who_may_send_and_may_not_does_not() -> None:
    line = "m=audio 5004 RTP/AVP 0\na=source-filter: incl IN IP4 * 192.0.2.5 192.0.2.6\n"
    place = only(f"{line}a=source-filter: excl IN * * 192.0.2.5 2001:db8::5\n").place
    assert place.sources == (ip_address("192.0.2.6"),)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("", "has no mode, network, kind of address, group and senders"),
        ("incl IN IP4 *", "has no mode, network, kind of address, group and senders"),
        ("some IN IP4 * 192.0.2.5", "is of an unknown kind"),
        ("incl ATM IP4 * 192.0.2.5", "is of an unknown kind"),
        ("incl IN IP5 * 192.0.2.5", "is of an unknown kind"),
        ("incl IN IP4 tea.example.com 192.0.2.5", "is for a name; write the address itself"),
        ("incl IN * * 2001:db8::5", "can send to 239.255.7.7"),
        ("incl IN IP4 * 192.0.2.5\na=source-filter: excl IN IP4 * 192.0.2.5", "all are excluded"),
    ],
)
def test_a_filter_that_cannot_be_kept_refuses_the_line(said: str, reason: str) -> None:
    line = "m=audio 5004 RTP/AVP 0\n"
    assert reason in refusal(f"{line}a=source-filter: {said}\n")
    assert reason in refusal(f"a=source-filter: {said}\n{line}")


def test_filters_are_for_groups() -> None:
    line = "m=audio 5004 RTP/AVP 0\nc=IN IP4 192.0.2.9\n"
    reason = refusal(f"{line}a=source-filter: incl IN IP4 192.0.2.9 192.0.2.5\n")
    assert reason == "a=source-filter is obeyed in groups only, and 192.0.2.9 is none"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("m=application 5004 udp wb\n", "application is not supported"),
        ("m=audio 0 RTP/AVP 0\n", "its port is 0: the conference does not use it"),
        (
            "m=audio 5004 UDP/TLS/RTP/SAVP 0\n",
            "its protocol is UDP/TLS/RTP/SAVP; here is RTP/AVP, RTP/AVPF, RTP/SAVP, RTP/SAVPF",
        ),
        ("m=audio 5004 RTP/SAVP 0\n", "its protocol is RTP/SAVP, and no a=crypto tells the key"),
        ("m=audio 5004 RTP/AVP 0\nk=clear:x\n", "it is encrypted"),
        ("k=prompt\nm=audio 5004 RTP/AVP 0\n", "it is encrypted"),
        (
            "m=audio 5004 RTP/AVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\n",
            "it is encrypted",
        ),
        ("m=audio 65535 RTP/AVP 0\n", "port 65535 leaves no port for RTCP"),
        ("m=audio 5004 RTP/AVP 3 99\n", "no codec in common; the description has GSM"),
        ("m=audio 5004 RTP/AVP 99\n", "the description has none that is known here"),
        (
            "m=audio 5004 RTP/AVP 0\nc=IN IP4 media.example.com\n",
            "its address is the name media.ex",
        ),
        ("m=audio 5004 RTP/AVP 0\nc=IN IP4 0.0.0.0\n", "nobody is at 0.0.0.0"),
    ],
)
def test_lines_that_cannot_be_used(text: str, reason: str) -> None:
    assert refusal(text).startswith(reason) or reason in refusal(text)


SECRET = "AES_CM_128_HMAC_SHA1_80 inline:" + "QUJD" * 10


@pytest.mark.parametrize("protocol", ["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF"])
def test_a_key_for_all_who_take_part(protocol: str) -> None:
    line = only(f"m=audio 5004 {protocol} 0\na=crypto:1 {SECRET}\n")
    assert line.crypto is not None and line.crypto.key == b"ABC" * 10
    assert "ABC" not in repr(line) and "QUJD" not in repr(line)
    assert only("m=audio 5004 RTP/AVP 0\n").crypto is None


def test_the_first_key_that_can_be_used_even_beside_an_old_one() -> None:
    lines = f"k=clear:x\na=crypto:1 NEW_SUITE inline:x\na=crypto:2 {SECRET}|2^20\n"
    line = only(f"m=audio 5004 RTP/SAVP 0\n{lines}")
    assert line.crypto is not None and (line.crypto.tag, line.crypto.lifetime) == (2, 1 << 20)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("m=audio 5004 RTP/AVP 0\nk=clear:hunter2\n", "k=clear is a key for an encryption that n"),
        ("m=audio 5004 RTP/AVP 0\nk=base64:aHVudA==\n", "k=base64 is a key for an encryption"),
        ("k=uri:https://example.com/hunter2\nm=audio 5004 RTP/AVP 0\n", "k=uri is an address to"),
        ("k=prompt\nm=audio 5004 RTP/SAVP 0\n", "k=prompt wants a person to be asked"),
        (f"m=audio 5004 RTP/AVP 0\na=crypto:1 {SECRET}|1:4\n", "wants an MKI"),
        (f"m=audio 5004 RTP/AVP 0\na=crypto:1 {SECRET} KDR=3\n", "wants KDR"),
        (f"a=crypto:1 {SECRET}\nm=audio 5004 RTP/AVP 0\n", "it belongs below one"),
    ],
)
def test_nothing_goes_in_the_clear_where_the_description_has_a_key(text: str, reason: str) -> None:
    said = refusal(text)
    assert said.startswith("it is encrypted, and not so that we could: ") and reason in said
    assert "hunter2" not in said and "QUJD" not in said


def test_one_line_of_sound_and_as_many_of_pictures_as_there_are_sections() -> None:
    video = "m=video {} RTP/AVP 96\na=rtpmap:96 VP8/90000\n"
    text = "m=audio 5002 RTP/SAVP 0\nm=audio 5004 RTP/AVP 0\nm=audio 5006 RTP/AVP 0\n"
    text += video.format(6000) + video.format(6002) + video.format(6004)
    kinds = [type(line) for line in agree(text, video_sections=2)]
    assert kinds == [Refused, GroupLine, Refused, GroupLine, GroupLine, Refused]


def test_media_that_the_call_does_not_have() -> None:
    (line,) = agree("m=audio 5004 RTP/AVP 0\n", media=(VIDEO,))
    assert isinstance(line, Refused) and line.reason == "the call was created without audio"
