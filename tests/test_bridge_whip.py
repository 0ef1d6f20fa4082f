"""What WHIP says over HTTP (RFC 9725): statuses, headers, trickled candidates, tokens, CORS."""

from __future__ import annotations

import json
import logging
import zlib

import pytest
from offers import CHROMIUM, FFMPEG, GSTREAMER, TELEPHONE, WEBRTC_OFFERS
from peers import LOCALHOST, scenario
from senses import ALICE
from whip_lab import FRAGMENT, SDP, Answer, Publisher, Site, lines_of, site

from ipconf.bridge import whip
from ipconf.bridge.limits import REQUESTS_AT_ONCE, Limits
from ipconf.hub.people import Role
from ipconf.model import IceServer

UFRAG, PASSWORD = "9f3a", "0123456789abcdef0123456789abcdef"
CANDIDATE = "a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\r\n"


def fragment(ufrag: str = UFRAG, body: str = CANDIDATE) -> str:
    """What trickles after FFmpeg's offer."""
    keys = f"a=ice-ufrag:{ufrag}\r\na=ice-pwd:{PASSWORD}\r\n"
    return f"{keys}m=audio 9 RTP/AVP 0\r\na=mid:0\r\n{body}"


def is_problem(answer: Answer, status: int, code: str, *words: str) -> bool:
    """Whether a request was refused like that, with a sentence that has these words."""
    told = json.loads(answer.text)
    assert answer.header("Content-Type").startswith("application/problem+json")
    right = (answer.status, told["status"], told["code"]) == (status, status, code)
    return right and all(word in told["detail"] for word in words)


async def nothing_is_left(there: Site) -> None:
    """Nobody is in a room, no call is open, nobody counts for an address."""
    assert not there.bridge.msp.calls and not there.bridge.limits.sessions
    assert not any(room.guests for room in there.bridge.rooms.rooms.values())


@scenario()
async def test_a_session_begins_and_ends() -> None:
    async with site() as there:
        answer = await there.publish(FFMPEG, "Lobby?name=Ann")
        assert answer.status == 201
        assert answer.header("Content-Type") == SDP
        assert answer.header("Accept-Patch") == FRAGMENT
        assert answer.header("ETag").startswith('"')
        url = answer.header("Location")
        assert url.startswith("/whip/lobby/") and len(url.split("/")[-1]) >= 32
        directions = [*lines_of(answer.text, "a=recvonly", "a=send", "a=inactive")]
        assert directions == ["a=recvonly"] * 2
        assert [*lines_of(answer.text, "a=setup:")] == ["a=setup:active"] * 2
        assert len([*lines_of(answer.text, "a=candidate:")]) >= 1
        (room,) = there.bridge.rooms.rooms.values()
        (guest,) = room.guests
        assert (guest.name, guest.kind, guest.role) == ("Ann", "whip", Role.SPEAKER)
        ended = await there.ask("DELETE", url, If_Match='"of no importance"')
        assert (ended.status, ended.text) == (200, "")
        await nothing_is_left(there)
        again = await there.ask("DELETE", url)
        assert is_problem(again, 404, "no-session")


@scenario()
async def test_names_come_from_the_url_or_else_from_the_description() -> None:
    async with site() as there:
        for path in ("lobby?name=Ann%20%F0%9F%8E%A5%0A", "lobby?name=", "lobby"):
            assert (await there.publish(FFMPEG, path)).status == 201
        assert (await there.publish(FFMPEG.replace("s=FFmpegPublishSession", "s=-"))).status == 201
        (room,) = there.bridge.rooms.rooms.values()
        unnamed = ["FFmpegPublishSession", "FFmpegPublishSession (2)", "Guest"]
        assert [guest.name for guest in room.guests] == ["Ann \N{MOVIE CAMERA}", *unnamed]


@scenario()
async def test_offers_that_are_both_ways_are_answered_one_way() -> None:
    async with site() as there:
        offer = WEBRTC_OFFERS["gstreamer"]
        assert offer is GSTREAMER and "a=sendrecv" in offer
        answer = await there.publish(offer)
        assert [*lines_of(answer.text, "a=recvonly", "a=send", "a=inactive")] == ["a=recvonly"] * 2
        unsaid = offer.replace("a=sendrecv\n", "").replace("a=sendrecv\r\n", "")
        answer = await there.publish(unsaid)
        assert [*lines_of(answer.text, "a=recvonly", "a=send", "a=inactive")] == ["a=recvonly"] * 2


@scenario()
async def test_offers_that_cannot_be_used_are_refused_as_a_whole() -> None:
    async with site() as there:
        received = FFMPEG.replace("sendonly", "recvonly")
        refused = [
            ("", 400, "bad-sdp", "0 media lines"),
            ("hello", 400, "bad-sdp", "0 media lines"),
            ("v=0\r\nm=audio\r\n", 400, "bad-sdp", "not SDP"),
            (FFMPEG.replace("a=sendonly", "a=inactive", 1), 422, "wrong-direction", "sendonly"),
            (received, 422, "wrong-direction", "recvonly", "WHIP"),
            (CHROMIUM, 422, "unusable-offer", "m-line 3 (application)"),
            (FFMPEG.replace("H264", "H265"), 422, "unusable-offer", "no common codec", "H265"),
            (TELEPHONE, 422, "unusable-offer", "RTP/AVP"),
            (FFMPEG.replace("a=fingerprint", "a=print"), 422, "unusable-offer", "fingerprint"),
            (FFMPEG.replace("a=rtcp-mux", "a=mux"), 422, "unusable-offer", "rtcp-mux"),
        ]
        for offer, status, code, *words in refused:
            answer = await there.publish(offer)
            assert is_problem(answer, status, code, *words), answer
        await nothing_is_left(there)


@scenario()
async def test_other_requests_are_told_what_is_wrong_with_them() -> None:
    async with site(max_request_bytes=20_000) as there:
        post = "POST", "/whip/lobby"
        typed = await there.ask(*post, FFMPEG, type="text/plain")
        assert is_problem(typed, 415, "wrong-type", SDP) and typed.header("Accept-Post") == SDP
        assert (await there.ask(*post, FFMPEG)).status == 415
        assert (await there.publish(FFMPEG, Accept="application/json")).status == 406
        assert (await there.publish(FFMPEG, Accept="text/html, application/*;q=0.1")).status == 201
        assert (await there.publish("v" * 20_001)).status == 413
        latin = await there.ask(*post, b"v=0\r\ns=\xff\xfe\r\n", type=SDP)
        assert is_problem(latin, 400, "bad-text")
        assert is_problem(await there.publish(FFMPEG, "no%20room"), 400, "bad-name")
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
            answer = await there.ask(method, "/whip/lobby", type=SDP)
            assert (answer.status, answer.header("Allow")) == (405, "OPTIONS,POST")
        for method in ("GET", "HEAD", "PUT", "POST"):
            answer = await there.ask(method, "/whip/lobby/key", type=SDP)
            assert (answer.status, answer.header("Allow")) == (405, "DELETE,OPTIONS,PATCH")


@scenario()
async def test_candidates_trickle() -> None:
    async with site() as there, Publisher(there, "Ann", 440, ALICE) as ann:
        await ann.join(trickles=True)
        await there.holds("Ann")
        mixed = fragment(body=f"{CANDIDATE}a=candidate:nonsense\r\na=end-of-candidates\r\n")
        ufrag = next(lines_of(ann.pc.localDescription.sdp, "a=ice-ufrag:")).partition(":")[2]
        told = await ann.trickle(mixed.replace(UFRAG, ufrag))
        assert (told.status, told.text, told.header("ETag")) == (204, "", "")


@scenario()
async def test_candidates_that_do_not_fit_are_refused_and_the_session_goes_on() -> None:
    async with site() as there:
        created = await there.publish(FFMPEG)
        url, etag = created.header("Location"), created.header("ETag")

        async def patch(body: str, **headers: str) -> Answer:
            return await there.ask("PATCH", url, body, **{"type": FRAGMENT, **headers})

        assert is_problem(await patch(fragment()), 428, "no-if-match")
        assert is_problem(await patch(fragment(), If_Match='"other"'), 412, "other-session")
        assert is_problem(await patch(fragment(), If_Match=f"W/{etag}"), 412, "other-session")
        typed = await patch(fragment(), type=SDP, If_Match=etag)
        assert is_problem(typed, 415, "wrong-type") and typed.header("Accept-Patch") == FRAGMENT
        restart = fragment("ysXw", "")
        assert is_problem(await patch(restart, If_Match="*"), 422, "no-restart", "POST")
        for nonsense in ("", "hello", "a=mid:0\r\n", f"a=ice-ufrag:{UFRAG}\r\n", "a=ice-ufrag:{}"):
            assert is_problem(await patch(nonsense, If_Match=etag), 400, "bad-fragment"), nonsense
        many = fragment(body=CANDIDATE * 101)
        assert is_problem(await patch(many, If_Match=etag), 400, "bad-fragment", "at most 100")
        assert (await patch(fragment(), If_Match=f'"other", {etag}')).status == 204
        assert (await patch(CANDIDATE, If_Match="*")).status == 204
        elsewhere = await there.ask("PATCH", url.replace("lobby", "other"), fragment())
        assert is_problem(elsewhere, 404, "no-session")
        played = await there.ask("DELETE", url.replace("whip", "whep"))
        assert is_problem(played, 404, "no-session")
        assert len(there.bridge.msp.calls) == 1
        assert (await there.ask("DELETE", url)).status == 200


@scenario()
async def test_closed_rooms_ask_for_a_token() -> None:
    async with site(open_rooms=False) as there:
        bare = await there.publish(FFMPEG)
        assert is_problem(bare, 401, "bad-token") and bare.header("WWW-Authenticate") == "Bearer"
        wrong = await there.publish(FFMPEG, Authorization="Bearer nonsense")
        assert is_problem(wrong, 401, "bad-token")
        assert wrong.header("WWW-Authenticate") == 'Bearer error="invalid_token"'
        viewer = there.bridge.invitations.invite("lobby", Role.LISTENER)
        answer = await there.publish(FFMPEG, Authorization=f"Bearer {viewer}")
        assert is_problem(answer, 403, "not-allowed")
        await nothing_is_left(there)
        token = there.bridge.invitations.invite("lobby", Role.SPEAKER)
        assert (await there.publish(FFMPEG, Authorization=f"bearer {token}")).status == 201
        assert (await there.publish(FFMPEG, "den", Authorization=f"Bearer {token}")).status == 401


@scenario()
async def test_offers_are_read_for_those_alone_who_may_come_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(*_: object) -> str:
        raise AssertionError("an offer was read")

    monkeypatch.setattr(whip, "one_way_offer", read)
    async with site(open_rooms=False, joins_per_minute_per_address=1) as there:
        for token in ("nonsense", there.bridge.invitations.invite("lobby", Role.LISTENER)):
            assert (await there.publish(FFMPEG, Authorization=f"Bearer {token}")).status in (
                401,
                403,
            )
        assert (await there.publish(FFMPEG, "no%20room")).status == 400
        assert not there.bridge.rooms.rooms  # nor was one made
        there.bridge.limits.admit(LOCALHOST).release()
        token = there.bridge.invitations.invite("lobby", Role.SPEAKER)
        refused = await there.publish(FFMPEG, Authorization=f"Bearer {token}")
        assert is_problem(refused, 429, "too-fast")


@scenario()
async def test_an_offer_that_cannot_be_read_counts_as_a_join_and_no_guest() -> None:
    async with site(joins_per_minute_per_address=2) as there:
        statuses = [(await there.publish("v=0")).status for _ in range(3)]
        assert statuses == [400, 400, 429]
        await nothing_is_left(there)


@scenario()
async def test_what_is_compressed_is_refused_unread() -> None:
    async with site() as there:
        for path in ("/whip/lobby", "/nowhere"):
            answer = await there.ask(
                "POST", path, zlib.compress(FFMPEG.encode()), type=SDP, Content_Encoding="deflate"
            )
            assert answer.status == 415 and "wrong-encoding" in answer.text
        as_it_is = await there.publish(FFMPEG, Content_Encoding="identity")
        assert as_it_is.status == 201


@scenario()
async def test_too_many_are_told_to_wait(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ipconf.bridge")
    async with site(max_sessions_per_address=1) as there:
        first = await there.publish(FFMPEG)
        refused = await there.publish(FFMPEG)
        assert is_problem(refused, 429, "too-many-sessions")
        assert int(refused.header("Retry-After")) > 0
        assert (await there.ask("DELETE", first.header("Location"))).status == 200
        assert (await there.publish(FFMPEG)).status == 201
        there.bridge.limits.stopping = True
        assert is_problem(await there.publish(FFMPEG), 503, "stopping")
        key = first.header("Location").split("/")[-1]
        assert all(key not in str(vars(record)) for record in caplog.records)


@scenario()
async def test_ice_servers_are_told_to_who_was_let_in() -> None:
    servers = (
        IceServer(url="stun:stun.example.net"),
        IceServer(url="turn:127.0.0.1:9?transport=udp", username='a"b', credential="c\\d"),
    )
    async with site() as there:
        there.bridge.settings = there.bridge.settings.replace(ice_servers=servers)
        answer = await there.publish(FFMPEG)
        assert answer.headers.getall("Link") == [
            '<stun:stun.example.net>; rel="ice-server"',
            '<turn:127.0.0.1:9?transport=udp>; rel="ice-server"; username="a\\"b"; '
            'credential="c\\\\d"; credential-type="password"',
        ]
        told = await there.ask("OPTIONS", "/whip/lobby")
        assert told.status == 200 and "Link" not in told.headers


@scenario()
async def test_refusals_of_what_is_before_whip_are_problems_as_well() -> None:
    page = "https://studio.example"
    async with site(origins=(page,), max_request_bytes=20_000) as there:

        async def refused(*ask: str, **headers: str) -> Answer:
            answer = await there.ask(*ask, Origin=page, type=SDP, **headers)
            assert answer.header("Access-Control-Allow-Origin") == page
            strange = await there.ask(*ask, Origin="https://a.example", type=SDP, **headers)
            assert not strange.header("Access-Control-Allow-Origin")
            return answer

        endpoint = "POST", "/whip/lobby"
        assert is_problem(await refused(*endpoint, "v" * 20_001), 413, "too-big", "20000")
        other = await refused("PUT", "/whep/lobby")
        assert is_problem(other, 405, "method-not-allowed")
        assert other.header("Allow") == "OPTIONS,POST"
        encoded = await refused(*endpoint, Content_Encoding="gzip")
        assert is_problem(encoded, 415, "wrong-encoding")
        there.bridge.limits = Limits(1, 1, lambda: 0.0)
        for _ in range(int(REQUESTS_AT_ONCE)):
            there.bridge.limits.request(LOCALHOST)
        fast = await refused(*endpoint, FFMPEG)
        assert is_problem(fast, 429, "too-fast") and fast.header("Retry-After")


@scenario()
async def test_pages_may_ask_that_may_come_in() -> None:
    page = "https://studio.example"
    async with site(origins=(page,)) as there:
        preflight = {"Origin": page, "Access_Control_Request_Method": "POST"}
        asked = await there.ask("OPTIONS", "/whip/lobby", **preflight)
        assert (asked.status, asked.header("Accept-Post")) == (200, SDP)
        assert asked.header("Access-Control-Allow-Origin") == page
        assert asked.header("Access-Control-Allow-Methods") == "POST, OPTIONS"
        allowed = asked.header("Access-Control-Allow-Headers").lower()
        assert {*allowed.split(", ")} == {"authorization", "content-type", "if-match"}
        asked = await there.ask("OPTIONS", "/whip/lobby/key", Origin=there.url)
        assert asked.header("Access-Control-Allow-Methods") == "PATCH, DELETE, OPTIONS"
        created = await there.publish(FFMPEG, Origin=page)
        assert created.header("Access-Control-Allow-Origin") == page
        assert {"Location", "ETag", "Link"} <= set(
            created.header("Access-Control-Expose-Headers").split(", ")
        )
        assert (await there.publish("", Origin=page)).header("Access-Control-Allow-Origin") == page
        strange = await there.publish(FFMPEG, Origin="https://elsewhere.example")
        assert is_problem(strange, 403, "bad-origin")
        assert not strange.header("Access-Control-Allow-Origin")
        assert len(there.bridge.msp.calls) == 1
