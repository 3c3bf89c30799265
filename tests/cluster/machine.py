"""What a cluster could leave behind on a machine, as lines to compare; it changes nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.cluster.init import KERNEL_SETTINGS
from tests.cluster.node import CGROUPS
from tests.cluster.running import run, try_run

FOLDERS = ("/run/netns", "/run/containerd", "/var/lib", "/var/log", "/etc/cni", "/opt/cni", "/dev/shm")  # noqa: S108 - looked at, not used

IMAGE_BUILDS = "/var/lib/containers/"
"""Where buildah mounts what it builds; a build may be under way beside a test."""


def machine() -> set[str]:
    """Links, addresses, routes, mounts, iptables rules, cgroups, kernel settings and system folders, one a line."""
    lines = {f"link {link['ifname']}" for link in json.loads(run("ip", "-json", "link"))}
    lines |= {f"address {line}" for line in run("ip", "-oneline", "-4", "address").splitlines()}
    lines |= {f"route {line}" for line in run("ip", "route", "show", "table", "all").splitlines()}
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    lines |= {f"mount {mount}" for mount in mounts if not mount.startswith(IMAGE_BUILDS)}
    lines |= {f"iptables {line}" for line in _rules(try_run("iptables-save").stdout)}
    lines |= {f"cgroup {path}" for path in CGROUPS.glob("*/*") if path.is_dir()}
    lines |= {f"setting {name} = {Path('/proc/sys', name).read_text()}" for name in KERNEL_SETTINGS}
    lines.add(f"setting ip_forward = {Path('/proc/sys/net/ipv4/ip_forward').read_text()}")
    lines |= {f"file {path}" for folder in FOLDERS if Path(folder).is_dir() for path in Path(folder).iterdir()}
    return lines


def _rules(listing: str) -> list[str]:
    """Without comments, and without the counters of packets, which never stand still."""
    return [re.sub(r" \[\d+:\d+\]", "", line) for line in listing.splitlines() if not line.startswith("#")]
