"""The page as text: the same words in every language, nothing from elsewhere, a policy that fits it."""

from __future__ import annotations

import base64
import hashlib
import re
import string

import pytest

from canario.model.card import Card, Column, ColumnKind, Label, Task
from canario.web.form import form_page
from canario.web.words import BRAZILIAN, ENGLISH, FORM_WORDS, choose_language

SHOP = Card(
    name="shop",
    title="Will this customer come back?",
    columns=(
        Column(name="total_spent", kind=ColumnKind.NUMBER, unit="EUR", minimum=0.5, maximum=20000, example=12.25),
        Column(name="visits", kind=ColumnKind.INTEGER, minimum=0.5, nullable=True),
        Column(name="member", kind=ColumnKind.BOOLEAN),
        Column(name="country", kind=ColumnKind.CATEGORY, categories=("PT", "BR")),
        Column(name="note", kind=ColumnKind.TEXT, longest_characters=20),
    ),
    label=Label(name="comes_back", task=Task.CLASSIFICATION, classes=("no", "yes")),
)


def placeholders(text: str) -> set[str | None]:
    """The names in braces."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_language_has_the_same_words() -> None:
    """No reader meets an empty place: each word exists in each language, with the same gaps to fill."""
    english = FORM_WORDS[ENGLISH]
    for words in FORM_WORDS.values():
        assert words.keys() == english.keys()
        for name, text in words.items():
            assert text
            assert placeholders(text) == placeholders(english[name])


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [
        ("", "", ENGLISH),
        ("pt-BR", "en", BRAZILIAN),
        ("pt", "", BRAZILIAN),
        ("en", "pt-BR", ENGLISH),
        ("xx", "pt-PT,pt;q=0.9,en;q=0.8", BRAZILIAN),
        ("", "de;q=0.9, en;q=0.3, pt;q=0.5", BRAZILIAN),
        ("", "de, en;q=0.9, pt;q=0", ENGLISH),
        ("", "*", ENGLISH),
        ("", ";;q=,pt;q=x,,", ENGLISH),
        ("<script>", "\x00", ENGLISH),
    ],
)
def test_the_reader_chooses_the_language(asked: str, accepted: str, language: str) -> None:
    """What the link says comes first, then what the browser prefers, then English; nonsense harms nobody."""
    assert choose_language(asked, accepted) == language


@pytest.mark.parametrize("language", FORM_WORDS)
def test_the_policy_allows_the_page_and_nothing_else(language: str) -> None:
    """The header names the page's own style and script by hash, and no other place to load from."""
    page = form_page(SHOP, "v1", language)
    for kind in ("style", "script"):
        (content,) = re.findall(rf"<{kind}>(.*?)</{kind}>", page.html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in page.content_security_policy
    assert "default-src 'none'" in page.content_security_policy
    assert "unsafe" not in page.content_security_policy
    assert not re.search(r"(src|href|action)=[\"'](https?:)?//", page.html)


def test_a_field_tells_its_range_unit_and_need() -> None:
    """People see what is allowed before they are told that it was wrong, in their own way of writing numbers."""
    english, brazilian = (
        form_page(SHOP, "v1", language).html.replace("\xa0", " ") for language in (ENGLISH, BRAZILIAN)
    )
    assert "Total spent" in english
    assert "0.5 to 20,000." in english
    assert "De 0,5 a 20.000." in brazilian
    assert ">EUR<" in english
    assert 'value="12.25"' in english
    assert 'maxlength="20"' in english


def test_whole_numbers_have_whole_bounds() -> None:
    """A bound that lies between two whole numbers is shown as the next one inside."""
    assert re.search(r'step="1" min="1"', form_page(SHOP, "v1", ENGLISH).html)


def test_the_page_names_its_version() -> None:
    """A person can tell which version served the form."""
    assert "Version 20260101-abc" in form_page(SHOP, "20260101-abc", ENGLISH).html
