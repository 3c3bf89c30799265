"""Builds the cluster's components with Go, once: a component is built again only when its pinned versions change."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from canario.errors import Unavailable, UsageError
from tests.cluster.running import Progress
from tests.cluster.settings import Settings

MODULES = Path(__file__).parent / "go"


@dataclass(frozen=True)
class Module:
    """A folder with a go.mod that pins tools, and the programs that come of it."""

    name: str
    programs: tuple[str, ...]
    built_as: tuple[str, ...] = ()
    """What Go calls the programs, if those are not their names here."""
    on_demand: bool = False
    """Whether a cluster runs without it: what starts it builds it."""
    kept: tuple[str, str] = ("", "")
    """A package among the pins, and the folder of it that is needed beside the programs."""

    @property
    def folder(self) -> Path:
        return MODULES / self.name

    def recipe(self) -> str:
        """A digest of all that decides what is built."""
        digest = hashlib.sha256(flags().encode())
        for path in sorted(self.folder.iterdir()):
            digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()

    def stamp(self, programs: Path) -> Path:
        return programs / f".{self.name}.stamp"

    def kept_files(self, programs: Path) -> Path:
        """Where that folder lies."""
        return programs / f"{self.name}-files"

    def is_built(self, programs: Path) -> bool:
        """Whether the programs that this very recipe makes are there."""
        stamp = self.stamp(programs)
        there = all((programs / program).is_file() for program in self.programs)
        there = there and (not self.kept[0] or self.kept_files(programs).is_dir())
        return there and stamp.is_file() and stamp.read_text() == self.recipe()


ALL = (
    Module("helm", ("helm",)),
    Module(
        "kubernetes",
        ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet"),
    ),
    Module("containerd", ("containerd", "containerd-shim-runc-v2", "ctr")),
    Module("etcd", ("etcd",), built_as=("server",)),
    Module("coredns", ("coredns",)),
    Module("pause", ("pause",)),
    Module(
        "keda",
        ("keda-adapter", "keda-operator"),
        built_as=("adapter", "operator"),
        on_demand=True,
        kept=("github.com/kedacore/keda/v2", "config/crd/bases"),
    ),
    Module("metrics-server", ("metrics-server",), on_demand=True),
    Module("versitygw", ("versitygw",), on_demand=True),
)
CLUSTER = tuple(module.name for module in ALL if not module.on_demand)
"""What every cluster needs."""


def kubernetes_version() -> str:
    """The pinned release, such as v1.36.3."""
    found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)", (MODULES / "kubernetes/go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise UsageError("no version of k8s.io/kubernetes", at=str(MODULES / "kubernetes/go.mod"))
    return found[1]


def flags() -> str:
    """What the linker is told: components that do not know their version take themselves for v0.0.0."""
    version = kubernetes_version()
    major, minor = version.removeprefix("v").split(".")[:2]
    names = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s", "-w", *(f"-X k8s.io/component-base/version.{key}={value}" for key, value in names.items())])


def build(settings: Settings, progress: Progress, names: Collection[str] = ()) -> None:
    """Build the modules so named, or all, as far as they are missing or outdated. Raises UsageError without Go.

    Several processes may ask at the same time: each module is built by one, and the others wait for that module only.
    """
    known = {module.name for module in ALL}
    if unknown := set(names) - known:
        raise UsageError(f"no module {', '.join(sorted(unknown))}", hint=f"there are {', '.join(sorted(known))}")
    for module in ALL:
        if names and module.name not in names:
            continue
        with only_one(settings.cache / f"{module.name}.lock"):
            if module.is_built(settings.programs):
                continue
            if shutil.which("go") is None:
                raise UsageError("the cluster's components are built with Go", hint="install Go 1.26 or newer")
            progress.say(f"building {module.name}: {', '.join(module.programs)}")
            _build(module, settings)


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Wait until no other process is in here."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(module: Module, settings: Settings) -> None:
    made = settings.cache / f"building-{module.name}"
    made.mkdir(parents=True, exist_ok=True)
    settings.programs.mkdir(parents=True, exist_ok=True)
    command = ["install", "-trimpath", "-buildvcs=false", "-ldflags", flags()]
    _go(module, made, *command, "tool" if "tool" in _directives(module) else ".")
    for program, built in zip(module.programs, module.built_as or module.programs, strict=True):
        (made / built).replace(settings.programs / program)
    _keep_files(module, settings, made)
    shutil.rmtree(made)
    module.stamp(settings.programs).write_text(module.recipe())


def _keep_files(module: Module, settings: Settings, made: Path) -> None:
    """Copy the folder that is needed beside the programs out of Go's own cache, which may be emptied."""
    package, folder = module.kept
    if package:
        source = Path(_go(module, made, "list", "-m", "-f", "{{.Dir}}", package).strip(), folder)
        shutil.rmtree(module.kept_files(settings.programs), ignore_errors=True)
        shutil.copytree(source, module.kept_files(settings.programs), copy_function=shutil.copyfile)
        module.kept_files(settings.programs).chmod(0o755)  # Go's folders are for reading only


def _go(module: Module, made: Path, *arguments: str) -> str:
    """What Go says in the module's folder."""
    done = subprocess.run(
        ["go", *arguments],
        cwd=module.folder,
        env={**os.environ, "GOBIN": str(made), "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Unavailable(f"go could not build {module.name}: {done.stderr[-2000:]}", at=str(module.folder))
    return done.stdout


def _directives(module: Module) -> set[str]:
    """The first words of the lines of a go.mod."""
    return {line.split()[0] for line in (module.folder / "go.mod").read_text().splitlines() if line.split()}
