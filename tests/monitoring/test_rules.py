"""Rules, routes, runbooks and the tests of alerts are whole, and follow from the table."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from canario.cli.main import PLUGIN_SECTIONS, SECTIONS
from canario.errors import UsageError
from canario.monitoring import __main__ as generator
from canario.monitoring.rules import alert_rules, rules
from canario.monitoring.table import DEFAULT_TABLE, Alert, read_table, seconds_of
from tests.parts import missing

MONITORING = generator.ROOT / "monitoring"
RUNBOOKS = MONITORING / "runbooks"
RULE_TESTS = sorted((MONITORING / "tests").glob("*.yaml"))


def checked(*command: str) -> str:
    """What a program of Prometheus' makers says; without it the test is skipped, and in CI it fails."""
    if not shutil.which(command[0]):
        missing(f"there is no {command[0]} on PATH")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alert_tests() -> list[tuple[str, str, bool]]:
    """Every question about an alert in the rule tests: the test's sentence, the alert, and whether it is to fire."""
    return [
        (test["name"], asked["alertname"], bool(asked.get("exp_alerts")))
        for path in RULE_TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for asked in test.get("alert_rule_test", [])
    ]


def changed(tmp_path: Path, *replacements: tuple[str, str]) -> Path:
    """The table with something changed."""
    text = DEFAULT_TABLE.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "objectives.yaml"
    path.write_text(text)
    return path


def test_the_files_are_those_of_the_table() -> None:
    """What Prometheus reads never tells of another table than objectives.yaml; `make monitoring` makes it."""
    for path, text in generator.made().items():
        assert (generator.ROOT / path).read_text() == text, f"{path} is stale: make monitoring"
    assert (MONITORING / "objectives.yaml").read_text() == DEFAULT_TABLE.read_text()


def test_prometheus_takes_the_rules() -> None:
    """No rule is refused by promtool: it finds nothing wrong with any rule."""
    assert "SUCCESS" in checked("promtool", "check", "rules", str(MONITORING / "rules.yaml"))


def test_alertmanager_takes_its_configuration() -> None:
    """No route is refused by amtool: it finds nothing wrong with the routes."""
    assert "SUCCESS" in checked("amtool", "check-config", str(MONITORING / "alertmanager.yaml"))


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ("alertname=CanarioDegradation answer=retrain severity=page", "retraining,page"),
        ("alertname=CanarioNoMetrics severity=page", "page"),
        ("alertname=CanarioInputDrift severity=ticket", "ticket"),
    ],
)
def test_each_alert_goes_where_it_belongs(labels: str, receivers: str) -> None:
    """A degradation reaches the retraining and a person, a page a person, and a ticket the tickets."""
    configuration = f"--config.file={MONITORING / 'alertmanager.yaml'}"
    assert checked("amtool", "config", "routes", "test", configuration, *labels.split()).strip() == receivers


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_and_stay_silent_as_written(path: Path) -> None:
    """Every sentence in monitoring/tests is true."""
    checked("promtool", "test", "rules", str(path))


@pytest.mark.parametrize("alert", list(Alert))
def test_every_alert_has_a_firing_and_a_silent_test(alert: Alert) -> None:
    """For each alert it is written, and true, when it fires and when it stays silent."""
    assert {fires for _, name, fires in alert_tests() if name == alert.value} == {True, False}


def test_every_rule_test_is_named_by_a_sentence() -> None:
    """The rule tests read as the specification of the alerts, and ask about no alert that does not exist."""
    assert [name for name, _, _ in alert_tests() if len(name.split()) < 5] == []
    assert {alert for _, alert, _ in alert_tests()} == {alert.value for alert in Alert}


def test_every_alert_has_one_rule_and_one_runbook() -> None:
    """Nobody is told of something without being told what to do, and no runbook is about nothing."""
    assert sorted(rule.alert for rule in alert_rules(read_table())) == sorted(Alert)
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {alert.value for alert in Alert}


@pytest.mark.parametrize("alert", list(Alert))
def test_every_runbook_can_be_followed(alert: Alert) -> None:
    """Meaning, what users see, three commands of which canario's exist, and how it ends."""
    text = (RUNBOOKS / f"{alert.value}.md").read_text()
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "What it means",
        "What users see",
        "The first three commands",
        "How it ends",
    ]
    block = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    assert len(block) == 1
    assert len(block[0].strip().splitlines()) == 3
    known = {name for names in SECTIONS.values() for name in names}
    assert set(re.findall(r"\bcanario ([a-z]+)", text)) - {"commands"} <= known


@pytest.mark.parametrize("alert", list(Alert))
def test_every_runbook_can_be_followed_in_a_cluster(alert: Alert) -> None:
    """`--on kubernetes` is said of commands that know a cluster only; of every other one it is said what to do there."""
    text = (RUNBOOKS / f"{alert.value}.md").read_text()
    known = {"retrain", *(name for names in PLUGIN_SECTIONS.values() for name in names)}
    (block,) = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    shown = set(re.findall(r"^canario ([a-z]+)(?!.*--on kubernetes)", block, re.MULTILINE))
    addressed = set(re.findall(r"^canario ([a-z]+).*--on kubernetes", block, re.MULTILINE))
    around = text.replace(block, "")
    for words in re.findall(r"In a cluster, ([^.;]*?) takes? `--on kubernetes", around):
        addressed |= shown if "`canario` commands" in words else set(re.findall(r"`canario ([a-z]+)", words))
    assert addressed <= known
    in_words = set(re.findall(r"`canario ([a-z]+)[^`]*`", "".join(re.findall(r"In a cluster, .*", around))))
    assert shown <= addressed | in_words


def test_another_table_gives_other_windows(tmp_path: Path) -> None:
    """A demo that cannot wait for an hour takes another table, and series and alerts follow it."""
    path = changed(tmp_path, ("windows: [1m, 10m, 1h, 1d]", "windows: [30s]"), ("scrape: 15s", "scrape: 2s"))
    written: dict[str, Any] = rules(read_table(path))
    names = {rule["record"] for group in written["groups"] for rule in group["rules"] if "record" in rule}
    assert "canario:column_psi:30s" in names
    assert "canario:column_psi:1h" not in names


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("windows: [1m, 10m, 1h, 1d]", "windows: [30s]", "drift.windows.0"),
        ("windows: [1m, 10m, 1h, 1d]", "windows: [1m, 2m, 3m, 4m, 5m]", "drift.windows"),
        ("long: 1h, short: 5m", "long: 5m, short: 1h", "burns.rows.0"),
        ("stuck_after: 2h", "stuck_after: two hours", "rollout"),
        ("  CanarioNoMetrics: {severity: page, after: 5m}\n", "", "alerts"),
        ("severity: page, after: 5m", "severity: shout, after: 5m", "alerts"),
        ("minimum_rows: 300", "minimal_rows: 300", "minim"),
    ],
)
def test_a_table_that_cannot_be_honoured_is_refused(tmp_path: Path, old: str, new: str, place: str) -> None:
    """A window that is too short to tell a rise, a missing row, a misspelt word: refused, with the place and what to do."""
    path = changed(tmp_path, (old, new))
    with pytest.raises(UsageError) as refused:
        read_table(path)
    assert place in refused.value.at
    assert refused.value.hint


@pytest.mark.parametrize(("written", "seconds"), [("15s", 15), ("1h30m", 5400), ("3d", 259_200)])
def test_durations_are_those_of_prometheus(written: str, seconds: int) -> None:
    """A duration means what Prometheus takes it for."""
    assert seconds_of(written) == seconds
