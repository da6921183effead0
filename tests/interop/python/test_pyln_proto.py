"""PyPI `pyln-proto`: the node project's own Python implementation of the wire, over TCP."""

import json
import os
import struct

import pytest
from commando import INIT, PING, PONG, WARNING, Peer
from pyln.client import LightningRpc


def test_their_init_comes_first_and_reads_as_bolt_1_has_it(gateway):
    with Peer(gateway) as peer:
        type, global_len = struct.unpack("!HH", peer.their_init[:4])
        assert type == INIT
        (features_len,) = struct.unpack("!H", peer.their_init[4 + global_len : 6 + global_len])
        tlvs = peer.their_init[6 + global_len + features_len :]
        last = -1
        while tlvs:
            # Types and lengths of one byte each: nothing in an init of ours is longer.
            type, length = tlvs[0], tlvs[1]
            assert last < type < 0xFD and length < 0xFD and length <= len(tlvs) - 2
            assert type != 1 or length % 32 == 0
            last, tlvs = type, tlvs[2 + length :]


def test_runs_commands_and_gets_their_errors(gateway):
    node = LightningRpc(gateway.node_socket)
    rune = gateway.rune()
    with Peer(gateway) as peer:
        for method in ("getinfo", "listpeers", "listfunds", "getinfo"):
            assert peer.call(method, rune=rune) == {"jsonrpc": "2.0", "id": "1", "result": node.call(method)}
        reply = peer.call("no-such-method", rune=rune)
        assert reply["error"]["code"] == -32601
        refused = peer.call("getinfo", rune=gateway.rune("method^list|method=help"))
        assert refused == {
            "error": {
                "code": 19537,
                "message": "Invalid rune: Not permitted: method does not start with list AND method is not equal to help",
            }
        }


@pytest.mark.parametrize("token", ["1", "1.50", "1e3", "123456789012345678901234567890", "null", '"\\u00e9"', '"x"', "true"])
def test_gets_its_id_back_to_the_letter(gateway, token):
    with Peer(gateway) as peer:
        reply = peer.raw(f'{{"method":"getinfo","params":[],"id":{token},"rune":"{gateway.rune()}"}}')
    assert f'"id":{token},' in reply
    assert "\n" not in reply


def test_calls_in_flight_are_told_apart_by_their_id(gateway):
    rune = gateway.rune()
    ids = [os.urandom(8) for _ in range(20)]
    with Peer(gateway) as peer:
        for n, id in enumerate(ids):
            peer.send(json.dumps({"method": "listinvoices", "params": [], "id": n, "rune": rune}).encode(), id)
        answered = {}
        for _ in ids:
            type, body = peer.message()
            assert type == 0x594D
            answered[body[:8]] = json.loads(body[8:])["id"]
    assert answered == {id: n for n, id in enumerate(ids)}


def test_pings_are_answered_with_as_many_bytes_as_asked(gateway):
    with Peer(gateway) as peer:
        for size in (0, 1, 1000, 65531):
            peer.wire.send_message(struct.pack("!HHH", PING, size, 2) + bytes(2))
            assert peer.message() == (PONG, struct.pack("!H", size) + bytes(size))
        # From 65,532 on none is wanted: the next message answers the next ping.
        peer.wire.send_message(struct.pack("!HHH", PING, 65532, 0))
        peer.wire.send_message(struct.pack("!HHH", PING, 3, 0))
        assert peer.message() == (PONG, struct.pack("!H", 3) + bytes(3))


def test_unknown_odd_messages_are_ignored_and_unknown_even_ones_end_it(gateway):
    with Peer(gateway) as peer:
        peer.wire.send_message(struct.pack("!H", 32769) + b"odd")
        assert "result" in peer.call("getinfo", rune=gateway.rune())
        peer.wire.send_message(struct.pack("!H", 32768) + b"even")
        type, body = peer.message()
        assert (type, body[:32]) == (WARNING, bytes(32))
        assert struct.unpack("!H", body[32:34])[0] == len(body[34:]) > 0
        assert peer.wire.connection.recv(1) == b""


def test_requests_of_several_parts(gateway):
    rune = gateway.rune()
    with Peer(gateway) as peer:
        request = f'{{"method":"getinfo","params":[],"id":7,"rune":"{rune}"}}'
        largest = request[:-1] + " " * (1_048_576 - len(request)) + "}"
        assert json.loads(peer.raw(largest))["id"] == 7

        # One byte more is refused, and the id is good for another try.
        id = os.urandom(8)
        peer.send(largest[:-1].encode() + b" }", id)
        refusal = json.loads(b"".join(peer.reply_parts(id)))
        assert refusal["error"] == {"code": 19536, "message": "Request too large"}
        peer.send(request.encode(), id)
        assert json.loads(b"".join(peer.reply_parts(id)))["id"] == 7


def test_a_reply_of_5_mb(gateway_of_many_channels):
    gateway = gateway_of_many_channels
    id = os.urandom(8)
    with Peer(gateway, whole=True) as peer:
        request = {"method": "listchannels", "params": {}, "id": 1, "rune": gateway.rune()}
        peer.send(json.dumps(request).encode(), id)
        parts = peer.reply_parts(id)
    text = b"".join(parts)
    assert len(text) > 5_000_000
    assert max(map(len, parts)) <= 65_000
    assert b"\n" not in text
    assert json.loads(text)["result"] == LightningRpc(gateway.node_socket).call("listchannels")


def test_1_500_calls_across_key_rotations(gateway):
    rune = gateway.rune()
    with Peer(gateway) as peer:
        for n in range(1500):
            assert peer.call("getinfo", rune=rune, id=n)["id"] == n
