"""Descriptions of conferences: made from defaults and edited."""

from __future__ import annotations

import pytest
from sdp_lab import NOW, SEMINAR, tea

from ipconf.codecs.registry import TELEPHONE_EVENTS
from ipconf.errors import ConfigurationError, NoItemError
from ipconf.sdp import (
    Bandwidth,
    ConferenceDescription,
    Connection,
    Key,
    Media,
    Timing,
    parse_description,
    write_description,
)
from ipconf.sdp.keys import AES_80, GCM_256, read_crypto


def test_a_new_description_has_defaults() -> None:
    new = ConferenceDescription.new("Tea", now=NOW, host="192.0.2.1", group="239.255.7.7")
    assert write_description(new).splitlines() == [
        "v=0",
        "o=- 3724394400 3724394400 IN IP4 192.0.2.1",
        "s=Tea",
        "c=IN IP4 239.255.7.7/1",
        "t=3724394400 3724396200",
        "m=audio 5004 RTP/AVP 111 0 110 101",
        "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:110 telephone-event/48000",
        "a=fmtp:110 0-16",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "m=video 5006 RTP/AVP 96",
        "a=rtpmap:96 VP8/90000",
    ]
    six = ConferenceDescription.new(
        "Six", now=NOW, host="2001:db8::1", group="ff15::1", duration_s=None, media=()
    )
    assert "c=IN IP6 ff15::1" in write_description(six).splitlines()
    assert (six.times, six.ends_at, six.media) == ((Timing(),), None, ())
    unicast = ConferenceDescription.new("Two", now=NOW, host="a.example", group="192.0.2.9")
    assert unicast.connection is not None
    assert (unicast.connection.ttl, unicast.groups) == (None, ())


def test_editing_makes_a_later_edition() -> None:
    old = tea()
    new = old.replace(name="Coffee", uri="https://example.com")
    assert (old.name, new.name) == ("Tea", "Coffee")
    assert new.origin.session_version == old.origin.session_version + 1
    assert new.origin.identity == old.origin.identity
    assert old.replace(name="Tea") == old
    origin = old.origin.replace(session_version=9)
    assert old.replace(name="Coffee", origin=origin).origin.session_version == 9
    assert old.with_attribute("tool", "x").origin.session_version > old.origin.session_version


def test_media_come_and_go() -> None:
    both = tea().add_media(Media.video())
    assert [m.medium for m in both.media] == ["audio", "video"]
    first = both.add_media(Media(medium="text", port=5008, formats=("98",)), 0)
    assert [m.medium for m in first.media] == ["text", "audio", "video"]
    assert [m.medium for m in first.remove_media(1).media] == ["text", "video"]
    moved = first.edit_media(2, port=6000, bandwidths=(Bandwidth(modifier="AS", value=64),))
    assert (moved.media[2].port, moved.media[2].bandwidth_bps) == (6000, 64_000)
    assert moved.origin.session_version == tea().origin.session_version + 3
    for wrong in (-1, 3):
        with pytest.raises(ConfigurationError, match="there is no medium"):
            first.remove_media(wrong)
        with pytest.raises(ConfigurationError, match="there is no medium"):
            first.edit_media(wrong, port=1)
    with pytest.raises(ConfigurationError, match="there is no place 4: give 0 to 3"):
        first.add_media(Media.audio(), 4)


def test_attributes_come_and_go_in_order() -> None:
    seminar = parse_description(SEMINAR)
    sound = seminar.media[0].without_attribute("fmtp").with_attribute("maxptime", "40")
    names = [a.name for a in sound.attributes]
    assert names == ["rtpmap", "rtpmap", "ptime", "sendrecv", "maxptime"]
    with pytest.raises(NoItemError, match="a=fmtp"):
        sound.without_attribute("fmtp")


def test_sound_takes_digits_as_calls_offer_them() -> None:
    assert Media.audio().payload_formats[2:] == TELEPHONE_EVENTS


def test_a_key_is_made_and_another_one_the_next_time() -> None:
    old = tea(key=Key(method="prompt")).add_media(Media.video().replace(protocol="RTP/AVPF"))
    old = old.add_media(Media(medium="application", port=5010, formats=("wb",), protocol="udp"))
    new = old.with_key()
    assert (old.is_encrypted, old.media[0].protocol) == (True, "RTP/AVP")
    assert [m.protocol for m in new.media] == ["RTP/SAVP", "RTP/SAVPF", "udp"]
    assert (new.key, new.is_encrypted) == (None, True)
    assert new.origin.session_version == old.origin.session_version + 1
    assert parse_description(write_description(new)) == new
    keys = [read_crypto(m.value("crypto")) for m in (*new.media[:2], *new.with_key().media[:2])]
    assert {(c.tag, c.suite, len(c.key)) for c in keys} == {(1, AES_80, 30)}
    assert len({c.key for c in keys}) == 4
    assert len(new.with_key().media[0].values("crypto")) == 1, "a new key in place of the old one"
    gcm = read_crypto(Media.audio().with_key(GCM_256).value("crypto"))
    assert (gcm.suite, len(gcm.key)) == (GCM_256, 44)


def test_what_takes_no_key() -> None:
    with pytest.raises(ConfigurationError, match="unknown suite; give AEAD_AES_256_GCM"):
        Media.audio().with_key("ROT13")
    over_udp = Media(medium="application", port=5010, formats=("wb",), protocol="udp")
    with pytest.raises(ConfigurationError, match="udp takes no key; RTP/AVP, RTP/AVPF do"):
        over_udp.with_key()
    with pytest.raises(ConfigurationError, match="no medium of RTP"):
        tea(media=(over_udp,)).with_key()


def test_units_of_bandwidth() -> None:
    units = {"CT": 5000, "AS": 5000, "X-YZ": 5000, "TIAS": 5, "RS": 5, "new": None}
    assert {m: Bandwidth(modifier=m, value=5).bps for m in units} == units


def test_what_cannot_be_written_cannot_be_made() -> None:
    group = Connection(address="239.1.1.1", ttl=1)
    for make, message in (
        (lambda: Media(medium="two words", port=1, formats=("0",)), "no single word"),
        (lambda: Media(medium="audio", port=1, formats=()), "formats"),
        (lambda: Media(medium="audio", port=1, formats=("0",), protocol="RTP//AVP"), "no single"),
        (lambda: Connection(address="239.1.1.1", count=2), "need a time to live"),
        (lambda: Connection(address_type="IP6", address="ff15::1", ttl=3), "only IPv4"),
        (lambda: Connection(address="239.1.1.1/3"), "no slash"),
        (lambda: group.replace(count=0), "count"),
        (lambda: tea(times=()), "times"),
        (lambda: tea(connection=None), "medium 1 has"),
        (lambda: tea(connection=group.replace(count=2)), "below an m= line"),
        (lambda: Timing.between(10, 5), "before the start"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            make()
    with pytest.raises(ConfigurationError, match="use replace"):
        tea().name = "Coffee"
