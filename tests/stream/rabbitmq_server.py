"""A real RabbitMQ of the tests' own: in a temporary folder, on free ports, started, killed and started again at will."""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

from tests.parts import missing

START_SECONDS = 90.0
STOP_SECONDS = 30.0
SETTLE_SECONDS = 2.0
"""RabbitMQ 3.10 says that a queue is made before its name is on disk; killed up to 0.6 s later it forgot the queue with all it confirmed."""

GREETING = b"AMQP\x00\x00\x09\x01"
"""What a client of AMQP 0-9-1 says first."""


def binaries() -> Path | None:
    """Where RabbitMQ's programs are; None without them, or without Erlang's port mapper."""
    if shutil.which("epmd") is None:
        return None
    # Those on Debian's PATH want to run as a user of their own and write to the machine's log; these do as they are told.
    debian = Path("/usr/lib/rabbitmq/bin")
    if (debian / "rabbitmq-server").exists():
        return debian
    found = shutil.which("rabbitmq-server")
    return Path(found).parent if found else None


def require_rabbitmq() -> Path:
    """RabbitMQ's programs; skips where there are none, and fails there with CI=true."""
    found = binaries()
    if found is None:
        missing("RabbitMQ is not installed: `tests/install-system-parts` has it on Debian")
    return found


class RabbitMqServer:
    """One broker with a user of its own, on loopback; several may run side by side, each with its own port mapper."""

    def __init__(self, *, certificate: tuple[Path, Path] | None = None) -> None:
        """With a certificate and its key, it also speaks TLS."""
        self._programs = require_rabbitmq()
        self.folder = Path(tempfile.mkdtemp(prefix="canario-rabbitmq-"))
        self.port, self.tls_port, distribution, mapper = _free_ports(4)
        self.password = secrets.token_urlsafe(12)
        self.url = f"amqp://canario:{self.password}@127.0.0.1:{self.port}/"
        self.tls_url = f"amqps://canario:{self.password}@localhost:{self.tls_port}/"
        self._certificate = certificate
        self._process: subprocess.Popen[bytes] | None = None
        self._mapper: subprocess.Popen[bytes] | None = None
        (self.folder / "plugins").write_text("[].\n")
        (self.folder / "advanced.config").write_text(self._configuration())
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            # Its cookie is there, so no other node and no tool of another home gets in.
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"canario-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            # So the script becomes Erlang instead of waiting for it: signals arrive where they are meant.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        atexit.register(self.stop)

    def start(self) -> None:
        """Start it, after a kill too; returns once it takes connections."""
        log = (self.folder / "output").open("ab")
        if self._mapper is None:
            # In the foreground, or the node would start one that outlives it.
            epmd = shutil.which("epmd") or "epmd"
            self._mapper = subprocess.Popen([epmd], env=self._environment, cwd=self.folder, stdout=log, stderr=log)
            self._until_open(int(self._environment["ERL_EPMD_PORT"]), self._mapper)
        self._process = subprocess.Popen(
            [self._programs / "rabbitmq-server", "-noinput"],
            env=self._environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        log.close()
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < until, self._words()
            assert self._process.poll() is None, self._words()
            time.sleep(0.05)

    def restart(self) -> None:
        """End it in an orderly way and start it again; what it was to keep it keeps."""
        self._end(signal.SIGTERM)
        self.start()

    def settle(self) -> None:
        """Wait until queues that were just made are safe from a kill."""
        time.sleep(SETTLE_SECONDS)

    def kill(self) -> None:
        """Kill -9, after `settle` where queues are new; `start` starts it again with what it had on disk."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Have it stand still with its connections open, as behind a network that lost its way."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after a pause."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it and its port mapper, and remove its folder."""
        self._end(signal.SIGKILL)
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait()
            self._mapper = None
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.stop)

    def control(self, *arguments: str) -> str:
        """What `rabbitmqctl` says; it takes a second or two."""
        done = subprocess.run(
            [self._programs / "rabbitmqctl", "--quiet", *arguments],
            env=self._environment,
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
        )
        assert done.returncode == 0, f"rabbitmqctl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def evaluate(self, expression: str) -> str:
        """What an Erlang expression gives inside of the broker."""
        return self.control("eval", expression)

    def _end(self, with_signal: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        children = psutil.Process(self._process.pid).children(recursive=True)
        self._process.send_signal(with_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=STOP_SECONDS)
        self._process.kill()
        self._process.wait()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children, timeout=STOP_SECONDS)

    def _configuration(self) -> str:
        settings = [
            '{default_user, <<"canario">>}',
            f'{{default_pass, <<"{self.password}">>}}',
            # A machine's last gigabytes are enough for tests, and other tests' images must not raise an alarm here.
            "{disk_free_limit, 10000000}",
        ]
        if self._certificate is not None:
            certificate, key = self._certificate
            settings.append(f'{{ssl_listeners, [{{"127.0.0.1", {self.tls_port}}}]}}')
            settings.append(
                f'{{ssl_options, [{{certfile, "{certificate}"}}, {{keyfile, "{key}"}}, {{verify, verify_none}}]}}'
            )
        return f"[{{rabbit, [{', '.join(settings)}]}}].\n"

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as asked:
                asked.sendall(GREETING)
                return asked.recv(1) == b"\x01"
        except OSError:
            return False

    def _until_open(self, port: int, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + STOP_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            assert time.monotonic() < until, self._words()
            assert process.poll() is None, self._words()
            time.sleep(0.01)

    def _words(self) -> str:
        return (self.folder / "output").read_text(errors="replace")[-4000:]


def _free_ports(number: int) -> tuple[int, ...]:
    """Ports that nobody listens on.

    Below those that the kernel gives to clients: while a broker is down, a client that tries again must not be given its port, on
    which it would then talk to itself and keep the broker from coming back.
    """
    chosen: set[int] = set()
    while len(chosen) < number:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            chosen.add(port)
    return tuple(chosen)
