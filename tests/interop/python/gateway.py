"""The gateway under test: the built binary, started as a user would start it, on a port and a state directory of its own."""

import json
import os
import selectors
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

BINARY = Path(os.environ.get("RUNEWARD_BIN", Path(__file__).parents[3] / "target/debug/runeward"))
READY_SECONDS = 30
COMMAND_SECONDS = 30


def runeward(*args: str, check: bool = True) -> subprocess.CompletedProcess:
    """Runs one command of the command line to its end."""
    done = subprocess.run([BINARY, *args], capture_output=True, text=True, timeout=COMMAND_SECONDS)
    if check and done.returncode != 0:
        raise AssertionError(f"runeward {' '.join(args)}: exit {done.returncode}\n{done.stderr}")
    return done


class Gateway:
    """A running gateway; `gateway()` makes one."""

    def __init__(self, state_dir: str, ready: dict):
        self.state_dir = Path(state_dir)
        self.node_id = ready["node_id"]
        self.host, port = ready["listen"][0].rsplit(":", 1)
        self.port = int(port)
        self.node_socket = self.state_dir / "lightning-rpc"

    def rune(self, *restrictions: str) -> str:
        """A rune of the command line, beside the running daemon."""
        args = [f"--restrict={restriction}" for restriction in restrictions]
        return self.cli("rune", "create", *args).stdout.strip()

    def cli(self, *command: str, check: bool = True) -> subprocess.CompletedProcess:
        """Runs a command on the state directory."""
        return runeward(*command, "--state-dir", str(self.state_dir), check=check)

    def rune_secret(self) -> bytes:
        return bytes.fromhex((self.state_dir / "rune-secret").read_text().strip())


@contextmanager
def gateway(*args: str, node: str = "demo"):
    """Starts a gateway before a node, and ends it whatever happens."""
    if not BINARY.exists():
        raise AssertionError(f"{BINARY} is missing: run `make test`, or set RUNEWARD_BIN")
    with tempfile.TemporaryDirectory(prefix="runeward-") as state_dir, tempfile.TemporaryFile("w+") as log:
        child = subprocess.Popen(
            [BINARY, "serve", "--node", node, "--state-dir", state_dir]
            + ["--listen", "127.0.0.1:0", "--ready-json", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        try:
            line = first_line(child.stdout)
            if line is None:
                log.seek(0)
                raise AssertionError(f"runeward was not ready (exit {child.poll()}):\n{log.read()[-8000:]}")
            yield Gateway(state_dir, json.loads(line))
        finally:
            child.terminate()
            try:
                child.wait(timeout=10)
            finally:
                child.kill()
                child.wait()
                child.stdout.close()


def first_line(stream) -> bytes | None:
    deadline = time.monotonic() + READY_SECONDS
    text = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while b"\n" not in text:
            if not selector.select(deadline - time.monotonic()):
                return None
            part = os.read(stream.fileno(), 4096)
            if not part:
                return None
            text += part
    return text.split(b"\n", 1)[0]
