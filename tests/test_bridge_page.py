"""The page's protocol, over real WebSockets, with aiortc in place of the browser's media."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aioice.ice
import pytest
from hypothesis import given
from hypothesis import strategies as st
from peers import eventually, scenario
from senses import ALICE, BOB, is_picture

pytest.importorskip("aiohttp")

from bridge_lab import PageClient, closed, running_bridge  # noqa: E402

from ipconf.bridge import guests, page_session, page_writer  # noqa: E402
from ipconf.bridge.guests import Guest  # noqa: E402
from ipconf.bridge.page_protocol import MAX_MESSAGE_BYTES, read_hello, read_request  # noqa: E402
from ipconf.bridge.refusals import Refused  # noqa: E402
from ipconf.bridge.server import Bridge  # noqa: E402
from ipconf.errors import MediaError  # noqa: E402
from ipconf.events import RecordingFailed  # noqa: E402
from ipconf.hub.people import Role  # noqa: E402

MODERATOR = Role.MODERATOR


@asynccontextmanager
async def meeting(
    *names: str, calls: bool = True, **settings: Any
) -> AsyncIterator[tuple[Bridge, list[PageClient]]]:
    """Pages in one room, the first a moderator's, each known to all if they have calls."""
    async with running_bridge(**settings) as bridge:
        token = bridge.invitations.invite("lobby", MODERATOR)
        pages: list[PageClient] = []
        try:
            for name in names:
                page = PageClient(bridge, name, token=None if pages else token)
                pages.append(await page.__aenter__())
                if calls:
                    await page.call(camera=None)
            if calls:
                await eventually(
                    lambda: all(len(page.people) == len(names) and page.you for page in pages)
                )
            yield bridge, pages
        finally:
            for page in pages:
                await page.__aexit__()


def files_in(directory: Path, suffix: str) -> list[Path]:
    """The files there that end like that."""
    return [path for path in directory.iterdir() if path.suffix == suffix]


def guest_of(bridge: Bridge, page: PageClient) -> Guest:
    """The guest of a page."""
    guest = bridge.rooms.guest(page.welcome["key"])
    assert guest is not None
    return guest


# -- media


@scenario()
async def test_pages_see_and_hear_each_other_and_know_who_is_where() -> None:
    async with running_bridge() as bridge, PageClient(bridge, "Ann") as ann:
        async with PageClient(bridge, "Bob") as bob:
            await ann.call(440, ALICE)
            await bob.call(660, BOB)
            mid = await eventually(lambda: ann.slot_of("Bob"))
            assert mid == "3"  # after sound, camera and screen
            await eventually(lambda: any(is_picture(f, BOB) for f in ann.seen[mid][-1:]))
            await eventually(lambda: bob.slot_of("Ann"))
            assert ann.people[ann.person("Bob") or ""]["kind"] == "page"
            assert ann.you == ann.person("Ann") == bob.person("Ann")
            await eventually(lambda: ann.people[ann.person("Bob") or ""]["camera"])
            levels = await ann.next("levels")
            assert set(levels["levels"]) <= {ann.you, bob.you}
            assert all(0 < level < 60 for level in levels["levels"].values())
            quality = await ann.next("quality")
            assert {"loss_in", "rtt_ms", "kbps_out", "score"} < set(quality["people"][bob.you])
        await eventually(lambda: ann.person("Bob") is None)
        await eventually(lambda: ann.slot_of("Bob") is None)


@scenario()
async def test_a_screen_is_seen_as_slides() -> None:
    async with meeting("Ann", "Bob") as (_, (ann, bob)):
        await bob.call(660, ALICE, screen=BOB)
        slots = await eventually(
            lambda: [s for s in ann.latest["slots"]["slots"] if s["content"] == "slides"]
        )
        assert slots[0]["person"] == ann.person("Bob")
        frames = ann.seen[slots[0]["mid"]]
        await eventually(lambda: any(is_picture(frame, BOB) for frame in frames[-1:]))
        await eventually(lambda: ann.people[slots[0]["person"]]["screen"])


@scenario()
async def test_a_new_connection_of_the_same_page_keeps_the_person_and_what_was_set() -> None:
    async with meeting("Ann", "Bob") as (bridge, (ann, bob)):
        person = ann.person("Bob")
        await ann.ask("mute", person=person, muted=True)
        await ann.ask("volume", person=person, gain=0.5)
        await ann.ask("pin", person=person, slot=1)
        before = guest_of(bridge, bob).attendee
        await bob.call(660, BOB)
        await eventually(lambda: ann.slot_of("Bob") == "4")
        assert ann.person("Bob") == person == bob.you
        assert guest_of(bridge, bob).attendee is before
        assert ann.people[str(person)]["muted"]
        conference = guest_of(bridge, ann).room.conference
        assert conference.gain(guest_of(bridge, bob).leg, guest_of(bridge, ann).leg) == 0.5


@scenario()
async def test_candidates_may_trickle() -> None:
    async with running_bridge() as bridge, PageClient(bridge, "Ann") as ann:
        offer = (await ann.offer()).splitlines(keepends=True)
        late = [line[2:].strip() for line in offer if line.startswith("a=candidate")]
        hidden = [line for line in offer if "candidate" not in line]
        await ann.ask("offer", sdp="".join(hidden), id=7)
        for line in late:
            await ann.ask("candidate", candidate=line, mid="0")
        await ann.ask("candidate", candidate="nonsense")
        await ann.ask("candidate", candidate="")
        answer = await ann.next("answer")
        assert answer["id"] == 7
        await ann.accept(answer["sdp"])


@scenario()
async def test_candidates_wait_for_the_answer_to_the_offer_they_came_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order: list[str] = []
    answer, add = Guest.answer, Guest.add_candidate

    async def answered(guest: Guest, offer: str) -> str:
        sdp = await answer(guest, offer)
        order.append("answer")
        return sdp

    def added(guest: Guest, candidate: str, mid: str | None = None) -> bool:
        order.append(candidate)
        return add(guest, candidate, mid)

    monkeypatch.setattr(Guest, "answer", answered)
    monkeypatch.setattr(Guest, "add_candidate", added)
    async with running_bridge() as bridge, PageClient(bridge) as ann:
        offer = await ann.offer()
        late = [line[2:] for line in offer.splitlines() if line.startswith("a=candidate")]
        await ann.ask("offer", sdp=offer, id=1)
        for line in (*late, ""):
            await ann.ask("candidate", candidate=line, mid="0")
        await ann.accept((await ann.next("answer"))["sdp"])
        await eventually(lambda: order == ["answer", *late, ""])


@scenario()
async def test_a_page_that_never_offers_is_told_nothing_says_nothing_and_has_to_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with meeting("Ann") as (bridge, (ann,)):
        token = bridge.invitations.invite("lobby", MODERATOR)
        async with PageClient(bridge, "Lurker", token=token) as lurker:
            await ann.ask("say", text="a secret")
            await ann.next("said")
            requests = {
                "say": {"text": "boo"},
                "hand": {"raised": True},
                "volume": {"person": ann.you, "gain": 0},
                "pin": {"person": ann.you},
                **{kind: {k: ann.you if v == "?" else v for k, v in fields.items()}
                   for kind, fields in DEMANDS.items()},
            }  # fmt: skip
            for kind, fields in requests.items():
                await lurker.ask(kind, **fields)
                assert (await lurker.error("not-connected"))["about"] == kind
            for kind in ("camera", "microphone"):
                await lurker.ask(kind, on=False)
            await lurker.ask("slots", count=1)
            await lurker.ask("heights", heights=[90])
            await ann.next("quality")
            monkeypatch.setattr(guests, "CONNECT_S", 0.5)
            bye = await closed(lurker)
            assert (bye["code"], bye["again"]) == ("timeout", False)
            assert {m["type"] for m in lurker.messages} <= {"welcome", "bye"}
        assert len(ann.people) == 1 and "error" not in ann.latest
        assert [m for m in ann.messages if m["type"] == "said"] == []
        state = guest_of(bridge, ann).room.conference.state()
        assert not state.locked and not state.recording


@scenario()
async def test_a_page_is_told_everything_as_soon_as_it_is_in_the_roster() -> None:
    async with meeting("Ann") as (_, (ann,)):
        await ann.ask("say", text="before")
        await ann.next("said")
        async with PageClient(_, "Bob") as bob:
            await bob.call(camera=None)
            await eventually(lambda: bob.you)
            kinds = [m["type"] for m in bob.messages if m["type"] in ("said", "roster", "slots")]
            assert kinds[:2] == ["said", "roster"] and "slots" in kinds
            first = next(m for m in bob.messages if m["type"] == "roster")
            assert first["since"] is None and first["you"] == bob.you
            assert {person["name"] for person in first["people"]} == {"Ann", "Bob"}


@scenario()
async def test_a_viewers_camera_is_shown_to_nobody_before_they_are_let_speak() -> None:
    async with running_bridge() as bridge:
        invite = bridge.invitations.invite
        async with (
            PageClient(bridge, "Mo", token=invite("lobby", MODERATOR)) as mo,
            PageClient(bridge, "Vi", token=invite("lobby", Role.LISTENER)) as vi,
        ):
            await mo.call(None, None)
            await vi.call(440, BOB)
            guest = guest_of(bridge, vi)
            await eventually(lambda: guest.leg.feeds and guest.leg.feeds[0].format)
            await eventually(lambda: mo.person("Vi"))
            person = mo.person("Vi")
            await mo.ask("spotlight", person=person, on=True)
            await mo.ask("pin", person=person, slot=0)
            await asyncio.sleep(1.0)
            assert mo.slot_of("Vi") is None and not mo.seen
            assert not any(p["camera"] for p in mo.people.values())
            await mo.ask("role", person=person, role="speaker")
            mid = await eventually(lambda: mo.slot_of("Vi"))
            await eventually(lambda: any(is_picture(f, BOB) for f in mo.seen[mid][-1:]))
            await eventually(lambda: mo.people[person or ""]["camera"])
            await mo.ask("role", person=person, role="listener")
            await eventually(lambda: mo.slot_of("Vi") is None)
            await eventually(lambda: not mo.people[person or ""]["camera"])


# -- ends


@scenario()
async def test_a_page_that_closes_its_connection_is_gone() -> None:
    async with meeting("Ann", "Bob") as (bridge, (ann, bob)):
        await bob.hang_up()
        bye = await closed(bob)
        assert (bye["code"], bye["again"], bob.close_code) == ("timeout", True, 1000)
        await eventually(lambda: ann.person("Bob") is None and len(bridge.msp.calls) == 1)


@scenario()
async def test_a_page_that_no_longer_consents_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with meeting("Ann") as (bridge, (ann,)):
        guest = guest_of(bridge, ann)
        monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.01)
        monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 1)
        negotiator = guest.call._connection.negotiator
        assert negotiator is not None
        ice = negotiator.bearers[0].transport._ice._connection  # type: ignore[attr-defined]

        async def unanswered(*args: object, **kwargs: object) -> None:
            raise aioice.stun.TransactionTimeout

        for protocol in ice._protocols:
            monkeypatch.setattr(protocol, "request", unanswered)
        bye = await closed(ann)
        assert (bye["code"], bye["again"]) == ("timeout", True)
        await eventually(lambda: not bridge.msp.calls)


@scenario()
async def test_a_page_of_which_nothing_is_heard_is_gone_though_ice_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guests, "VANISHED_S", 0.5)
    async with running_bridge() as bridge, PageClient(bridge, "Ann") as ann:
        guest = guest_of(bridge, ann)
        guest.call.settings = guest.call.settings.replace(member_timeout_s=0.5)
        await ann.call(camera=None)
        await eventually(lambda: ann.you)
        assert ann.pc is not None

        async def nowhere(data: bytes) -> None:
            """Neither RTP nor RTCP."""

        for transceiver in ann.pc.getTransceivers():
            monkeypatch.setattr(transceiver.sender.transport, "_send_rtp", nowhere)
        bye = await closed(ann)
        assert (bye["code"], bye["again"]) == ("timeout", True) and "heard" in bye["text"]
        await eventually(lambda: not bridge.msp.calls)


@scenario()
async def test_a_page_that_leaves_is_gone_at_once() -> None:
    async with meeting("Ann", "Bob") as (bridge, (ann, bob)):
        await bob.ask("leave")
        assert (await closed(bob))["code"] == "left"
        await eventually(lambda: ann.person("Bob") is None and len(bridge.msp.calls) == 1)


@scenario()
async def test_a_guest_who_goes_in_the_middle_of_an_offer_leaves_nothing() -> None:
    async with running_bridge() as bridge:
        for way in ("leave", "close", "gone"):
            async with PageClient(bridge, "Ann") as ann:
                await ann.ask("offer", sdp=await ann.offer(), id=1)
                if way == "leave":
                    await ann.ask("leave")
                elif way == "close":
                    await ann.socket.close()
                else:
                    await guest_of(bridge, ann).leave("out")
                await eventually(lambda: not bridge.msp.calls)
                assert not bridge.limits.sessions


@scenario()
async def test_nobody_who_has_left_is_kept_in_memory() -> None:
    async with running_bridge(empty_room_s=0) as bridge:
        kept: list[weakref.ref[Any]] = []
        for way in ("connected", "offering", "idle"):
            async with PageClient(bridge, room=way) as page:
                guest = guest_of(bridge, page)
                kept += [weakref.ref(each) for each in (guest, guest.room, guest.call, guest.page)]
                del guest
                if way == "connected":
                    await page.call()
                elif way == "offering":
                    await page.ask("offer", sdp=await page.offer(), id=1)
        await eventually(lambda: not bridge.rooms.rooms and not bridge.msp.calls)

        def freed() -> bool:
            gc.collect()
            return all(each() is None for each in kept)

        await eventually(freed)


@scenario()
async def test_a_page_that_never_connects_is_told_so() -> None:
    async with running_bridge() as bridge, PageClient(bridge, "Ann") as ann:
        guest = guest_of(bridge, ann)
        guest.call.settings = guest.call.settings.replace(connect_timeout_s=0.2)
        await ann.ask("offer", sdp=await ann.offer(), id=1)
        bye = await closed(ann)
        assert bye["code"] == "refused" and not bye["again"]


@scenario()
async def test_when_the_server_stops_pages_are_told_to_come_back() -> None:
    async with running_bridge() as bridge:
        ann = await PageClient(bridge, "Ann").__aenter__()
    bye = await closed(ann)
    assert (bye["code"], bye["again"], ann.close_code) == ("stopping", True, 1012)
    await ann.__aexit__()


# -- coming back


@scenario()
async def test_a_lost_socket_is_taken_up_again_with_the_key() -> None:
    async with meeting("Ann", "Bob") as (bridge, (ann, bob)):
        key, person = bob.welcome["key"], bob.you
        assert bob.socket._response.connection is not None
        bob.socket._response.connection.transport.abort()  # type: ignore[union-attr]
        await eventually(lambda: guest_of(bridge, bob).page is None)
        assert ann.person("Bob") == person  # media goes on meanwhile
        async with PageClient(bridge, "anybody", resume=key) as again:
            assert again.welcome["resumed"] and again.welcome["name"] == "Bob"
            await eventually(lambda: again.you == person)
            assert bridge.limits.sessions == 2
            await again.ask("say", text="I am back")
            assert (await ann.next("said"))["from"] == person


@scenario()
async def test_a_second_window_takes_over_from_the_first() -> None:
    async with meeting("Ann", calls=False) as (bridge, (ann,)):
        key = ann.welcome["key"]
        async with PageClient(bridge, resume=key) as again:
            assert (await closed(ann))["code"] == "replaced"
            assert again.welcome["resumed"] and again.welcome["key"] == key
            assert guest_of(bridge, again).departure is None


@scenario()
async def test_who_does_not_come_back_in_time_is_gone() -> None:
    async with running_bridge(resume_s=0.1) as bridge:
        async with PageClient(bridge, "Ann") as ann:
            key = ann.welcome["key"]
            ann.socket._response.connection.transport.abort()  # type: ignore[union-attr]
            await eventually(lambda: bridge.rooms.guest(key) is None)
            assert not bridge.limits.sessions
        async with PageClient(bridge, "Ann", resume=key) as again:
            assert not again.welcome["resumed"] and again.welcome["key"] != key


@scenario()
async def test_foreign_keys_open_nothing() -> None:
    async with running_bridge(open_rooms=False) as bridge:
        token = bridge.invitations.invite("lobby", MODERATOR)
        publisher = await bridge.rooms.enter("lobby", token, "Cam", "whip")
        async with PageClient(bridge, token=token) as ann:
            key = ann.welcome["key"]
            for wrong, room in ((publisher.key, "lobby"), (key, "other"), ("", "lobby")):
                async with PageClient(bridge, room=room, resume=wrong) as thief:
                    assert (await closed(thief))["code"] == "refused"
                    assert thief.latest["error"]["code"] == "bad-token"
            assert guest_of(bridge, ann).page is not None


# -- for oneself


@scenario()
async def test_what_is_said_reaches_all_or_one_and_who_comes_later() -> None:
    async with meeting("Ann", "Bob", "Cho") as (bridge, (ann, bob, cho)):
        await bob.ask("say", text="hello <b>all</b>")
        for page in (ann, bob, cho):
            said = await page.next("said")
            assert (said["from"], said["name"], said["text"], said["to"]) == (
                bob.you, "Bob", "hello <b>all</b>", None
            )  # fmt: skip
        await bob.ask("say", text="psst", to=ann.you)
        assert (await ann.next("said"))["to"] == ann.you
        assert (await bob.next("said"))["text"] == "psst"
        async with PageClient(bridge, "Dan") as dan:
            await dan.call(camera=None)
            assert (await dan.next("said"))["text"] == "hello <b>all</b>"
            await dan.ask("say", text="late")
            assert (await cho.next("said"))["text"] == "late"  # and nothing before it
            assert "said" not in [m["type"] for m in dan.messages if m.get("text") == "psst"]
        guest_of(bridge, ann).room.conference.send_message("the operator")
        said = await ann.next("said")
        while said["from"] is not None or said["text"] != "the operator":
            said = await ann.next("said")


@scenario()
async def test_hands_microphones_and_cameras_are_shown_to_all() -> None:
    async with meeting("Ann", "Bob") as (bridge, (ann, bob)):
        person = ann.person("Bob") or ""
        await bob.ask("hand", raised=True)
        await eventually(lambda: ann.people[person]["hand"] is not None)
        await bob.ask("microphone", on=False)
        await eventually(lambda: ann.people[person]["mic"] is False)
        assert not ann.people[person]["muted"]
        await ann.ask("lower", person=person)
        await eventually(lambda: ann.people[person]["hand"] is None)
        guest = guest_of(bridge, bob)
        assert guest.attendee is not None
        guest.attendee.camera = True  # pictures come
        await bob.ask("camera", on=True)
        await eventually(lambda: ann.people[person]["camera"])
        await bob.ask("camera", on=False)
        await eventually(lambda: not ann.people[person]["camera"])


@scenario()
async def test_volume_pins_and_slots_are_ones_own() -> None:
    async with meeting("Ann", "Bob", "Cho") as (bridge, (ann, bob, cho)):
        conference = guest_of(bridge, ann).room.conference
        legs = [guest_of(bridge, page).leg for page in (ann, bob, cho)]
        await bob.ask("volume", person=cho.you, gain=0)
        await bob.ask("volume", person=ann.you, gain=4)
        await bob.ask("pin", person=cho.you, slot=0)
        await bob.ask("slots", count=1)
        await bob.ask("heights", heights=[180, None, 720, 1, 1, 1, 1, 1])
        await bob.ask("say", text="done")
        await bob.next("said")
        gains = [[conference.gain(speaker, listener) for speaker in legs] for listener in legs]
        assert gains == [[1, 1, 1], [4, 1, 0], [1, 1, 1]]
        view = conference.video.view_of(legs[1])  # type: ignore[arg-type]
        assert list(view.pins.values()) == [0] and view.wanted == 1
        there = range(len(view.slots))
        assert view.heights == {s: h for s, h in ((0, 180), (2, 720), (3, 1)) if s in there}
        await bob.ask("unpin", person=cho.you)
        await bob.ask("slots", count=None)
        await bob.ask("heights", heights=[None, 90])
        await bob.ask("pin", person=cho.you, slot=9)
        await bob.error("bad-request")
        assert not view.pins and view.wanted is None and view.heights[1] == 90
        assert 0 not in view.heights


# -- moderation

DEMANDS: dict[str, dict[str, Any]] = {
    "mute": {"person": "?", "muted": True},
    "remove": {"person": "?"},
    "lock": {"locked": True},
    "record": {"on": True},
    "role": {"person": "?", "role": "moderator"},
    "lower": {"person": "?"},
    "spotlight": {"person": "?", "on": True},
    "end": {},
}
"""What moderators alone may ask for; "?" is somebody."""


@scenario()
async def test_guests_moderate_nothing_not_even_themselves() -> None:
    async with meeting("Ann", "Bob") as (bridge, (ann, bob)):
        room = guest_of(bridge, ann).room
        for whom in (ann.you, bob.you, "person 99"):
            for kind, fields in DEMANDS.items():
                filled = {k: whom if v == "?" else v for k, v in fields.items()}
                await bob.ask(kind, **filled)
                assert (await bob.error("not-allowed"))["about"] == kind
        state = room.conference.state()
        assert not state.locked and not state.recording and len(room.guests) == 2
        assert not any(person.muted for person in state.people)
        assert guest_of(bridge, bob).role is Role.SPEAKER


@scenario()
async def test_moderators_mute_promote_lock_and_spotlight() -> None:
    async with meeting("Ann", "Bob") as (bridge, (ann, bob)):
        person = ann.person("Bob") or ""
        for muted in (True, False):
            await ann.ask("mute", person=person, muted=muted)
            await eventually(lambda muted=muted: bob.people[person]["muted"] is muted)
        await ann.ask("role", person=person, role="listener")
        await eventually(lambda: bob.people[person]["role"] == "listener")
        assert bob.people[person]["muted"]
        await ann.ask("role", person=person, role="moderator")
        await eventually(lambda: bob.people[person]["role"] == "moderator")
        await bob.ask("lock", locked=True)
        await eventually(lambda: ann.latest["roster"]["locked"])
        async with PageClient(bridge, "Dan") as dan:
            assert (await closed(dan))["code"] == "refused"
            assert dan.latest["error"]["code"] == "locked"
        conference = guest_of(bridge, ann).room.conference
        await bob.ask("spotlight", person=ann.you, on=True)
        await eventually(lambda: list(conference.video.spotlight))
        await bob.ask("spotlight", person=ann.you, on=False)
        await eventually(lambda: not conference.video.spotlight)
        await ann.ask("mute", person="person 99", muted=True)
        await ann.error("no-person")


@scenario()
async def test_who_is_removed_is_told_why_and_all_are_when_it_ends() -> None:
    async with meeting("Ann", "Bob", "Cho") as (bridge, (ann, bob, cho)):
        await ann.ask("remove", person=ann.person("Bob"), reason="enough")
        bye = await closed(bob)
        assert (bye["code"], bye["text"], bye["again"]) == ("removed", "enough", False)
        conference = guest_of(bridge, ann).room.conference
        robot = conference.add_local("Robot")
        await eventually(lambda: ann.person("Robot"))
        assert ann.people[ann.person("Robot") or ""]["kind"] == "other"
        await ann.ask("remove", person=ann.person("Robot"))
        await eventually(lambda: robot not in conference.legs)
        await ann.ask("end")
        for page in (ann, cho):
            bye = await closed(page)
            assert (bye["code"], bye["text"]) == ("ended", "Ann has ended the meeting")
        await eventually(lambda: not bridge.rooms.rooms and not bridge.msp.calls)


@scenario()
async def test_a_meeting_is_recorded_where_the_server_allows_it(tmp_path: Path) -> None:
    async with meeting("Ann", recordings_dir=tmp_path) as (_, (ann,)):
        assert ann.welcome["can_record"]
        for on in (True, False):
            await ann.ask("record", on=on)
            await eventually(lambda on=on: ann.latest["roster"]["recording"] is on)
    (path,) = files_in(tmp_path, ".mkv")
    assert path.name.startswith("lobby_") and path.stat().st_size
    async with meeting("Ann") as (_, (ann,)):
        assert not ann.welcome["can_record"]
        await ann.ask("record", on=True)
        await ann.error("no-recording")


@scenario()
async def test_moderators_are_told_that_a_recording_failed(tmp_path: Path) -> None:
    async with meeting("Ann", "Bob", recordings_dir=tmp_path) as (bridge, pages):
        ann, bob = pages
        await ann.ask("record", on=True)
        await eventually(lambda: ann.latest["roster"]["recording"])
        (recording,) = guest_of(bridge, ann).room.conference.recordings
        error = MediaError("the disk is full")
        recording.conference.post(RecordingFailed, recording=recording, error=error)
        await ann.error("recording-failed")
        await bob.ask("say", text="x")
        await bob.next("said")
        assert "error" not in bob.latest


# -- who does not behave


@pytest.mark.parametrize(
    "first",
    [
        "",
        "{",
        "[]",
        '"hello"',
        "null",
        '{"type":"hello"}',
        '{"type":"say","text":"hi"}',
        '{"type":"hello","version":true,"room":"lobby"}',
        '{"type":"hello","version":1,"room":"lobby","extra":1}',
        '{"type":"hello","version":1,"room":["lobby"]}',
        '{"type":"hello","version":1,"room":"lobby","name":"' + "x" * 2000 + '"}',
        '{"type":"hello","version":1,"room":"lobby","name":"\\ud800"}',
        "[" * 10_000,
    ],
)
def test_who_does_not_say_hello_is_not_let_in(first: str) -> None:
    @scenario()
    async def run() -> None:
        async with running_bridge() as bridge, PageClient(bridge, greets=False) as page:
            await page.socket.send_str(first)
            bye = await closed(page)
            assert (bye["code"], page.latest["error"]["code"]) == ("refused", "bad-message")
            assert not bridge.rooms.rooms and not bridge.limits.sessions

    run()


@scenario()
async def test_other_versions_binary_and_silence_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running_bridge() as bridge:
        async with PageClient(bridge, greets=False) as page:
            await page.send({**page.hello, "version": 2})
            assert (await closed(page))["code"] == "refused"
            assert page.latest["error"]["code"] == "bad-version"
        async with PageClient(bridge, greets=False) as page:
            await page.socket.send_bytes(json.dumps(page.hello).encode())
            assert (await closed(page))["code"] == "refused"
        monkeypatch.setattr(page_session, "HELLO_S", 0.05)
        async with PageClient(bridge, greets=False) as page:
            assert (await closed(page))["code"] == "refused"
            assert page.latest["error"]["code"] == "timeout"
        async with PageClient(bridge, greets=False) as page:
            await page.socket.close()
        assert not bridge.rooms.rooms


@scenario()
async def test_nonsense_is_counted_and_too_much_of_it_ends_the_session() -> None:
    async with meeting("Ann", calls=False) as (_, (ann,)):
        bad = [
            "{", "[]", '{"type":"dance"}', '{"type":"hand","raised":1}', '{"type":"leave","x":1}',
            '{"type":"volume","person":"person 1","gain":NaN}',
            '{"type":"volume","person":"person 1","gain":Infinity}',
            '{"type":"volume","person":"person 1","gain":-1}',
            '{"type":"offer","sdp":"","id":1}', '{"type":"offer","sdp":"v=0","id":1e9999}',
            '{"type":"say","text":""}', '{"type":"say","text":"' + "x" * 2001 + '"}',
            '{"type":"slots","count":-1}', '{"type":"slots"}', '{"type":"pin","person":null}',
            json.dumps(ann.hello), '{"type":"say","text":"\\udfff"}', "\0", "[" * 5000,
        ]  # fmt: skip
        for text in bad:
            await ann.socket.send_str(text)
            await ann.error("bad-message")
        await ann.socket.send_bytes(b"\x00")
        await ann.error("bad-message")
        await ann.socket.send_str("{")
        assert (await closed(ann))["code"] == "refused"


@scenario()
async def test_a_flood_of_messages_ends_the_session() -> None:
    async with meeting("Ann", "Bob", calls=False) as (bridge, (ann, bob)):
        for number in range(200):
            await bob.socket.send_json({"type": "microphone", "on": bool(number % 2)})
        bye = await closed(bob)
        assert bye["code"] == "refused" and "too much" in bye["text"]
        await eventually(lambda: len(bridge.msp.calls) == 1)
        assert ann.close_code is None


@scenario()
async def test_sayings_and_offers_have_limits_of_their_own() -> None:
    async with meeting("Ann") as (_, (ann,)):
        for _ in range(12):
            await ann.ask("say", text="hi")
        assert (await ann.error("too-fast"))["about"] == "say"
        assert sum(m["type"] == "said" for m in ann.messages) == 10
        before, offer = ann.pc, await ann.offer()
        await ann.ask("offer", sdp=offer, id=1)
        await ann.ask("offer", sdp=offer, id=2)
        assert (await ann.error("too-fast"))["about"] == "say"
        assert (await ann.error("busy"))["about"] == "offer"
        await ann.accept((await ann.next("answer"))["sdp"])
        assert before is not None
        await before.close()


@scenario()
async def test_a_message_that_is_too_big_ends_the_session() -> None:
    async with meeting("Ann", calls=False) as (bridge, (ann,)):
        await ann.socket.send_str("x" * (MAX_MESSAGE_BYTES + 1))
        await eventually(lambda: ann.close_code == 1009)
        await eventually(lambda: not bridge.msp.calls)


@scenario()
async def test_a_bad_offer_is_refused_and_a_bad_second_one_changes_nothing() -> None:
    async with meeting("Ann") as (bridge, (ann,)):
        await ann.ask("offer", sdp="v=0\r\n", id=9)
        assert (await ann.error("bad-offer"))["about"] == "offer"
        assert guest_of(bridge, ann).departure is None
        async with PageClient(bridge, "Bob") as bob:
            await bob.ask("offer", sdp="v=0\r\n", id=9)
            assert (await closed(bob))["code"] == "refused"


@scenario()
async def test_hostile_names_and_words_are_only_text() -> None:
    async with running_bridge() as bridge:
        name = '"},{"\u202e\u2028<script>\\'
        async with PageClient(bridge, name) as page:
            assert page.welcome["name"] == '"},{" <script>\\'
            await page.call(camera=None)
            await eventually(lambda: page.you)
            assert page.people[str(page.you)]["name"] == page.welcome["name"]
        long = "\U0001f600" * 200  # four bytes each in UTF-8
        async with PageClient(bridge, long) as page:
            await page.call(camera=None)
            await eventually(lambda: page.you)
            assert len(page.people[str(page.you)]["name"]) == 63  # 255 bytes hold no more


@scenario()
async def test_a_page_that_does_not_read_is_dropped_and_others_go_on() -> None:
    async with meeting("Ann", "Bob") as (bridge, (ann, bob)):
        slow = guest_of(bridge, bob)
        page = slow.page
        assert page is not None
        bob.socket._response.connection.transport.pause_reading()  # type: ignore[union-attr]
        told = 0
        while slow.page is page and told < 1000:
            page.tell(json.dumps({"type": "said", "text": "x" * 20_000}))
            told += 1
            await asyncio.sleep(0)
        assert told < 1000
        assert len(page._waiting) <= page_writer.MAX_WAITING  # type: ignore[attr-defined]
        await ann.ask("say", text="all well")
        await ann.next("said")
        assert slow.departure is None  # and may come back
        bob.socket._response.connection.transport.resume_reading()  # type: ignore[union-attr]


@scenario()
async def test_a_page_that_answers_no_ping_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_session, "PING_S", 0.1)
    async with running_bridge(resume_s=0.1) as bridge, PageClient(bridge) as ann:
        guest = guest_of(bridge, ann)
        ann.socket._response.connection.transport.pause_reading()  # type: ignore[union-attr]
        await eventually(lambda: guest.departure is not None)
        assert guest.departure is not None and guest.departure.code == "timeout"
        ann.socket._response.connection.transport.resume_reading()  # type: ignore[union-attr]


@scenario()
async def test_too_many_from_one_address_are_refused_and_may_try_again() -> None:
    async with running_bridge(max_sessions_per_address=1) as bridge, PageClient(bridge):
        async with PageClient(bridge, "Bob") as bob:
            bye = await closed(bob)
            assert bye["again"] and bob.latest["error"]["code"] == "too-many-sessions"
        assert bridge.limits.sessions == 1


@given(st.text(max_size=300))
def test_any_text_is_a_message_or_refused(text: str) -> None:
    for read in (read_hello, read_request):
        with pytest.raises(Refused) as told:
            read(text)
        assert told.value.code == "bad-message" and len(told.value.text) <= 300


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)


@given(
    st.sampled_from(
        [*DEMANDS, "offer", "candidate", "hand", "say", "volume", "pin", "slots", "heights"]
    ),
    st.dictionaries(
        st.sampled_from(
            ["person", "on", "text", "to", "gain", "slot", "sdp", "id", "count", "heights"]
        ),
        JSON,
    ),
)
def test_any_fields_are_a_message_or_refused(kind: str, fields: dict[str, Any]) -> None:
    try:
        request = read_request(json.dumps({"type": kind, **fields}))
    except Refused as exc:
        assert exc.code == "bad-message"
    else:
        assert request.type == kind


@scenario()
async def test_moderators_can_hand_on_an_invitation_where_one_is_needed() -> None:
    async with running_bridge(open_rooms=False) as bridge:
        tokens = {role: bridge.invitations.invite("lobby", role) for role in Role}
        async with PageClient(bridge, "Mo", token=tokens[Role.MODERATOR]) as mo:
            made = mo.welcome["invitation"]
            async with PageClient(bridge, "Ann", token=made) as ann:
                assert (ann.welcome["role"], ann.welcome["invitation"]) == ("guest", None)
            async with PageClient(bridge, "Eve", "cellar", token=made) as eve:
                assert (await eve.next("error"))["code"] == "bad-token"
    async with running_bridge() as bridge:
        token = bridge.invitations.invite("lobby", Role.MODERATOR)
        async with PageClient(bridge, "Mo", token=token) as mo:
            assert mo.welcome["invitation"] is None  # the plain link will do
