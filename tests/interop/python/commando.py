"""Commando by hand over pyln-proto's LightningConnection, as a plugin author would write it."""

import json
import os
import socket
import struct

from pyln.proto.wire import PrivateKey, connect

INIT, WARNING, PING, PONG = 16, 1, 18, 19
REQUEST_CONTINUES, REQUEST = 0x4C4D, 0x4C4F
REPLY_CONTINUES, REPLY = 0x594B, 0x594D
EMPTY_INIT = struct.pack("!HHH", INIT, 0, 0)
SECONDS = 30


class Whole:
    """A socket whose `recv` waits for all it was asked for.

    pyln-proto takes a header that TCP delivers in two pieces for the end of the connection, which long replies run into.
    """

    def __init__(self, stream):
        self._socket = stream

    def __getattr__(self, name):
        return getattr(self._socket, name)

    def recv(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            if not part:
                break
            data += part
        return data


class Peer:
    """One connection under a fresh key, its `init` exchanged: theirs is read before ours leaves."""

    def __init__(self, gateway, init: bytes = EMPTY_INIT, whole: bool = False):
        key = PrivateKey(os.urandom(32))
        self.node_id = key.public_key().serializeCompressed().hex()
        self.wire = connect(key, bytes.fromhex(gateway.node_id), gateway.host, gateway.port)
        self.wire.connection.settimeout(SECONDS)
        # It writes length and body apart, which would cost 40 ms a message waiting for an acknowledgement.
        self.wire.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if whole:
            self.wire.connection = Whole(self.wire.connection)
        self.their_init = self.wire.read_message()
        self.wire.send_message(init)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.connection.close()

    def send(self, request: bytes, id: bytes, part_bytes: int = 60_000) -> None:
        while len(request) > part_bytes:
            self.wire.send_message(struct.pack("!H", REQUEST_CONTINUES) + id + request[:part_bytes])
            request = request[part_bytes:]
        self.wire.send_message(struct.pack("!H", REQUEST) + id + request)

    def message(self) -> tuple[int, bytes]:
        """The next message: its type, and what follows."""
        message = self.wire.read_message()
        return struct.unpack("!H", message[:2])[0], message[2:]

    def reply_parts(self, id: bytes) -> list[bytes]:
        parts = []
        while True:
            type, body = self.message()
            assert type in (REPLY_CONTINUES, REPLY), f"message {type:#x} within a reply"
            assert body[:8] == id, f"a reply to {body[:8].hex()}, not to {id.hex()}"
            parts.append(body[8:])
            if type == REPLY:
                return parts

    def raw(self, request: str) -> str:
        """The reply to a request as it stands, whole and undecoded."""
        id = os.urandom(8)
        self.send(request.encode(), id)
        return b"".join(self.reply_parts(id)).decode()

    def call(self, method: str, params=None, *, rune: str, id="1") -> dict:
        request = {"method": method, "params": [] if params is None else params, "id": id, "rune": rune}
        return json.loads(self.raw(json.dumps(request)))
