"""Renders the charts into k8s/, for people without Helm: a folder an example of helm/examples/; values and charts decide all else.

`python helm/rendering.py` writes the files, `--check` only says which are stale. What marks an object as Helm's own is
left out, as nothing here is installed by Helm.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from canario.errors import UsageError

FOLDER = Path(__file__).parent
MANIFESTS = FOLDER.parent / "k8s"
NAMESPACE = "canario"
RELEASES = {"controller": ("canario", "canario"), "canary": ("fraud", "model")}
"""By example: the release's name and its chart. The other strategies are as the canary."""
_HELMS_OWN = re.compile(
    r"^ *(helm\.sh/chart|helm\.sh/resource-policy|app\.kubernetes\.io/managed-by): .*\n", re.MULTILINE
)
_EMPTY_ANNOTATIONS = re.compile(r"^ *annotations:\n(?=(?! *annotations) {2}labels:)", re.MULTILINE)
_NAMESPACE = f"""---
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""


def find_helm() -> str | None:
    """The helm to use: the one on PATH, or the one that the test cluster was built with; None when there is neither."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return shutil.which("helm") or shutil.which("helm", path=cache / "canario" / "cluster" / "bin")


def examples() -> list[str]:
    """The names of the examples, which are the folders of k8s/."""
    return sorted(path.stem for path in (FOLDER / "examples").glob("*.yaml"))


def manifest(helm: str, example: str) -> str:
    """What `kubectl apply` takes for one example. Raises UsageError with Helm's own words when it does not render."""
    release, chart = RELEASES.get(example, RELEASES["canary"])
    values = FOLDER / "examples" / f"{example}.yaml"
    command = [helm, "template", release, str(FOLDER / chart), "--namespace", NAMESPACE, "--values", str(values)]
    done = subprocess.run([*command, "--skip-tests"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UsageError(done.stderr.strip(), at=str(values), hint="mend the values or the chart's templates")
    said = "".join(re.findall(r"^# .*\n", values.read_text(), re.MULTILINE))
    objects = _EMPTY_ANNOTATIONS.sub("", _HELMS_OWN.sub("", done.stdout)).replace("\n\n---", "\n---").strip() + "\n"
    return f"# Made by `make k8s` from helm/{chart} and helm/examples/{values.name}.\n{said}" + (
        _NAMESPACE + objects if chart == "canario" else objects
    )


def main(arguments: list[str] | None = None) -> int:
    """Write the manifests; with `--check` write nothing and fail when one is stale."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    check: bool = parser.parse_args(arguments).check
    helm = find_helm()
    if helm is None:
        sys.stderr.write("there is no helm on PATH: install it, or `make cluster` builds one\n")
        return 2
    wrong = 0
    for example in examples():
        path = MANIFESTS / example / f"{example}.yaml"
        content = manifest(helm, example)
        if path.is_file() and path.read_text() == content:
            continue
        wrong += 1
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        sys.stderr.write(f"{'stale' if check else 'wrote'}: {path.relative_to(FOLDER.parent)}\n")
    return 1 if check and wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UsageError as wrong:
        sys.exit(f"{wrong}: {wrong.hint}")
