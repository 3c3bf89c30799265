"""The form for everybody: in Portuguese, by keyboard, with a screen reader, on a phone, in the dark, and before a hostile card."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.serving.server_processes import Server
from tests.web.hostile_version import HOSTILE, IMAGE, SCRIPT
from tests.web.visits import FRAUD_ROW, ask

pytestmark = pytest.mark.real


def test_brazilians_read_portuguese(browser: Browser, loan: Server) -> None:
    """The browser's language decides: words, numbers and ranges are a Brazilian's own, and a link changes them."""
    context = browser.new_context(locale="pt-BR")
    page = context.new_page()
    page.goto(loan.url)
    assert page.locator("html").get_attribute("lang") == "pt-BR"
    expect(page.get_by_text("De 0 a 50.000.")).to_be_visible()
    page.get_by_label("Savings").fill("-5")
    page.get_by_role("button", name="Ver a resposta").click()
    expect(page.get_by_label("Savings")).to_have_accessible_description(re.compile("O valor deve ser 0 ou mais."))
    page.get_by_label("Savings").fill("8000")
    ask(page)
    expect(page.locator("#headline")).to_have_text(re.compile(r"^Cerca de [1-9]\d?\.\d00\sEUR$"))
    page.get_by_role("button", name="Sim").click()
    expect(page.locator("#thanks")).to_have_text(re.compile("^Obrigado!"))
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("button", name="Get an answer")).to_be_visible()
    page.get_by_role("link", name="Português").click()
    expect(page.get_by_role("button", name="Ver a resposta")).to_be_visible()
    context.close()


def test_the_keyboard_alone_is_enough(page: Page, fraud: Server) -> None:
    """Every control is reached with Tab in the order of the page, is seen to have the focus, and works."""
    page.goto(fraud.url)
    seen: list[str] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.id")
        if focused == "column-0":
            page.keyboard.type("250")
            assert page.locator(".box:has(#column-0)").evaluate("box => getComputedStyle(box).outlineStyle") == "solid"
        if focused:
            seen.append(focused)
        if focused == "ask":
            break
    assert seen == [f"column-{place}" for place in range(len(FRAUD_ROW))] + ["ask"]
    page.keyboard.press("Enter")
    expect(page.locator("#headline")).not_to_be_empty()
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "yes":
            break
    page.keyboard.press("Space")
    expect(page.locator("#thanks")).not_to_be_empty()


def test_a_screen_reader_is_told_everything(page: Page, fraud: Server) -> None:
    """Every control has a name, every hint and unit belongs to its control, and an answer is announced."""
    page.goto(fraud.url)
    for control in page.locator("input, select, button").filter(visible=True).all():
        expect(control).to_have_accessible_name(re.compile(r"\w"))
    expect(page.get_by_label("Amount", exact=True)).to_have_accessible_description(re.compile(r"^EUR The sum"))
    expect(page.locator("#said")).to_have_attribute("aria-live", "polite")
    ask(page)
    expect(page.get_by_role("status").first).to_contain_text("Probably clean")
    assert page.locator("h1").count() == 1
    ids = page.locator("[id]").evaluate_all("all => all.map(one => one.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", ["fraud", "loan", "iris", "hostile"])
def test_a_phone_needs_no_sideways_scrolling(browser: Browser, request: pytest.FixtureRequest, name: str) -> None:
    """At the width of a small phone everything fits, the answer and the correction included; fingers hit the buttons."""
    server: Server = request.getfixturevalue(name)
    context = browser.new_context(locale="pt-BR", viewport={"width": 320, "height": 640}, has_touch=True)
    page = context.new_page()
    page.goto(server.url)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    if name == "iris":
        for label in ("Length", "Width"):
            page.get_by_label(label).fill("2")
    ask(page)
    expect(page.locator("#headline")).to_be_in_viewport()
    page.locator("#no").tap()
    expect(page.locator("#truth, #thanks:not(:empty)").filter(visible=True)).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    for control in page.locator("button, input, select").filter(visible=True).all():
        box = control.bounding_box()
        assert box is not None
        assert box["height"] >= 40
    context.close()


def test_nothing_moves_when_something_appears(page: Page, fraud: Server) -> None:
    """At a desk, neither an answer nor a problem shifts what a person is about to click."""
    page.goto(fraud.url)
    places = (
        "() => [...document.querySelectorAll('.field, #ask')].map(one => one.getBoundingClientRect().top + scrollY)"
    )
    before = page.evaluate(places)
    ask(page)
    assert page.evaluate(places) == before
    page.get_by_label("Hour of the day").fill("99")
    page.get_by_role("button", name="Get an answer").click()
    expect(page.locator("[aria-invalid]")).to_have_count(1)
    assert page.evaluate(places) == before


CONTRAST = """(selectors) => {
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const ground = (one) => {
    for (; one; one = one.parentElement) {
      const color = parse(getComputedStyle(one).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color.slice(0, 3);
    }
    return [255, 255, 255];
  };
  return Object.fromEntries(selectors.map((selector) => {
    const one = document.querySelector(selector);
    const [high, low] = [light(parse(getComputedStyle(one).color).slice(0, 3)), light(ground(one))].sort((a, b) => b - a);
    return [selector, (high + 0.05) / (low + 0.05)];
  }));
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(browser: Browser, fraud: Server, scheme: Any) -> None:
    """Every kind of text has a contrast of at least 4.5 (WCAG 2.2, 1.4.3), in the light and in the dark."""
    context = browser.new_context(locale="en-GB", color_scheme=scheme)
    page = context.new_page()
    page.goto(fraud.url)
    ask(page)
    page.get_by_label("Hour of the day").fill("99")
    page.locator("#ask").click()
    kinds = ["h1", ".opening p", "label", "label small", ".hint", ".error:not(:empty)", ".unit", "#column-0", "#ask"]
    kinds += [
        ".quiet",
        "h2",
        "#headline",
        "#detail",
        "#remark",
        "dt",
        "dd",
        "#yes",
        "footer span",
        "footer a",
        "nav a",
        "nav span",
    ]
    for kind, contrast in page.evaluate(CONTRAST, kinds).items():
        assert contrast >= 4.5, kind
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", ground)[0]) > 128) == (scheme == "light")
    context.close()


def test_a_hostile_card_stays_text(page: Page, hostile: Server) -> None:
    """Whatever a card, a class or an error says is shown as it is written; none of it runs, and the form works."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(hostile.url)
    expect(page).to_have_title(HOSTILE.title)
    expect(page.locator("h1")).to_have_text(HOSTILE.title)
    expect(page.locator("h2")).to_have_text(IMAGE)
    expect(page.locator("#column-0-hint")).to_have_text(f"{HOSTILE.columns[0].description}.")
    expect(page.locator("#column-2 option")).to_have_text([SCRIPT, IMAGE])
    expect(page.locator("#column-3")).to_have_value(str(HOSTILE.columns[3].example))
    ask(page)
    expect(page.locator("#headline")).to_have_text(re.compile("^(Probably|Most likely) "))
    page.get_by_role("button", name="No").click()
    page.locator("#truth").select_option(index=1)
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#thanks")).not_to_be_empty()
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    assert complaints == []


def test_injected_script_does_not_run(page: Page, fraud: Server) -> None:
    """Should markup ever slip through, the policy still forbids to run it or to load anything."""
    page.goto(fraud.url)
    outcome = page.evaluate(
        """() => {
          try { document.body.innerHTML += "<img src=x onerror='window.hacked = 1'>"; } catch { return "refused"; }
          return "written";
        }"""
    )
    assert outcome == "refused"
    reply = page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')")
    assert reply == "refused"


def test_the_page_asks_for_nothing_else(context: BrowserContext, fraud: Server) -> None:
    """One request brings the whole page: no font, script or picture from anywhere."""
    asked: list[str] = []
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(fraud.url, wait_until="networkidle")
    assert [url for url in asked if not url.startswith("data:")] == [f"{fraud.url}/"]


def test_the_form_works_below_a_path(page: Page, fraud: Server) -> None:
    """Behind an ingress that gives the model a path of its own, the form asks beside itself."""
    page.route("**/models/fraud/**", lambda route: route.continue_(url=route.request.url.replace("/models/fraud", "")))
    page.goto(f"{fraud.url}/models/fraud/")
    with page.expect_request("**/models/fraud/predict"):
        ask(page)
    page.get_by_role("link", name="For programs").click()
    expect(page).to_have_url(f"{fraud.url}/models/fraud/docs")
