"""A person at the form: fills it in, reads the answer in words, says whether it was right, and is told what to mend."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.serving.server_processes import Server, running
from tests.serving.small_versions import make_rent
from tests.web.visits import FRAUD_ROW, answer_of, ask, percent, truth_of

pytestmark = pytest.mark.real


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
    expect(truth.locator("option")).to_have_text(["Choose…", "setosa", "versicolor"])
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#truth-error")).to_have_text("Please fill this in.")
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
