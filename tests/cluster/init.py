"""`python -I init.py STATE`: the node's first process. All of the cluster lives in its namespaces and ends with it.

It is started in new network, mount and process namespaces, gives the node its own view of the machine, and then only
reaps orphans. It needs nothing but the standard library.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What a kubelet sets for the whole machine. It is shown files that say so already, and leaves the machine alone."""
OWN_FOLDERS = ("/var/lib", "/var/log")


def main() -> None:
    """Make the node's view, say that it is ready, and stay."""
    state = Path(sys.argv[1])
    mount("--make-rshared", "/")
    mount("-t", "proc", "proc", "/proc")
    for folder in OWN_FOLDERS:
        own = state / "node" / folder.strip("/")
        own.mkdir(parents=True, exist_ok=True)
        mount("--bind", str(own), folder)
    mount("-t", "tmpfs", "tmpfs", "/run")
    for name, value in KERNEL_SETTINGS.items():
        shown = state / "node" / "kernel" / name.replace("/", ".")
        shown.parent.mkdir(exist_ok=True)
        shown.write_text(f"{value}\n")
        mount("--bind", str(shown), f"/proc/sys/{name}")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")
    (state / "node" / "ready").touch()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            time.sleep(0.2)


def mount(*arguments: str) -> None:
    """Raises CalledProcessError; the reason is on standard error."""
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main()
