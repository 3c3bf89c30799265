"""A person at the form: fills it in, reads the answer in words, says whether it was right, and is told what to mend."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from canario.feedback.store import FeedbackStore
from tests.serving.server_processes import Server, running
from tests.serving.small_versions import make_rent
from tests.web.hostile_version import HOSTILE, IMAGE, SCRIPT

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("chromium")]

FRAUD_ROW = {
    "amount": 24.9,
    "hour": 14,
    "country": "PT",
    "merchant": "groceries",
    "channel": "contactless",
    "description": "supermarket weekly shop",
    "card_age_days": 640,
    "payments_24h": 2,
    "amount_to_usual": 0.9,
    "distance_km": 3.5,
    "new_device": False,
}
"""The examples of the card, which the form shows first."""


def answer_of(server: Server, row: dict[str, Any]) -> dict[str, Any]:
    """What the server says to a program."""
    with server.client() as client:
        reply = client.post("/predict", json={"rows": [row]})
    answer: dict[str, Any] = reply.raise_for_status().json()["predictions"][0]
    return answer


def truth_of(server: Server, model: str, prediction: str) -> str | float | None:
    """What the server's store holds about a prediction."""
    store = FeedbackStore(server.home / "feedback" / f"{model}.sqlite")
    truth = store.truth_of(prediction)
    store.close()
    return truth


def ask(page: Page) -> str:
    """Send the form, wait for the answer; gives the prediction's id."""
    before = page.locator("#prediction").inner_text() if page.locator("#prediction").is_visible() else ""
    page.get_by_role("button", name=re.compile("Get an answer|Ver a resposta")).click()
    expect(page.locator("#prediction")).not_to_have_text(before)
    return page.locator("#prediction").inner_text()


def percent(share: float) -> str:
    """A share as the form writes it."""
    return f"{100 * share:.1f}".removesuffix(".0") + "%" if 0.001 <= share <= 0.999 else "0.1%"


def test_the_answer_is_in_words(page: Page, fraud: Server) -> None:
    """The examples are filled in already; one click gives the same answer as a program gets, in words."""
    page.goto(fraud.url)
    expect(page).to_have_title("Is this payment a fraud?")
    prediction = ask(page)
    answer = answer_of(fraud, FRAUD_ROW)
    assert answer["score"] < 0.3
    expect(page.locator("#headline")).to_have_text("Probably clean")
    expect(page.locator("#detail")).to_contain_text("chance of fraud")
    expect(page.locator("#detail")).to_contain_text(percent(answer["score"]))
    expect(page.locator("#remark")).to_have_text("From a chance of 30% on, the answer is fraud.")
    expect(page.locator("#version")).to_have_text("v1")
    assert prediction.startswith("v1.")


def test_an_answer_below_a_half_is_not_called_probable(page: Page, fraud: Server) -> None:
    """With a threshold of 30 %, a chance of 40 % is treated as fraud, and nobody is told that it is probably one."""
    page.goto(fraud.url)
    page.route("**/predict", lambda route: _answer_with_score(route, 0.41))
    ask(page)
    expect(page.locator("#headline")).to_have_text("Treated as fraud")
    expect(page.locator("#detail")).to_have_text("41% chance of fraud")


def _answer_with_score(route: Any, score: float) -> None:
    reply = route.fetch()
    content = reply.json()
    content["predictions"][0] |= {"score": score, "label": "fraud"}
    route.fulfill(response=reply, json=content)


@pytest.mark.parametrize(("button", "truth"), [("Yes", "clean"), ("No, it was fraud", "fraud")])
def test_feedback_is_stored(page: Page, fraud: Server, button: str, truth: str) -> None:
    """One click says whether the answer was right; it is kept for this very prediction, and the person is thanked."""
    page.goto(fraud.url)
    prediction = ask(page)
    page.get_by_role("button", name=button).click()
    expect(page.locator("#thanks")).to_have_text("Thank you! That is kept, and version v1 is judged by it.")
    expect(page.locator("#thanks")).to_be_focused()
    expect(page.get_by_text("Was this right?")).to_be_hidden()
    assert truth_of(fraud, "fraud", prediction) == truth


def test_each_answer_is_asked_about_anew(page: Page, fraud: Server) -> None:
    """After thanks for one answer, the next one can be judged as well."""
    page.goto(fraud.url)
    ask(page)
    page.get_by_role("button", name="Yes").click()
    expect(page.locator("#thanks")).not_to_be_empty()
    second = ask(page)
    expect(page.locator("#thanks")).to_be_empty()
    page.get_by_role("button", name="Yes").click()
    expect(page.locator("#thanks")).not_to_be_empty()
    assert truth_of(fraud, "fraud", second) == "clean"


def test_an_amount_is_rounded_and_can_be_corrected(page: Page, loan: Server) -> None:
    """A regression answers about how much, and exactly; who knows better says the true amount."""
    page.goto(loan.url)
    prediction = ask(page)
    expect(page.locator("#headline")).to_have_text(re.compile(r"^About [1-9]\d?,\d00\sEUR$"))
    expect(page.locator("#detail")).to_have_text(re.compile(r"^Exactly [\d,]+(\.\d+)?\sEUR$"))
    page.get_by_role("button", name="No").click()
    expect(page.get_by_label("What was it really?")).to_be_focused()
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#truth-error")).to_have_text("Please fill this in.")
    page.get_by_label("What was it really?").fill("15500.5")
    page.keyboard.press("Enter")
    expect(page.locator("#thanks")).not_to_be_empty()
    assert truth_of(loan, "loan", prediction) == 15500.5


def test_one_of_several_classes_can_be_named(page: Page, iris: Server) -> None:
    """With more than two classes, the true one is chosen among the others."""
    page.goto(iris.url)
    page.get_by_label("Length").fill("6.5")
    page.get_by_label("Width").fill("1")
    prediction = ask(page)
    expect(page.locator("#headline")).to_have_text("Probably virginica")
    page.get_by_role("button", name="No").click()
    truth = page.get_by_label("What was it really?")
    expect(truth.locator("option")).to_have_text(["setosa", "versicolor"])
    truth.select_option("versicolor")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#thanks")).not_to_be_empty()
    assert truth_of(iris, "iris", prediction) == "versicolor"


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("Amount", "30000", "This must be 20,000 or less."),
        ("Amount", "0", "This must be 0.01 or more."),
        ("Amount", "", "Please fill this in."),
        ("Hour of the day", "9.5", "Please write a whole number."),
    ],
)
def test_a_bad_value_is_told_beside_its_field(page: Page, fraud: Server, field: str, typed: str, said: str) -> None:
    """The person learns at once what to mend, at the place where it is mended; nothing is sent until then."""
    page.goto(fraud.url)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    box = page.get_by_label(field, exact=True)
    box.fill(typed)
    page.get_by_role("button", name="Get an answer").click()
    expect(box).to_be_focused()
    expect(box).to_have_attribute("aria-invalid", "true")
    expect(box).to_have_accessible_description(re.compile(re.escape(said)))
    assert sent == []
    box.fill("5")
    expect(page.get_by_text(said)).to_have_count(0)
    ask(page)


def test_what_the_server_refuses_is_told_beside_its_field(page: Page, fraud: Server) -> None:
    """The server has the last word, and its words stand beside the field that they are about."""
    page.goto(fraud.url)
    box = page.get_by_label("Amount", exact=True)
    box.evaluate("box => box.removeAttribute('max')")
    box.fill("30000")
    page.get_by_role("button", name="Get an answer").click()
    expect(box).to_be_focused()
    expect(page.locator("#column-0-error")).to_have_text(
        "Amount is 30000, which is not allowed: a number from 0.01 to 20000 EUR"
    )
    expect(page.locator("#problem")).to_be_hidden()


def test_an_optional_value_may_be_left_out(page: Page, fraud: Server) -> None:
    """What is not known stays empty and is sent as unknown."""
    page.goto(fraud.url)
    page.get_by_label("Distance from home").fill("")
    with page.expect_request("**/predict") as asked:
        ask(page)
    assert asked.value.post_data_json == {"rows": [FRAUD_ROW | {"distance_km": None}]}


def test_starting_again_brings_the_examples_back(page: Page, fraud: Server) -> None:
    """One click undoes everything: values, problems and the answer."""
    page.goto(fraud.url)
    ask(page)
    page.get_by_label("Amount", exact=True).fill("-1")
    page.get_by_role("button", name="Get an answer").click()
    page.get_by_role("button", name="Start again").click()
    expect(page.get_by_label("Amount", exact=True)).to_have_value("24.9")
    expect(page.locator("[aria-invalid]")).to_have_count(0)
    expect(page.get_by_text("the answer appears here")).to_be_visible()
    expect(page.get_by_text("Was this right?")).to_be_hidden()


def test_a_model_that_fails_is_no_riddle(page: Page, moody: Server) -> None:
    """An error inside the server is told as one, with what to do; the entries stay."""
    page.goto(moody.url)
    page.get_by_label("Seconds").fill("0")
    page.get_by_label("Mood").select_option("broken")
    page.get_by_role("button", name="Get an answer").click()
    expect(page.get_by_role("alert").first).to_have_text(
        re.compile(r"Something went wrong on the server \(error 500\)")
    )
    expect(page.get_by_label("Mood")).to_have_value("broken")
    page.get_by_label("Mood").select_option("fine")
    ask(page)
    expect(page.locator("#problem")).to_be_hidden()


def test_a_busy_server_asks_for_patience(page: Page, fraud: Server) -> None:
    """503 says that it will pass, and the same button tries again."""
    page.goto(fraud.url)
    page.route("**/predict", lambda route: route.fulfill(status=503, json={"error": "draining", "at": "", "hint": ""}))
    page.get_by_role("button", name="Get an answer").click()
    expect(page.locator("#problem")).to_have_text(re.compile("try again in a few seconds"))
    page.unroute("**/predict")
    ask(page)
    expect(page.locator("#problem")).to_be_hidden()


def test_a_server_that_is_gone_keeps_the_entries(page: Page, tmp_path: Path) -> None:
    """Without a server the person learns that it can't be reached, and loses nothing that was written."""
    with running(make_rent(tmp_path / "store"), tmp_path / "home") as server:
        page.goto(server.url)
        page.get_by_label("Area").fill("80")
        page.get_by_label("Rooms").fill("3")
        page.get_by_label("Lift").select_option("true")
        ask(page)
    page.get_by_role("button", name="Yes").click()
    expect(page.locator("#feedback-problem")).to_have_text(re.compile("cannot be reached"))
    page.get_by_role("button", name="Get an answer").click()
    expect(page.locator("#problem")).to_have_text(re.compile("cannot be reached"))
    expect(page.get_by_label("Area")).to_have_value("80")


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
