"""A meeting in real browsers: who is heard and seen, and all that people do in it."""

from browser_lab import BLUE, GREEN, RED, ROOM, lab, needs_chromium, pair
from peers import eventually, scenario

from ipconf.hub.people import Role

pytestmark = needs_chromium

ANN_HZ, BOB_HZ, BOT_HZ = 440.0, 700.0, 1000.0
HOSTILE = "<img src=x onerror=alert(1)>&amp;"
RIGHT_TO_LEFT = "\u202ekcirt"


@scenario(120)
async def test_everybody_hears_and_sees_all_the_others() -> None:
    async with lab() as place:
        ann, bob = await pair(place)
        await place.bot("Cleo", BOT_HZ)
        await ann.hears([BOB_HZ, BOT_HZ], [ANN_HZ])
        await bob.hears([ANN_HZ, BOT_HZ], [BOB_HZ])
        await ann.sees_moving("Bob", BLUE)
        await bob.sees_moving("Ann", RED)
        await ann.sees_moving("Cleo", None)
        assert await ann.names() == {"Ann (you)", "Bob", "Cleo"}
        assert await bob.names() == {"Ann", "Bob (you)", "Cleo"}
        await ann.sees(".tile[data-name=Bob][data-talking=true]")
        await ann.sees(".tile[data-name=Bob] .bars[data-score]")
        await ann.is_told("Cleo has come in.")


@scenario(120)
async def test_a_muted_microphone_is_not_heard_and_is_marked() -> None:
    async with lab() as place:
        ann, bob = await pair(place)
        await ann.hears([BOB_HZ], [ANN_HZ])
        await bob.page.keyboard.press("m")
        await ann.sees(".tile[data-name=Bob][data-muted=true] .muted-mark")
        await bob.sees("#microphone[aria-pressed=false]")
        await ann.hears([], [BOB_HZ])
        await bob.page.click("#microphone")
        await ann.hears([BOB_HZ], [ANN_HZ])
        await ann.sees(".tile[data-name=Bob][data-muted=false]")


@scenario(120)
async def test_a_camera_that_is_off_shows_initials_until_it_is_on_again() -> None:
    async with lab() as place:
        ann, bob = await pair(place)
        await ann.sees_moving("Bob", BLUE)
        await bob.page.keyboard.press("v")
        await ann.sees(".tile[data-name=Bob][data-picture=off] .avatar", "B")
        await bob.sees(".tile[data-own=true][data-picture=off]")
        lit = "() => document.querySelector('[data-own=true] video').srcObject !== null"
        assert not await bob.page.evaluate(lit)
        await bob.page.keyboard.press("v")
        await ann.sees_moving("Bob", BLUE)


@scenario(120)
async def test_hands_and_words_go_to_all_others() -> None:
    async with lab() as place:
        ann, bob = await pair(place)
        await bob.page.keyboard.press("h")
        await ann.sees(".tile[data-name=Bob] .hand")
        await bob.sees("#hand[aria-pressed=true]")
        await bob.page.keyboard.press("h")
        await ann.misses(".tile[data-name=Bob] .hand")
        await bob.page.keyboard.press("c")
        await bob.page.keyboard.type("Look at https://example.org/a?b=c.")
        await bob.page.keyboard.press("Enter")
        await ann.is_told("Bob: Look at https://example.org/a?b=c.")
        await ann.sees("#unread", "1")
        await ann.page.click("#chat")
        await ann.sees(".message .text", "Look at https://example.org/a?b=c.")
        assert await ann.page.get_attribute(".message a", "href") == "https://example.org/a?b=c"
        await ann.misses("#unread")
        await ann.page.select_option("#chat-to", label="Bob")
        await ann.page.fill("#chat-text", "Only you")
        await ann.page.click("#chat-form button")
        await bob.sees(".message.private .text", "Only you")


@scenario(120)
async def test_what_people_write_is_never_more_than_text() -> None:
    async with lab() as place:
        ann, eve = await place.visitor(ANN_HZ), await place.visitor(BOB_HZ, GREEN)
        await ann.join(place.link(), "Ann")
        await ann.connected()
        await ann.page.click("#people-button")
        await eve.join(place.link(), RIGHT_TO_LEFT + HOSTILE)
        await eve.connected()
        await eve.page.click("#chat")
        await eve.page.fill("#chat-text", f"{HOSTILE} javascript:alert(1) https://x.test/'\"><b>")
        await eve.page.keyboard.press("Enter")
        await ann.sees(".person .name", "kcirt" + HOSTILE)
        await ann.sees(".tile .name", "kcirt" + HOSTILE)
        await ann.is_told(HOSTILE)
        await ann.page.click("#chat")
        await ann.sees(".message .text", HOSTILE)
        tags = """[...document.querySelectorAll('#meeting *, #live *')]
          .filter((each) => each.matches('img, b:not(.badge), script')).length"""
        assert await ann.page.evaluate(tags) == 0
        links = "[...document.querySelectorAll('.message a')].map(a => a.href)"
        assert await ann.page.evaluate(links) == ["https://x.test/"]
        assert "\u202e" not in await ann.page.inner_text("body")


@scenario(120)
async def test_a_moderator_mutes_lowers_locks_removes_and_ends() -> None:
    async with lab() as place:
        ann, bob = await pair(place, Role.MODERATOR)
        await ann.page.click("#people-button")
        bobs = ".person:has-text('Bob')"
        await ann.page.click(f"{bobs} .more")
        await bob.page.keyboard.press("h")
        await ann.page.click(f"{bobs} [data-does=lower]")
        await bob.sees("#hand[aria-pressed=false]")
        await ann.page.click(f"{bobs} [data-does=mute]")
        await bob.is_told("A moderator has muted you.")
        await ann.hears([], [BOB_HZ])
        await bob.page.keyboard.press("m")
        await bob.is_told("raise your hand")
        await ann.page.click(f"{bobs} [data-does=mute]")
        await ann.hears([BOB_HZ], [ANN_HZ])
        await ann.more("lock")
        await bob.sees("#locked")
        late = await place.window(bob.page.context.browser)
        await late.join(place.link(), "Late")
        await late.sees("#ended", "locked")
        assert await bob.page.locator("#moderation").is_hidden()
        await ann.page.click(f"{bobs} [data-does=remove]")
        await ann.page.click("#confirm-yes")
        await bob.sees("#ended-title", "You were removed")
        await ann.is_told("Bob has left.")
        await ann.more("lock")
        await bob.page.click("#again")
        await bob.page.click("#join-button")
        await bob.connected()
        await ann.more("end")
        await ann.page.click("#confirm-yes")
        await bob.sees("#ended-title", "The meeting has ended")


@scenario(120)
async def test_a_shared_screen_is_large_and_its_end_is_seen() -> None:
    async with lab() as place:
        ann, bob = await pair(place)
        await bob.page.keyboard.press("s")
        await ann.sees("#stage .tile[data-content=slides] .name", "Bob: screen")
        await ann.sees("#stage .tile[data-content=slides][data-picture=on]")
        await ann.sees_moving("Bob", BLUE)
        await ann.is_told("Bob shares a screen.")
        await bob.page.click("#screen")
        await ann.misses("#stage .tile")


@scenario(120)
async def test_who_is_pinned_is_large_and_volumes_are_ones_own() -> None:
    async with lab() as place:
        ann, bob = await pair(place)
        await ann.sees_moving("Bob", BLUE)
        await ann.page.dblclick("#grid .tile[data-name=Bob]")
        await ann.sees("#stage .tile[data-name=Bob]")
        await ann.sees_moving("Bob", BLUE)
        await ann.page.click("#stage .pin")
        await ann.sees("#grid .tile[data-name=Bob]")
        await place.bot("Cleo", BOT_HZ, picture=False)
        await ann.page.click("#people-button")
        await ann.page.click(".person:has-text('Bob') .more")
        await ann.page.fill(".person:has-text('Bob') input[type=range]", "0")
        await ann.hears([BOT_HZ], [BOB_HZ])
        await bob.hears([ANN_HZ, BOT_HZ], [BOB_HZ])


@scenario(120)
async def test_recording_is_shown_to_all(tmp_path: object) -> None:
    async with lab(recordings_dir=tmp_path) as place:
        ann, bob = await pair(place, Role.MODERATOR)
        await ann.more("record")
        await bob.sees("#recording", "Recording")
        await bob.is_told("This meeting is being recorded.")
        await ann.more("record")
        await bob.misses("#recording")
        await bob.is_told("The recording has ended.")


@scenario(120)
async def test_the_panel_of_connections_has_numbers_of_everybody() -> None:
    async with lab() as place:
        ann, _ = await pair(place)
        await ann.page.click("#plots-button")
        await ann.sees("#quality tbody th", "Bob")
        await ann.sees("#plot-rate h3 span", "kbit/s")
        drawn = """() => { const { width, height } = document.querySelector('#plot-rate canvas');
          const pen = document.querySelector('#plot-rate canvas').getContext('2d');
          const { buffer } = pen.getImageData(0, 0, width, height).data;
          return new Set(new Uint32Array(buffer)).size; }"""
        assert await ann.page.evaluate(drawn) > 3


@scenario(120)
async def test_who_closes_the_window_is_gone_at_once() -> None:
    async with lab() as place:
        ann, bob = await pair(place)
        await bob.page.close(run_before_unload=True)
        await ann.is_told("Bob has left.")
        await ann.page.click("#leave")
        await ann.sees("#ended-title", "You have left")
        await eventually(lambda: not place.bridge.rooms.rooms[ROOM].guests, "nobody is left")
