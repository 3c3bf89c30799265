"""A volume for one namespace: a claim that models name, with archives on it as a training leaves them there, or with rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from canario.adapters.archives import read_archive
from tests.e2e.kubernetes.kube import ROOT, Kube
from tests.e2e.kubernetes.steady import MODEL

CLAIM = "archives"


@dataclass
class Archives:
    """A folder of this machine as a PersistentVolume of the node, which shares its file system; it goes with `remove`."""

    kube: Kube
    namespace: str
    folder: Path
    claim: str = CLAIM

    def make(self) -> None:
        """The volume and its claim."""
        if self.kube.cluster.audit_log is None:
            pytest.skip("the node of another cluster does not share this machine's folders")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o777)  # servers and trainers run as somebody else
        size = {"storage": "1Gi"}
        common = {"accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeMode": "Filesystem"}
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": self._volume},
            "spec": {
                **common,
                "capacity": size,
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": str(self.folder), "type": "Directory"},
                "claimRef": {"namespace": self.namespace, "name": self.claim},
            },
        }
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": self.claim, "namespace": self.namespace},
            "spec": {**common, "resources": {"requests": size}, "volumeName": self._volume},
        }
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [volume, claim]})
        self.kube.kubectl("apply", "--server-side", "--filename=-", text=text)

    def train(self, tag: str, last_day: str) -> str:
        """Train a version and put its archive there; its place, with the digest, as a resource names it."""
        store = self.folder.parent / "store"
        file = self.folder / MODEL / f"{MODEL}-{tag}.canario"
        file.parent.mkdir(exist_ok=True)
        self._canario(store, "train", MODEL, "--tag", tag, "--last-day", last_day)
        self._canario(store, "export", f"{MODEL}:{tag}", str(file))
        file.chmod(0o644)
        return f"{MODEL}/{file.name}#{read_archive(file).record.digest}"

    def remove(self) -> None:
        """The claim and the volume; the folder is the test's own."""
        self.kube.kubectl(
            *("delete", "persistentvolumeclaim", self.claim, f"--namespace={self.namespace}"),
            *("--ignore-not-found", "--timeout=60s"),
        )
        self.kube.kubectl("delete", "persistentvolume", self._volume, "--ignore-not-found", "--wait=false")

    @property
    def _volume(self) -> str:
        return f"{self.claim}-{self.namespace}"

    def _canario(self, store: Path, *words: str) -> None:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("canario")), *words],
            cwd=ROOT,
            env={**os.environ, "BENTOML_HOME": str(store), "CANARIO_HOME": str(store / "canario")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
