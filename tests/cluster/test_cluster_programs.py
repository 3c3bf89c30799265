"""Components are built once, and again when their pinned versions change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from canario.errors import UsageError
from tests.cluster import packages, programs
from tests.cluster.running import Progress
from tests.cluster.settings import Settings


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> programs.Module:
    """The pinned tools in a copy that a test may change."""
    shutil.copytree(programs.MODULES, tmp_path / "go")
    monkeypatch.setattr(programs, "MODULES", tmp_path / "go")
    return programs.Module("etcd", ("etcd",), built_as=("server",))


def test_what_is_built_stays_until_its_pins_change(module: programs.Module, tmp_path: Path) -> None:
    """A changed line in a module's go.mod or go.sum, or a new Kubernetes for the flags, makes it outdated."""
    assert not module.is_built(tmp_path)
    (tmp_path / "etcd").touch()
    module.stamp(tmp_path).write_text(module.recipe())
    assert module.is_built(tmp_path)
    with (module.folder / "go.sum").open("a") as pins:
        pins.write("another v1.0.0 h1:x=\n")
    assert not module.is_built(tmp_path)


def test_a_program_that_was_removed_is_built_again(module: programs.Module, tmp_path: Path) -> None:
    """The stamp alone is not believed."""
    module.stamp(tmp_path).write_text(module.recipe())
    assert not module.is_built(tmp_path)


def test_components_know_their_version() -> None:
    """The linker is told the version that go.mod pins, so that `kubectl version` says it."""
    version = programs.kubernetes_version()
    assert f"gitVersion={version}" in programs.flags()
    assert version.startswith(f"v1.{programs.flags().rpartition('=')[2]}.")


def test_every_pinned_module_is_built() -> None:
    """No folder of pins is forgotten, and none is named that is not there."""
    assert {module.name for module in programs.ALL} == {path.name for path in programs.MODULES.iterdir()}


def test_without_go_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Go gets one clear sentence, before anything is compiled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CANARIO_CLUSTER_STATE", "/tmp/never")  # noqa: S108 - a name that is short, and never made
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="Go") as refused:
        programs.build(Settings.from_environment(), Progress())
    assert "install Go" in refused.value.hint


def test_missing_packages_are_named_to_who_may_not_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no apt-get, the error lists Debian's package names."""
    monkeypatch.setattr(packages, "SYSTEM_PATH", "/nowhere")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(UsageError, match=r"buildah.*runc"):
        packages.install(Progress())


def test_a_user_without_root_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without root there is one way: a cluster that is there already, named by KUBECONFIG."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(UsageError, match="root") as refused:
        packages.install(Progress())
    assert "KUBECONFIG" in refused.value.hint
