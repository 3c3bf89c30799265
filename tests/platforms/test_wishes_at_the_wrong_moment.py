"""A word to a rollout that cannot do anything with it is refused before it is left, and leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from canario.errors import Conflict
from canario.model.deployment import Deployment, Rollout
from canario.model.evidence import CommandKind
from canario.model.rollout import Phase, RolloutState
from canario.model.split import Split
from canario.platforms.local import platform as platform_module
from canario.platforms.local.platform import LocalPlatform
from canario.platforms.local.records import PlatformFiles
from canario.rollout.decide import begin
from canario.rollout.plan import canary

STATE = replace(begin(canary(), "pulse-0001", "v1", "v2", 0.0), phase=Phase.STEPPING)


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        (STATE, CommandKind.RESUME, "v2 is not paused; it is at step 1 of 3"),
        (
            replace(STATE, phase=Phase.PAUSED, paused_phase=Phase.STEPPING),
            CommandKind.PAUSE,
            "v2 is paused already; it is at step 1 of 3",
        ),
        (
            replace(STATE, phase=Phase.RETURNING, outcome=Phase.ROLLED_BACK, reason="rolled back: errors"),
            CommandKind.PROMOTE,
            "rolled back: errors",
        ),
    ],
)
def test_a_verb_at_the_wrong_moment_fails_and_says_where_the_rollout_stands(
    state: RolloutState, kind: CommandKind, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`resume`, `pause` and `promote` never say that they told somebody to do what nobody will do."""
    monkeypatch.setenv("CANARIO_HOME", str(tmp_path))
    monkeypatch.setattr(platform_module, "is_held", lambda _: True)
    monkeypatch.setattr(platform_module, "TAKEN_SECONDS", 0.1)
    files = PlatformFiles.of("pulse")
    files.folder.mkdir(parents=True)
    files.keep(
        Deployment(
            model="pulse",
            is_up=True,
            port=1,
            admin_port=2,
            processes=1,
            latency_milliseconds=100.0,
            stable="v1",
            split=Split(stable="v1"),
            wanted=("v1", "v2"),
            served={},
            rollout=Rollout(spec=canary(), state=state),
        )
    )
    with pytest.raises(Conflict, match=words) as refused:
        LocalPlatform("pulse").send(kind)
    assert "canario status pulse" in refused.value.hint
    assert list(files.requests.waiting(0)) == []
