"""The comments in values.yaml are the one source of schema and table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from canario.errors import UsageError
from helm import documentation
from tests.helm.charts import CHARTS

VALUES = """\
## Size
# How many. More is
# better.
# @schema {minimum: 1}
replicas: 2

# Where to run.
# @schema {$ref: "#/$defs/words"}
nodeSelector: {}

router:
  # Its image.
  image: ""
  # Steps.
  # @schema items: {type: object, properties: {weight: {type: number}}}
  steps: []
"""
DEFINITIONS: dict[str, Any] = {"words": {"type": "object"}, "unused": {"type": "string"}}


def made_schema(text: str = VALUES) -> dict[str, Any]:
    return documentation.schema(documentation.read_values(text), DEFINITIONS, "A chart.")


@pytest.mark.parametrize("chart", documentation.CHARTS)
def test_schema_and_table_are_those_of_the_values(chart: str) -> None:
    """Schema and README never tell of another chart than values.yaml does; `make charts` makes them."""
    definitions = yaml.safe_load((CHARTS / "definitions.yaml").read_text())
    for path, content in documentation.made(CHARTS / chart, definitions).items():
        assert path.read_text() == content, f"{path.name} is stale: make charts"


def test_a_comment_becomes_a_description_with_its_annotation() -> None:
    """What an editor shows at a value is what its author wrote, with type, default and range."""
    assert made_schema()["properties"]["replicas"] == {
        "description": "How many. More is better.",
        "type": "integer",
        "default": 2,
        "minimum": 1,
    }


def test_every_object_is_closed() -> None:
    """A misspelt value is an error at any depth, also in what a list holds."""
    router = made_schema()["properties"]["router"]
    assert router["additionalProperties"] is False
    assert router["properties"]["steps"]["items"]["additionalProperties"] is False


def test_a_parent_chart_may_bring_its_own_words() -> None:
    """The charts can be parts of another, which hands down `global` and switches parts with `enabled`."""
    assert {"global", "enabled"} <= made_schema()["properties"].keys()


def test_only_the_definitions_in_use_are_taken_along() -> None:
    """A schema holds no dead parts."""
    assert made_schema()["$defs"] == {"words": {"type": "object"}}


def test_the_table_names_every_value_once() -> None:
    """A reader finds each value with what it is for and what it is by default, under its heading."""
    rows = documentation.table(documentation.read_values(VALUES))
    assert rows.startswith("### Size")
    assert "| `replicas` | How many. More is better. | `2` |" in rows
    assert rows.count("`router.steps`") == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("replicas: 2\n", "replicas has no comment"),
        ("# Things.\nthings: []\n", "things does not say what it lists"),
        ("# Parts.\nparts: {}\n", "parts does not say what it holds"),
        ("# Nothing.\nnothing: null\n", "nothing has no type"),
        ("# Odd.\n# @schema minimum\nodd: 1\n", "@schema of odd is no mapping"),
        ('# Far.\n# @schema {$ref: "#/$defs/far"}\nfar: {}\n', "there is no definition far"),
        ("- 1\n", "values.yaml holds no values"),
    ],
)
def test_a_value_that_does_not_say_enough_is_refused(text: str, complaint: str) -> None:
    """Nobody can add a value without saying what it is for and what it may be."""
    with pytest.raises(UsageError, match=complaint):
        made_schema(text)


def test_check_says_what_is_stale_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A check in CI fails with the file's name and leaves the tree as it is; without --check it is mended."""
    folder = tmp_path / "helm"
    (folder / "one").mkdir(parents=True)
    (folder / "definitions.yaml").write_text(yaml.safe_dump(DEFINITIONS))
    (folder / "one" / "Chart.yaml").write_text("description: One.\n")
    (folder / "one" / "values.yaml").write_text(VALUES)
    page = folder / "one" / "README.md"
    page.write_text(f"# one\n\n{documentation.BEGIN}\n{documentation.END}\n")
    monkeypatch.setattr(documentation, "FOLDER", folder)
    monkeypatch.setattr(documentation, "CHARTS", ("one",))
    assert documentation.main(["--check"]) == 1
    assert "stale: helm/one/README.md" in capsys.readouterr().err
    assert "replicas" not in page.read_text()
    assert documentation.main([]) == 0
    assert "`replicas`" in page.read_text()
    assert documentation.main(["--check"]) == 0
