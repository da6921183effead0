"""Generated requests, read by the gateway and by Python's json: what the node gets means the same to both, or was refused."""

import json
import random
import socketserver
import threading

import pytest
from commando import Peer
from gateway import gateway as start

REQUESTS = 4000
NODE_ID = "03aacc1e48a3bfddb928de6d40c728a084614c060db4da211976d2a8aa211902cc"
INFO = {"id": NODE_ID, "alias": "python", "network": "regtest", "version": "v26.06.6"}


class Node(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A node's RPC socket that keeps the text of what it is asked."""

    daemon_threads = True

    def __init__(self, path: str):
        self.asked: list[str] = []
        super().__init__(path, Handler)


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        text, decoder = "", json.JSONDecoder()
        while part := self.request.recv(65536):
            text += part.decode()
            while text.endswith("}"):
                try:
                    request, end = decoder.raw_decode(text)
                except ValueError:
                    break
                if request["method"] not in ("getinfo", "help"):
                    self.server.asked.append(text[:end])
                result = {"getinfo": INFO, "help": {"help": []}}.get(request["method"], {})
                answer = {"jsonrpc": "2.0", "id": request["id"], "result": result}
                self.request.sendall(json.dumps(answer).encode() + b"\n\n")
                text = text[end:]


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("node") / "lightning-rpc")
    with Node(path) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving, path
        serving.shutdown()


class Writer:
    """Writes JSON as nobody should: every spelling there is, and now and then one that there is not."""

    def __init__(self, random: random.Random):
        self.random = random

    def request(self, rune: str) -> str:
        members = [("method", '"listpays"'), ("id", "1"), ("rune", json.dumps(rune)), ("params", self.params())]
        if self.random.random() < 0.2:
            members.append((self.word(), self.value(2)))
        if self.random.random() < 0.05:
            members.append(self.random.choice(members))
        self.random.shuffle(members)
        text = self.object(members)
        odd = self.random.random()
        if odd < 0.05:
            at = self.random.randrange(len(text))
            text = text[:at] + self.random.choice(['"', "{", "}", "[", ",", ":", "\\", "\0", "0", "e", " "]) + text[at:]
        elif odd < 0.08:
            text += self.random.choice(["x", "{}", ",", "]", "//", " ", "\n"])
        elif odd < 0.1:
            text = text[: self.random.randrange(len(text))]
        return text

    def params(self) -> str:
        make = self.random.choice([self.object, self.array])
        return make([(self.word(), self.value(3)) for _ in range(self.random.randrange(5))])

    def value(self, depth: int) -> str:
        kind = self.random.randrange(8 if depth else 5)
        if kind == 0:
            return self.random.choice(["true", "false", "null"] * 5 + ["True", "NaN", "Infinity", "nul", "undefined"])
        if kind == 1:
            return self.number()
        if kind < 5:
            return self.string(self.word())
        members = [(self.word(), self.value(depth - 1)) for _ in range(self.random.randrange(4))]
        return (self.object if kind < 7 else self.array)(members)

    def number(self) -> str:
        good = ["0", "-0", "1", "1e3", "1E+3", "1.50", "9007199254740993", "1e999", "-1.5e-7", str(10**30)]
        bad = ["01", "+1", "1.", ".5", "0x10", "1e", "--1", "1_000", "-"]
        return self.random.choice(good * 4 + bad)

    def word(self) -> str:
        return self.random.choice(["a", "b", "label", "method", "é", "中", "😀", "", " ", '"', "\\", "/", "\u2028", "\x7f", "$x"])

    def string(self, word: str) -> str:
        """The word, some of its characters in escapes."""
        text = ""
        for char in word:
            odd = self.random.random()
            if odd < 0.3 and ord(char) < 0x10000:
                text += f"\\u{ord(char):04{self.random.choice('xX')}}"
            elif odd < 0.32:
                text += self.random.choice(["\\x41", "\\", "\t", "\\ud800", "\\'", "\\n", "\\/", "\\ud83d\\ude00"])
            else:
                text += {'"': '\\"', "\\": "\\\\"}.get(char, char)
        return f'"{text}"'

    def object(self, members: list) -> str:
        pairs = [f"{self.gap()}{self.string(name)}{self.gap()}:{self.gap()}{value}{self.gap()}" for name, value in members]
        return "{" + ",".join(pairs) + "}"

    def array(self, members: list) -> str:
        return "[" + ",".join(f"{self.gap()}{value}{self.gap()}" for _, value in members) + "]"

    def gap(self) -> str:
        return self.random.choice([""] * 8 + [" ", "\n", "\t", "\r\n", "\v", "\u00a0"][: 4 + (self.random.random() < 0.02) * 2])


def refuse(what):
    raise ValueError(what)


def members(pairs: list) -> dict:
    found = dict(pairs)
    return found if len(found) == len(pairs) else refuse("a key twice")


def read(text: str):
    """What Python's json finds: the text of numbers, and each key once."""
    return json.loads(text, object_pairs_hook=members, parse_int=str, parse_float=str, parse_constant=refuse)


def test_what_the_node_gets_means_what_was_sent(node):
    serving, path = node
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    writer = Writer(random.Random(seed))
    forwarded = refused = 0
    with start(node=f"cln:{path}") as gateway:
        rune = gateway.rune()
        with Peer(gateway) as peer:
            for _ in range(REQUESTS):
                request = writer.request(rune)
                serving.asked.clear()
                reply = json.loads(peer.raw(request))
                if "error" in reply:
                    assert not serving.asked, f"refused and forwarded: {request!r}"
                    assert reply["error"]["code"] in (19536, 19537, -32601, -32602), f"{reply} to {request!r}"
                    refused += 1
                    continue
                (asked,) = serving.asked
                sent, got = read(request), read(asked)
                assert got["method"] == sent["method"], request
                assert got["params"] == sent.get("params", {}), f"{request!r} became {asked!r}"
                assert set(got) <= {"jsonrpc", "id", "method", "params"}, asked
                forwarded += 1
    print(f"{forwarded} forwarded, {refused} refused")
    assert min(forwarded, refused) > REQUESTS // 10


def test_as_many_values_as_are_read_mean_what_was_sent(node):
    serving, path = node
    with start(node=f"cln:{path}") as gateway:
        rune = gateway.rune()
        with Peer(gateway) as peer:
            for values, is_read in [(19_995, True), (19_996, True), (19_997, False), (200_000, False)]:
                params = [[], {}, 1, "a"] * (values // 4 + 1)
                request = {"method": "listpays", "params": params[:values], "id": 1, "rune": rune}
                serving.asked.clear()
                reply = json.loads(peer.raw(json.dumps(request, separators=(",", ":"))))
                assert ("result" in reply) == is_read, (values, reply)
                assert [read(asked)["params"] for asked in serving.asked] == [read(json.dumps(request))["params"]] * is_read
