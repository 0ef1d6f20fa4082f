"""What else people set in a meeting: full screen, loudspeakers, whom they and all others see."""

from browser_lab import BLUE, FAKE_DEVICES, RED, Visitor, lab, needs_chromium, pair
from peers import scenario

from ipconf.hub.people import Role

pytestmark = needs_chromium

ANN_HZ, BOB_HZ, BOT_HZ, MUSIC_HZ = 440.0, 700.0, 1000.0, 1500.0
MUSIC = f"""data:text/html,<title>Music</title><h1>Music</h1><script>
const audio = new AudioContext();
const tone = new OscillatorNode(audio, {{ frequency: {MUSIC_HZ:g} }});
const gain = new GainNode(audio, {{ gain: 0.25 }});
tone.connect(gain).connect(audio.destination);
tone.start();
</script>"""
"""A page that plays a tone ..."""
SHARES_MUSIC = (FAKE_DEVICES[0], "--auto-select-tab-capture-source-by-title=Music")
"""... and what chooses it where a screen is to be shared; a faked answer would choose otherwise."""


async def _does(visitor: Visitor, name: str, what: str) -> None:
    """Do something about somebody, in the open list of people."""
    row = visitor.page.locator(f".person:has-text('{name}')")
    if await row.locator(".actions").is_hidden():
        await row.locator(".more").click()
    await row.locator(f"[data-does={what}]").click()


async def _is_true(visitor: Visitor, expression: str) -> None:
    await visitor.page.wait_for_function(expression)


@scenario(120)
async def test_moderators_choose_whom_all_see_and_mute_everybody_else() -> None:
    async with lab(video_slots=1) as place:
        ann, bob = await pair(place, Role.MODERATOR)
        await place.bot("Cleo", BOT_HZ)
        await place.bot("Dan", MUSIC_HZ)
        await ann.page.click("#people-button")
        await _does(ann, "Cleo", "spotlight")
        for visitor in (ann, bob):
            await visitor.sees(".tile[data-name=Cleo][data-picture=on]")
            await visitor.sees(".tile[data-name=Dan][data-picture=off]")
        await ann.page.dblclick(".tile[data-name=Dan]")  # one's own choice goes before
        await ann.sees("#stage .tile[data-name=Dan][data-picture=on]")
        await ann.sees(".tile[data-name=Cleo][data-picture=off]")
        await bob.sees(".tile[data-name=Cleo][data-picture=on]")
        await ann.page.click("#stage .pin")
        await ann.sees(".tile[data-name=Cleo][data-picture=on]")
        await _does(ann, "Cleo", "spotlight")
        await _does(ann, "Dan", "spotlight")
        for visitor in (ann, bob):
            await visitor.sees(".tile[data-name=Dan][data-picture=on]")
        await ann.hears([BOB_HZ, BOT_HZ, MUSIC_HZ], [ANN_HZ])
        await ann.more("mute-all")
        await bob.is_told("A moderator has muted you.")
        await ann.hears([], [ANN_HZ, BOB_HZ, BOT_HZ, MUSIC_HZ])
        await bob.hears([ANN_HZ], [BOB_HZ, BOT_HZ, MUSIC_HZ])
        await bob.page.keyboard.press("m")
        await bob.is_told("raise your hand to be let speak")


@scenario(120)
async def test_full_screen_and_another_loudspeaker() -> None:
    async with lab() as place:
        ann = await place.visitor(ANN_HZ, RED)
        await ann.join(place.link(), "Ann")
        await ann.connected()
        await place.bot("Cleo", BOT_HZ, picture=False)
        await ann.page.keyboard.press("f")
        await _is_true(ann, "document.fullscreenElement === document.documentElement")
        await ann.more("full")
        await _is_true(ann, "document.fullscreenElement === null")
        await ann.more("settings")
        await ann.page.select_option("#set-speaker", index=1)
        chosen = await ann.page.input_value("#set-speaker")
        assert chosen
        await _is_true(ann, f"document.getElementById('sound').sinkId === '{chosen}'")
        await ann.page.keyboard.press("Escape")
        await ann.hears([BOT_HZ], [ANN_HZ])
        await ann.more("full")
        await _is_true(ann, "document.fullscreenElement === document.documentElement")
        await ann.page.click("#leave")
        await _is_true(ann, "document.fullscreenElement === null")
        await ann.join(place.link(), "Ann")
        await ann.connected()
        await _is_true(ann, f"document.getElementById('sound').sinkId === '{chosen}'")


@scenario(120)
async def test_the_sound_of_a_shared_tab_is_heard() -> None:
    async with lab() as place:
        ann = await place.visitor(ANN_HZ, RED)
        bob = await place.visitor(
            BOB_HZ, BLUE, devices=SHARES_MUSIC, permissions=["camera", "microphone"]
        )
        await ann.join(place.link(), "Ann")
        await bob.join(place.link(), "Bob")
        await ann.hears([BOB_HZ], [ANN_HZ])
        music = await bob.context.new_page()
        await music.goto(MUSIC)
        await bob.page.bring_to_front()
        await bob.page.keyboard.press("s")
        await ann.sees("#stage .tile[data-content=slides][data-picture=on]")
        await ann.hears([BOB_HZ, MUSIC_HZ], [ANN_HZ])
        await bob.page.keyboard.press("s")
        await ann.misses("#stage .tile")
        await ann.hears([BOB_HZ], [ANN_HZ, MUSIC_HZ])
