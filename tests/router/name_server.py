"""A small DNS server for names that the test changes as it goes; what Envoy makes of its answers is for the tests."""

from __future__ import annotations

import socket
import struct
import threading

_ADDRESS = 1
_NO_SUCH_NAME = 3


class NameServer:
    """Answers questions for addresses from `names`; a name that is not there does not exist."""

    def __init__(self, names: dict[str, list[str]]) -> None:
        self.names = names
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            question, client = self._socket.recvfrom(4096)
            if not question:
                return
            self._socket.sendto(self._answer(question), client)

    def _answer(self, packet: bytes) -> bytes:
        labels, position = [], 12
        while packet[position]:
            labels.append(packet[position + 1 : position + 1 + packet[position]].decode())
            position += 1 + packet[position]
        end = position + 5
        (kind,) = struct.unpack("!H", packet[position + 1 : position + 3])
        known = self.names.get(".".join(labels).lower())
        addresses = (known or []) if kind == _ADDRESS else []
        flags = 0x8580 | (0 if known is not None else _NO_SUCH_NAME)
        head = packet[:2] + struct.pack("!HHHHH", flags, 1, len(addresses), 0, 0)
        records = (struct.pack("!HHHIH", 0xC00C, _ADDRESS, 1, 30, 4) + socket.inet_aton(each) for each in addresses)
        return head + packet[12:end] + b"".join(records)
