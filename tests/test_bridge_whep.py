"""What WHEP says over HTTP (draft-ietf-wish-whep), and what a player sees and is in the room."""

from __future__ import annotations

from offers import FFMPEG
from peers import eventually, scenario
from senses import ALICE, BOB, GREEN, RED, is_picture
from test_bridge_whip import is_problem, nothing_is_left
from whip_lab import SDP, Player, Publisher, lines_of, site

from ipconf.hub.people import Role

PLAYS = FFMPEG.replace("a=sendonly", "a=recvonly")


@scenario()
async def test_a_session_begins_and_ends() -> None:
    async with site() as there:
        answer = await there.ask("POST", "/whep/lobby", PLAYS, type=SDP)
        assert answer.status == 201 and answer.header("ETag")
        assert answer.header("Location").startswith("/whep/lobby/")
        directions = [*lines_of(answer.text, "a=recvonly", "a=send", "a=inactive")]
        assert directions == ["a=sendonly"] * 2
        (room,) = there.bridge.rooms.rooms.values()
        (guest,) = room.guests
        assert (guest.kind, guest.role) == ("whep", Role.LISTENER)
        assert (await there.ask("DELETE", answer.header("Location"))).status == 200
        await nothing_is_left(there)


@scenario()
async def test_offers_that_send_or_ask_for_too_much_are_refused() -> None:
    async with site(video_slots=1) as there:
        sent = await there.ask("POST", "/whep/lobby", FFMPEG, type=SDP)
        assert is_problem(sent, 422, "wrong-direction", "sendonly", "recvonly", "WHEP")
        video = PLAYS[PLAYS.index("m=video") :]
        several = [video.replace("a=mid:1", f"a=mid:{mid}") for mid in (2, 3, 4)]
        many = PLAYS.replace("BUNDLE 0 1", "BUNDLE 0 1 2 3 4") + "".join(several)
        refused = await there.ask("POST", "/whep/lobby", many, type=SDP)
        assert is_problem(refused, 422, "unusable-offer", "m-line 5 (video)")
        await nothing_is_left(there)


@scenario()
async def test_viewers_need_no_more_than_a_viewers_token() -> None:
    async with site(open_rooms=False) as there:
        refused = await there.ask("POST", "/whep/lobby", PLAYS, type=SDP)
        assert is_problem(refused, 401, "bad-token")
        for role in Role:
            token = there.bridge.invitations.invite("lobby", role)
            named = {"type": SDP, "Authorization": f"Bearer {token}"}
            answer = await there.ask("POST", "/whep/lobby", PLAYS, **named)
            assert answer.status == 201
        (room,) = there.bridge.rooms.rooms.values()
        assert {guest.role for guest in room.guests} == {Role.LISTENER}


@scenario()
async def test_a_player_sees_as_many_as_it_has_sections() -> None:
    async with (
        site() as there,
        Publisher(there, "Ann", 440, ALICE) as ann,
        Publisher(there, "Bob", None, BOB) as bob,
        Player(there, "One") as one,
        Player(there, "Two", slots=2) as two,
    ):
        for peer in (ann, bob, one, two):
            await peer.join()
        await there.holds("Ann", "Bob", "One", "Two")
        await two.sees(ALICE)
        await two.sees(BOB)
        await one.gets(440, ALICE)  # who talks
        seen = [one.seen.get_nowait() for _ in range(one.seen.qsize())]
        assert not any(is_picture(frame, BOB) for frame in seen)


@scenario()
async def test_a_player_hears_without_pictures() -> None:
    async with (
        site() as there,
        Publisher(there, "Ann", 440, (RED, GREEN)) as ann,
        Player(there, slots=0) as player,
    ):
        await player.join(trickles=True)
        await ann.join()
        await player.hears(440)
        assert player.seen.empty()


@scenario()
async def test_players_are_told_when_the_room_ends() -> None:
    async with site() as there, Player(there) as player:
        await player.join()
        await there.holds("Player")
        (room,) = there.bridge.rooms.rooms.values()
        await room.end("that was all")
        await eventually(lambda: player.pc.connectionState == "closed")
        assert (await there.ask("DELETE", player.session)).status == 404
        await nothing_is_left(there)
