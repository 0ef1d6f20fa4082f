"""Coming in, or not: names, invitations, devices that are not there, pages that are not secure."""

import time

from browser_lab import BLUE, FAKE_DEVICES, RED, ROOM, lab, needs_chromium
from peers import scenario

from ipconf.bridge.settings import RoomSettings
from ipconf.hub.people import Role

pytestmark = needs_chromium

ANN_HZ, BOB_HZ = 440.0, 700.0
NO_DEVICES = ("--use-fake-ui-for-media-stream",)  # and the machine has none of its own
DENIED = ("--use-fake-device-for-media-stream", "--deny-permission-prompts")


@scenario(120)
async def test_the_front_door_asks_for_a_room() -> None:
    async with lab() as place:
        ann = await place.visitor(ANN_HZ, RED)
        await ann.page.goto(place.link(""))
        await ann.page.keyboard.type("No room!")
        await ann.page.keyboard.press("Enter")
        assert await ann.page.locator("#ask-room:invalid").count() == 1
        await ann.page.fill("#ask-room", "Lab")
        await ann.page.keyboard.press("Enter")
        await ann.sees("#join-room", "lab")
        await ann.sees("#preview[data-picture=on]")
        moving = "() => document.getElementById('join-level').value > 0.3"
        await ann.page.wait_for_function(moving)
        await ann.page.click("#join-camera")
        await ann.sees("#preview[data-picture=off]")


@scenario(120)
async def test_a_token_lets_in_and_is_not_in_the_address_any_more() -> None:
    rooms = {ROOM: RoomSettings(subject="The laboratory")}
    async with lab(open_rooms=False, rooms=rooms) as place:
        ann = await place.visitor(ANN_HZ, RED)
        asked = []
        ann.page.on("request", lambda request: asked.append(request.url))
        token = place.bridge.invitations.invite(ROOM, Role.MODERATOR)
        await ann.page.goto(place.link())
        await ann.sees("#join-room", ROOM)
        await ann.page.goto(place.link(token=token))
        await ann.sees("#join-room", "The laboratory")
        await ann.page.click("#join-button")
        await ann.connected()
        assert ann.page.url == place.link()
        assert token not in "".join(asked)
        await ann.page.click("#more")
        await ann.sees("#moderation")
        await ann.page.reload()
        await ann.page.click("#join-button")
        await ann.connected()
        await ann.page.click("#invite-button")
        link, _, made = (await ann.page.input_value("#invite-link")).partition("#")
        assert link == place.link() and made != token
        assert place.bridge.invitations.read(made, ROOM, time.time()) is Role.SPEAKER


@scenario(120)
async def test_wrong_and_missing_and_old_tokens_are_refused_in_words() -> None:
    async with lab(open_rooms=False) as place:
        ann = await place.visitor(ANN_HZ, RED)
        old = place.bridge.invitations.invite(ROOM, Role.SPEAKER, time.time() - 10)
        other = place.bridge.invitations.invite("elsewhere", Role.SPEAKER)
        for token, text in (
            ("", "needs an invitation"),
            ("nonsense", "not valid"),
            (other, "not valid"),
            (old, "has expired"),
        ):
            window = await place.window(ann.page.context.browser)
            await window.join(place.link(token=token), "Ann")
            await window.sees("#ended-text", text)
            await window.page.close()


@scenario(120)
async def test_who_finds_the_room_full_is_told_and_may_try_again() -> None:
    async with lab(max_guests_per_room=1) as place:
        ann, bob = await place.visitor(ANN_HZ, RED), await place.visitor(BOB_HZ, BLUE)
        await ann.join(place.link(), "Ann")
        await ann.connected()
        await bob.join(place.link(), "Bob")
        await bob.sees("#ended-title", "You cannot be in the room")
        await bob.sees("#ended-text", "The room is full.")
        await ann.page.click("#leave")
        await bob.sees("#again", "Try again")
        await bob.page.click("#again")
        await bob.page.click("#join-button")
        await bob.connected()


@scenario(120)
async def test_a_viewer_sees_and_hears_without_being_seen_or_heard() -> None:
    async with lab() as place:
        ann, bob = await place.visitor(ANN_HZ, RED), await place.visitor(BOB_HZ, BLUE)
        await bob.join(place.link(), "Bob")
        await bob.connected()
        await ann.join(
            place.link(token=place.bridge.invitations.invite(ROOM, Role.LISTENER)), "Ann"
        )
        await ann.connected()
        await ann.hears([BOB_HZ], [ANN_HZ])
        await ann.sees_moving("Bob", BLUE)
        await ann.misses("#microphone")
        await bob.hears([], [ANN_HZ])
        await bob.sees(".tile[data-name=Ann][data-picture=off]")


@scenario(120)
async def test_without_devices_one_joins_sees_hears_and_writes() -> None:
    async with lab() as place:
        bob = await place.visitor(BOB_HZ, BLUE)
        await bob.join(place.link(), "Bob")
        for devices, why in ((NO_DEVICES, "was found"), (DENIED, "does not allow this page")):
            ann = await place.visitor(ANN_HZ, RED, devices=devices)
            await ann.page.goto(place.link())
            await ann.sees("#join-problem", why)
            await ann.sees("#join-problem", "You can join all the same")
            await ann.join(place.link(), "Ann")
            await ann.connected()
            await ann.hears([BOB_HZ], [ANN_HZ])
            await ann.sees_moving("Bob", BLUE)
            await bob.sees(".tile[data-name=Ann][data-muted=true][data-picture=off]")
            await ann.page.click("#microphone")
            await ann.is_told(why)
            await ann.page.click("#chat")
            await ann.page.fill("#chat-text", why)
            await ann.page.keyboard.press("Enter")
            await bob.is_told(f"Ann: {why}")
            await ann.page.click("#leave")
            await bob.misses(".tile[data-name=Ann]")


@scenario(120)
async def test_a_page_that_is_not_secure_says_how_to_get_a_secure_one() -> None:
    async with lab() as place:
        port = place.bridge.port
        await place.stop()
        await place.start(port=port, origins=(f"http://lan.test:{port}",))
        browser = await place.browser(*FAKE_DEVICES, "--host-resolver-rules=MAP lan.test 127.0.0.1")
        ann = await place.window(browser)
        link = place.link().replace("127.0.0.1", "lan.test")
        await ann.page.goto(link)
        await ann.sees("#join-problem", "--tls-self-signed")
        await ann.join(link, "Ann")
        await ann.connected()


@scenario(120)
async def test_two_of_one_name_are_told_apart() -> None:
    async with lab() as place:
        ann = await place.visitor(ANN_HZ, RED)
        other = await place.window(ann.page.context.browser)
        await ann.join(place.link(), "Ann")
        await other.join(place.link(), "Ann")
        await ann.sees(".tile .name", "Ann (2)")
        await other.sees(".tile .name", "Ann (2) (you)")
