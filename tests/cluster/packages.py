"""Has the Debian packages that a node needs: installs them as root, and otherwise says which are missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from canario.errors import UsageError
from tests.cluster.running import Progress, run

COMMANDS = {
    "buildah": "buildah",
    "conntrack": "conntrack",
    "debootstrap": "debootstrap",  # makes the base image
    "ip": "iproute2",
    "iptables": "iptables",
    "mount": "mount",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "runc": "runc",
}
FILES = {Path("/usr/lib/cni/bridge"): "containernetworking-plugins"}
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing() -> list[str]:
    """The packages whose commands or files are not there."""
    of_commands = {package for command, package in COMMANDS.items() if shutil.which(command, path=SYSTEM_PATH) is None}
    return sorted(of_commands | {package for file, package in FILES.items() if not file.exists()})


def install(progress: Progress) -> None:
    """Install what is missing. Raises UsageError where that may not be done."""
    if os.geteuid() != 0:
        raise UsageError(
            "a node needs root: it makes namespaces, mounts and cgroups",
            hint="run this as root, or set KUBECONFIG to a cluster that you have",
        )
    packages = missing()
    if not packages:
        return
    if shutil.which("apt-get") is None:
        raise UsageError(f"missing: {', '.join(packages)}", hint="install them; the names are Debian's")
    progress.say(f"installing {', '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "-qq", environment=environment)
    run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages, environment=environment)
