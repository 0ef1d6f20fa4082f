"""Rooms and guests: who is let in as what, under which name, and what ends both."""

from __future__ import annotations

import asyncio
import logging
import time
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from offers import FFMPEG
from peers import LOCALHOST, eventually, scenario

pytest.importorskip("aiohttp")

from bridge_lab import running_bridge  # noqa: E402

from ipconf.bridge.guests import CONNECT_S, VANISHED_S  # noqa: E402
from ipconf.bridge.names import (  # noqa: E402
    MAX_MARKS,
    MAX_NAME_CHARACTERS,
    tidy_name,
    unique_name,
)
from ipconf.bridge.qualities import QualityMeter, score  # noqa: E402
from ipconf.bridge.refusals import Refused  # noqa: E402
from ipconf.bridge.rooms import Rooms  # noqa: E402
from ipconf.bridge.server import Bridge  # noqa: E402
from ipconf.errors import ClosedError, MediaError, NegotiationError  # noqa: E402
from ipconf.events import ConferenceLocked  # noqa: E402
from ipconf.hub.people import Role  # noqa: E402
from ipconf.transports.binding import bind_udp  # noqa: E402


@asynccontextmanager
async def rooms(**settings: Any) -> AsyncIterator[tuple[Bridge, Rooms]]:
    """The rooms of a bridge that runs."""
    async with running_bridge(**settings) as bridge:
        yield bridge, bridge.rooms


async def refusal(work: Any) -> Refused:
    """What is refused."""
    with pytest.raises(Refused) as told:
        await work
    return told.value


# -- coming in


@scenario()
async def test_a_room_is_made_when_somebody_comes_and_ends_after_the_last_has_left() -> None:
    async with rooms(empty_room_s=0.05) as (_, there):
        assert not there.rooms
        ann = await there.enter("Lobby", None, "Ann", "page")
        room = there.rooms["lobby"]
        bob = await there.enter("lobby", None, "Bob", "whip")
        assert room.guests == (ann, bob) and ann.role is Role.SPEAKER
        await ann.leave()
        await asyncio.sleep(0.1)
        assert there.rooms == {"lobby": room}
        await bob.leave()
        await eventually(lambda: not there.rooms)
        assert room.conference.ended


@scenario()
async def test_who_comes_before_an_empty_room_ends_finds_it_still_there() -> None:
    async with rooms(empty_room_s=0.2) as (_, there):
        await (await there.enter("lobby", None, "Ann", "page")).leave()
        room = there.rooms["lobby"]
        bob = await there.enter("lobby", None, "Bob", "page")
        await asyncio.sleep(0.3)
        assert bob.room is room and there.rooms == {"lobby": room}


@scenario()
async def test_an_invitation_gives_a_role_and_a_bad_one_nothing() -> None:
    async with rooms() as (bridge, there):
        invite = bridge.invitations.invite
        moderator = await there.enter("a", invite("a", Role.MODERATOR), "M", "page")
        viewer = await there.enter("a", invite("a", Role.LISTENER), "V", "page")
        assert (moderator.role, viewer.role) == (Role.MODERATOR, Role.LISTENER)
        other = invite("b", Role.MODERATOR)
        for token in (other, "x", f"{other}x", invite("a", Role.MODERATOR, time.time() - 1)):
            assert (await refusal(there.enter("a", token, "X", "page"))).code == "bad-token"
        watcher = await there.enter("a", invite("a", Role.MODERATOR), "W", "whep")
        assert watcher.role is Role.LISTENER
        refused = await refusal(there.enter("a", invite("a", Role.LISTENER), "X", "whip"))
        assert refused.code == "not-allowed"


@scenario()
async def test_closed_rooms_cannot_be_told_from_rooms_that_are_not_there() -> None:
    async with rooms(open_rooms=False) as (bridge, there):
        token = bridge.invitations.invite("there", Role.SPEAKER)
        await there.enter("there", token, "Ann", "page")
        answers = [
            await refusal(there.enter(name, None, "X", "page")) for name in ("there", "nowhere")
        ]
        assert {(a.status, a.code, a.text) for a in answers} == {
            (answers[0].status, "bad-token", answers[0].text)
        }
        bad = [await refusal(there.enter(n, token, "X", "page")) for n in ("nowhere", "else")]
        assert bad[0].text == bad[1].text
        assert set(there.rooms) == {"there"}


@scenario()
async def test_names_of_rooms_that_cannot_be() -> None:
    async with rooms() as (_, there):
        for name in ("", "..", "a/b", "a b", "x" * 65, "ä", "whip", "a\0", "a\n", "metrics"):
            assert (await refusal(there.enter(name, None, "X", "page"))).code == "bad-name"
        assert not there.rooms


@scenario()
async def test_rooms_and_guests_are_limited_but_configured_rooms_are_always_there() -> None:
    settings = {"max_rooms": 1, "rooms": {"staff": {"max_guests": 1, "subject": "The staff"}}}
    async with rooms(**settings) as (_, there):
        await there.enter("one", None, "Ann", "page")
        assert (await refusal(there.enter("two", None, "X", "page"))).code == "too-many-rooms"
        ann = await there.enter("staff", None, "Ann", "page")
        assert ann.room.subject == "The staff"
        assert (await refusal(there.enter("staff", None, "X", "page"))).code == "room-full"
        await ann.leave()
        await there.enter("staff", None, "Bob", "page")


@scenario()
async def test_a_locked_room_lets_in_moderators_alone() -> None:
    async with rooms() as (bridge, there):
        ann = await there.enter("lobby", None, "Ann", "page")
        ann.room.conference.lock()
        assert (await refusal(there.enter("lobby", None, "X", "page"))).code == "locked"
        token = bridge.invitations.invite("lobby", Role.MODERATOR)
        events = ann.room.conference.events(ConferenceLocked)
        await there.enter("lobby", token, "M", "page")
        assert ann.room.conference.locked
        assert not events._unread, "nobody is told that it was open meanwhile"
        events.close()


@scenario()
async def test_a_conference_that_was_ended_by_the_program_ends_its_room() -> None:
    async with rooms() as (_, there):
        ann = await there.enter("lobby", None, "Ann", "page")
        await ann.room.conference.end("enough")
        await eventually(lambda: not there.rooms)
        assert ann.departure is not None and not there._guests


@scenario()
async def test_a_conference_that_takes_no_more_legs_refuses_and_leaves_no_call() -> None:
    async with rooms() as (bridge, there):
        ann = await there.enter("lobby", None, "Ann", "page")
        conference = ann.room.conference
        conference.settings = conference.settings.replace(max_legs=1)
        assert (await refusal(there.enter("lobby", None, "X", "page"))).code == "room-full"
        assert bridge.msp.calls == (ann.call,)


# -- going


@scenario()
async def test_nothing_is_left_of_a_guest_whatever_they_were_at() -> None:
    async with rooms() as (bridge, there):
        ann = await there.enter("lobby", None, "Ann", "page")
        reasons: list[str] = []
        ann.on_gone(reasons.append)
        await asyncio.gather(ann.leave("had to go"), ann.leave("again"))
        ann.on_gone(reasons.append)
        assert reasons == ["had to go", "had to go"]
        assert not bridge.msp.calls and there.guest(ann.key) is None
        assert not ann.room.guests and not ann.room.conference.legs
        with pytest.raises(ClosedError):
            await ann.answer("v=0")
        assert not ann.add_candidate("candidate:1")


@scenario()
async def test_who_is_removed_by_the_program_is_gone() -> None:
    async with rooms() as (bridge, there):
        ann = await there.enter("lobby", None, "Ann", "page")
        await ann.room.conference.remove(ann.leg, "out")
        await eventually(lambda: ann.departure is not None and not bridge.msp.calls)
        assert not ann.room.guests


@scenario()
async def test_the_rooms_close_with_all_their_guests() -> None:
    async with rooms() as (bridge, there):
        guests = [await there.enter(name, None, "Ann", "page") for name in ("a", "b", "b")]
        await there.close("the server is stopping")
        assert {guest.departure for guest in guests} == {
            ("stopping", "the server is stopping", True)
        }
        assert not there.rooms and not bridge.msp.calls and not bridge.msp.conferences
        assert (await refusal(there.enter("a", None, "Ann", "page"))).code == "stopping"


@scenario()
async def test_keys_are_secret_and_find_their_guests() -> None:
    async with rooms() as (_, there):
        guests = [await there.enter("lobby", None, "Ann", "page") for _ in range(3)]
        assert len({guest.key for guest in guests}) == 3
        assert all(there.guest(g.key) is g and len(g.key) >= 32 for g in guests)
        assert all(guest.key not in repr(guest) for guest in guests)
        assert there.guest("") is None and there.guest("x" * 32) is None


@scenario()
async def test_who_was_heard_and_is_no_more_leaves_though_the_call_goes_on() -> None:
    async with rooms() as (_, there):
        ann = await there.enter("lobby", None, "Ann", "whep")
        ann._known = True
        ann.look(0.0)  # the call is not connected: it has its own time
        ann.look(100.0)
        assert ann.departure is None
        ann.call._connection.state = type(ann.call.state).CONNECTED
        ann.look(100.0)
        ann.look(109.0)
        assert ann.departure is None
        ann.look(111.0)
        assert ann.departure is not None and ann.departure.code == "timeout"


@pytest.mark.parametrize("kind", ["page", "whip", "whep"])
@scenario()
async def test_who_is_never_heard_of_has_45_s(kind: Any) -> None:
    async with rooms() as (_, there):
        ann = await there.enter("lobby", None, "Ann", kind)
        for connected in (False, True):  # without RTP and RTCP that is not enough
            if connected:
                ann.call._connection.state = type(ann.call.state).CONNECTED
            ann.look(0.0)
            ann.look(VANISHED_S + 1.0)
            ann.look(CONNECT_S - 1.0)
            assert ann.departure is None
        ann.look(CONNECT_S + 1.0)
        assert ann.departure is not None
        assert (ann.departure.code, ann.departure.again) == ("timeout", False)
        await ann.leave()
        assert not there.rooms["lobby"].guests


# -- recordings


@scenario()
async def test_a_room_is_recorded_into_files_of_its_own(tmp_path: Path) -> None:
    directory = tmp_path / "recordings"
    settings = {"recordings_dir": directory, "rooms": {"staff": {"record": True}}}
    async with rooms(**settings) as (_, there):
        ann = await there.enter("staff", None, "Ann", "page")
        room = ann.room
        assert room.conference.state().recording
        room.record(True)  # it does already
        room.record(False)
        room.record(False)
        assert not room.conference.state().recording
        room.record(True)
        await room.end("that was it")
        names = sorted(path.name for path in directory.iterdir() if path.suffix == ".mkv")
        assert len(names) == 2 and all(name.startswith("staff_2") for name in names)


@scenario()
async def test_what_cannot_be_recorded_is_refused_and_lets_guests_in_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ipconf.bridge")
    directory = tmp_path / "file"
    settings = {"recordings_dir": directory, "rooms": {"staff": {"record": True}}}
    async with rooms(**settings) as (_, there):
        directory.rmdir()
        directory.write_text("in the way")
        ann = await there.enter("staff", None, "Ann", "page")
        with pytest.raises(Refused) as told:
            ann.room.record(True)
        assert told.value.code == "no-recording" and str(tmp_path) not in told.value.text
    warned = [r.msg for r in caplog.records if r.levelno == logging.WARNING]
    assert warned == ["recording failed"] * 2
    async with rooms() as (_, there):
        ann = await there.enter("lobby", None, "Ann", "page")
        with pytest.raises(Refused):
            ann.room.record(True)


# -- the log


def told_in(caplog: pytest.LogCaptureFixture, *events: str) -> list[dict[str, Any]]:
    """What was logged of these events, without the reasons and the names of files."""
    return [
        {"event": r.msg, **{k: v for k, v in r.fields.items() if k not in ("reason", "file")}}
        for r in caplog.records
        if r.msg.startswith(events)
    ]


@scenario()
async def test_the_log_has_rooms_guests_and_recordings_once_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ipconf.bridge")
    async with rooms(recordings_dir=tmp_path) as (_, there):
        ann = await there.enter("lobby", None, "Ann", "page")
        bob = await there.enter("lobby", None, "Bob", "whip")
        ann.room.record(True)
        ann.room.record(False)
        ann.room.record(True)
        await bob.leave("Ann has removed you", "removed")
        await ann.room.end("that was it")
    of = {"room": "lobby"}
    assert told_in(caplog, "room", "guest") == [
        {"event": "room made", **of},
        {"event": "guest joined", **of, "kind": "page"},
        {"event": "guest joined", **of, "kind": "whip"},
        {"event": "guest left", **of, "kind": "whip", "code": "removed"},
        {"event": "guest left", **of, "kind": "page", "code": "ended"},
        {"event": "room ended", **of},
    ]
    recordings = [told["event"] for told in told_in(caplog, "recording")]
    assert recordings == ["recording began", "recording ended"] * 2
    assert not [r for r in caplog.records if "Ann" in str(vars(r).get("fields"))]


@scenario()
async def test_a_recording_that_fails_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ipconf.bridge")
    async with rooms(recordings_dir=tmp_path) as (_, there):
        room = (await there.enter("lobby", None, "Ann", "page")).room
        await asyncio.sleep(0)  # the room's news are followed from now on
        room.record(True)
        (recording,) = room.conference.recordings
        recording._fail(MediaError("the disk is full"))
        await eventually(lambda: len(told_in(caplog, "recording")) == 2)
        room.record(False)
    events = [told["event"] for told in told_in(caplog, "recording")]
    assert events == ["recording began", "recording failed"]


@scenario()
async def test_an_offer_that_this_machine_cannot_answer_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "ipconf.bridge")
    with bind_udp(LOCALHOST, None) as probe:
        port = probe.getsockname()[1]
    async with rooms(udp_ports=(port, port)) as (_, there):
        with bind_udp(LOCALHOST, (port, port)):  # since the server was started
            for offer in ("v=0", FFMPEG):  # the first one is the client's own fault
                guest = await there.enter("lobby", None, "Ann", "whip")
                with pytest.raises(NegotiationError):
                    await guest.answer(offer)
                await guest.leave()
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert (warning.msg, warning.fields["kind"]) == ("offer not answered", "whip")
    assert f"ports {port} to {port}" in warning.fields["reason"]


# -- names and numbers


@scenario()
async def test_names_are_tidied_and_unique_in_a_room() -> None:
    async with rooms() as (_, there):
        given_names = ["Ann", "ann", " Ann\n", "", "\u202egnik", "<b>Bob</b>", "x" * 500]
        guests = [await there.enter("lobby", None, name, "page") for name in given_names]
        assert [guest.name for guest in guests] == [
            "Ann", "ann (2)", "Ann (3)", "Guest", "gnik", "<b>Bob</b>", "x" * 64
        ]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "Anna\u3164", "\uffa0Anna", "An\u034fna", "Anna\ufe0f", "Anna\u180b", "Anna\u2800",
        "Anna\U000e0100", "An\u200dna", "An\u00adna", "Anna\u115f\u1160", "An\u17b4na",
        "\u0301Anna", " \u0301\u0302 Anna", "Anna \u2060",
    ],
)  # fmt: skip
def test_what_cannot_be_seen_makes_no_other_name(name: str) -> None:
    assert tidy_name(name) == "Anna"
    assert unique_name(tidy_name(name), ["Anna"]) == "Anna (2)"


def test_names_that_are_written_in_other_forms_are_the_same() -> None:
    composed, apart = unicodedata.normalize("NFC", "Zoë"), unicodedata.normalize("NFD", "Zoë")
    assert composed != apart and tidy_name(apart) == composed
    wide = "\uff21\uff4e\uff4e\uff41"
    assert tidy_name(wide) == wide
    for name, other in (("Anna", wide), (wide, "ANNA"), ("Straße", "STRASSE"), ("\ufb01n", "Fin")):
        assert unique_name(name, [other]) == f"{name} (2)"
    assert unique_name("Анна", ["Anna", "Ann"]) == "Анна"  # another script is another name
    assert tidy_name("\u3164\u2800") == tidy_name("\u0301") == "Guest"


def test_few_marks_are_on_one_character() -> None:
    stacked = tidy_name("x" + "\u0316" * 200 + "y" + "\u0316" * 2)
    assert stacked == "x" + "\u0316" * MAX_MARKS + "y" + "\u0316" * 2


@given(st.text(st.characters(categories=["M", "Zs", "Lo"]), max_size=40))
def test_names_of_many_marks_stay_as_they_are_once_they_are_tidy(text: str) -> None:
    name = tidy_name(text)
    assert tidy_name(name) == name == unicodedata.normalize("NFC", name)
    kinds = "".join(unicodedata.category(c)[0] for c in name)
    assert "M" * (MAX_MARKS + 1) not in kinds and kinds[0] != "M"


@given(st.text(max_size=200))
def test_any_text_becomes_a_name_that_can_be_shown(text: str) -> None:
    name = tidy_name(text)
    assert 0 < len(name) <= MAX_NAME_CHARACTERS
    assert name == name.strip() and "\n" not in name and "\u202e" not in name and "\0" not in name
    name.encode()
    assert tidy_name(name) == name and len(name.encode()) <= 255


@given(
    st.lists(st.sampled_from(["Ann", "x" * 64, "ann (2)", "\N{GRINNING FACE}" * 63]), max_size=12)
)
def test_no_two_have_the_same_name(names: list[str]) -> None:
    taken: list[str] = []
    for name in names:
        taken.append(unique_name(name, taken))
        assert len(taken[-1].encode()) <= 255
    assert len({name.casefold() for name in taken}) == len(taken)
    assert all(len(name) <= MAX_NAME_CHARACTERS for name in taken)


def test_a_connection_has_points() -> None:
    assert [score(0, 0), score(0.02, 0), score(0, 0.5), score(0.1, 0.1), score(0.5, 0)] == [
        4, 3, 2, 1, 0
    ]  # fmt: skip


@scenario()
async def test_quality_of_a_call_that_is_not_connected_is_unknown() -> None:
    async with rooms() as (_, there):
        ann = await there.enter("lobby", None, "Ann", "page")
        meter = QualityMeter()
        told = meter.measure(ann.call.stats(), 0.0)
        assert meter.latest is told
        assert told["rtt_ms"] is None and told["kbps_in"] == 0.0 and told["score"] == 4
