"""The page for everybody: by keyboard alone, read out, small, dark; and what axe-core finds."""

from typing import Any

import pytest
from browser_lab import BLUE, RED, ROOM, Visitor, lab, needs_chromium
from peers import scenario

from ipconf.hub.people import Role

axe = pytest.importorskip("axe_playwright_python.async_playwright")
pytestmark = needs_chromium

ANN_HZ, BOB_HZ = 440.0, 700.0
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}}


async def _check(visitor: Visitor, where: str) -> None:
    """axe-core may find nothing serious."""
    found = await axe.Axe().run(visitor.page)
    serious = [
        f"{each['id']}: {node['html'][:120]} {node['failureSummary']}"
        for each in found.response["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
    assert not serious, (where, serious)


async def _nothing_is_wider(visitor: Visitor, where: str) -> None:
    """Nothing needs scrolling to the side, and no button is cut off."""
    wide = """() => [...document.querySelectorAll('body *')].filter((each) => {
      const box = each.getBoundingClientRect();
      return box.width && each.checkVisibility()
        && !each.closest('#grid, .hidden, svg, video, table')
        && (box.right > innerWidth + 1 || box.left < -1);
    }).map((each) => each.outerHTML.slice(0, 90))"""
    assert await visitor.page.evaluate(wide) == [], where


@pytest.mark.parametrize("scheme", ["light", "dark"])
@scenario(180)
async def test_axe_core_finds_nothing_serious(scheme: str) -> None:
    async with lab(recordings_dir="/tmp") as place:
        bob = await place.visitor(BOB_HZ, BLUE)
        await bob.join(place.link(), "Bob")
        ann = await place.window(bob.page.context.browser, color_scheme=scheme)
        await ann.page.goto(place.link(""))
        await ann.sees("#ask")
        await _check(ann, "front door")
        await ann.page.goto(place.link(token=place.bridge.invitations.invite(ROOM, Role.MODERATOR)))
        await ann.sees("#preview[data-picture=on]")
        await _check(ann, "join")
        await ann.page.fill("#join-name", "Ann")
        await ann.page.click("#join-button")
        await ann.connected()
        await ann.sees(".tile[data-name=Bob] .bars")
        await _check(ann, "meeting")
        for panel in ("#people-button", "#chat", "#plots-button"):
            await ann.page.click(panel)
            if panel == "#people-button":
                await ann.page.click(".person:has-text('Bob') .more")
            if panel == "#chat":
                await ann.page.fill("#chat-text", "Hello https://example.org/")
                await ann.page.keyboard.press("Enter")
                await ann.sees(".message")
            if panel == "#plots-button":
                await ann.sees("#quality tbody td")
            await _check(ann, panel)
        await ann.page.click("#more")
        await _check(ann, "menu")
        await ann.page.keyboard.press("Escape")
        for does in ("settings", "help", "end"):
            await ann.more(does)
            await _check(ann, does)
            await ann.page.keyboard.press("Escape")
        await ann.page.click("#invite-button")
        await _check(ann, "invite")
        await ann.page.keyboard.press("Escape")
        await ann.page.click("#leave")
        await ann.sees("#ended")
        await _check(ann, "ended")


@scenario(120)
async def test_the_keyboard_alone_is_enough() -> None:
    async with lab() as place:
        ann = await place.visitor(ANN_HZ, RED)
        keyboard = ann.page.keyboard
        await ann.page.goto(place.link())
        await ann.sees("#preview[data-picture=on]")
        await keyboard.type("Ann")
        await keyboard.press("Enter")
        await ann.connected()
        bob = await place.window(ann.page.context.browser)
        await bob.join(place.link(), "Bob")
        await ann.sees(".tile[data-name=Bob]")
        await keyboard.press("?")
        await ann.sees("#help[open]")
        await keyboard.press("Escape")
        await ann.misses("#help[open]")
        await keyboard.press("c")
        await keyboard.type("mvh")  # is text here, and no shortcut
        await keyboard.press("Enter")
        await ann.sees(".message", "mvh")
        await ann.sees("#microphone[aria-pressed=true]")
        await keyboard.press("Escape")
        await ann.misses("#panel")
        order = await _tab_order(ann)
        wanted = ["invite-button", "microphone", "camera", "screen", "hand", "chat", "leave"]
        assert [each for each in order if each in wanted] == wanted, order
        await ann.page.focus("#more")
        await keyboard.press("Enter")
        await ann.sees("#more-menu")
        await keyboard.press("Tab")
        await keyboard.press("Tab")
        await keyboard.press("Enter")
        await ann.sees("#settings[open]")
        await ann.page.uncheck("#set-shortcuts")
        await keyboard.press("Escape")
        await keyboard.press("m")
        await ann.sees("#microphone[aria-pressed=true]")
        assert await ann.page.evaluate("document.activeElement.id") != ""


async def _tab_order(visitor: Visitor) -> list[str]:
    """The ids of what Tab comes to, once around; each must show that it has the focus."""
    await visitor.page.evaluate("document.getElementById('room-title').focus()")
    found: list[str] = []
    look = """() => { const e = document.activeElement, s = getComputedStyle(e);
      const outlined = s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2;
      return [e.id || e.className, outlined]; }"""
    for _ in range(30):
        await visitor.page.keyboard.press("Tab")
        name, visible = await visitor.page.evaluate(look)
        if name in ("", "leave") and found:
            return [*found, name]
        assert visible, name
        found.append(name)
    return found


@scenario(120)
async def test_news_is_read_out_and_everything_has_a_name() -> None:
    async with lab() as place:
        ann = await place.visitor(ANN_HZ, RED)
        await ann.join(place.link(), "Ann")
        await ann.connected()
        bob = await place.window(ann.page.context.browser)
        await bob.join(place.link(), "Bob")
        await ann.is_told("Bob has come in.")
        tile = ann.page.get_by_role("article", name="Bob")
        await tile.wait_for()
        await bob.page.keyboard.press("h")
        await ann.is_told("Bob raises a hand.")
        await ann.page.get_by_role("article", name="Bob, hand raised").wait_for()
        for name in ("Microphone", "Camera", "Screen", "Hand"):
            assert await ann.page.get_by_role("button", name=name, exact=True).count() == 1, name
        await bob.page.click("#leave")
        await ann.is_told("Bob has left.")


@scenario(120)
async def test_a_small_telephone_shows_everything() -> None:
    async with lab() as place:
        ann = await place.visitor(ANN_HZ, RED, **PHONE)
        await ann.page.goto(place.link())
        await ann.sees("#preview[data-picture=on]")
        await _nothing_is_wider(ann, "join")
        await ann.join(
            place.link(), "Ann of the long name that does not fit on any telephone at all"
        )
        await ann.connected()
        await place.bot("Bob", BOB_HZ)
        await ann.sees_moving("Bob", None)
        await _nothing_is_wider(ann, "meeting")
        for does, panel in (("people", "#people-panel"), ("plots", "#plots-panel")):
            await ann.more(does)
            await ann.sees(panel)
            await _nothing_is_wider(ann, does)
            await ann.page.click("#panel-close")
        await ann.page.click("#chat")
        await _nothing_is_wider(ann, "chat")
        await ann.page.click("#panel-close")
        await ann.page.dblclick(".tile[data-name=Bob]")
        await ann.sees("#stage .tile")
        await _nothing_is_wider(ann, "stage")
        await ann.page.click("#more")
        await _nothing_is_wider(ann, "menu")
