"""Writes the requests of the recorded cases to DIR/request and DIR/rune, as inputs to start from: python3 seeds.py DIR"""

import base64
import json
import sys
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLES = [*ROOT.glob("tests/conformance/*.json"), ROOT / "policy/tests/recorded.json"]


def requests(value):
    """Every request in a table, as text: they stand in it as strings or as objects."""
    if isinstance(value, str):
        if value.lstrip().startswith("{") and '"rune"' in value:
            yield value
    elif isinstance(value, dict) and "rune" in value and "method" in value:
        yield json.dumps({"id": 1} | value)
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from requests(item)


def rune_inputs(request: str):
    """A request as `rune.rs` reads one: a rune or its restrictions, one more, the method, the parameters."""
    try:
        request = json.loads(request)
        rune, method, params = request["rune"], request["method"], request.get("params", {})
        text = base64.urlsafe_b64decode(rune)[32:].decode()
    except (KeyError, TypeError, ValueError):
        return
    lines = [f"{name}={value}" for name, value in params.items()] if isinstance(params, dict) else [str(params)]
    for first in (rune, text.partition("&")[2]):
        yield "\n".join([first, "method^list|pnum<2", str(method), *lines])


def write(dir: Path, seed: str):
    dir.mkdir(parents=True, exist_ok=True)
    data = seed.encode(errors="replace")
    (dir / sha256(data).hexdigest()[:16]).write_bytes(data)


def main(dir: Path):
    for table in TABLES:
        for request in requests(json.loads(table.read_text())):
            write(dir / "request", request)
            for seed in rune_inputs(request):
                write(dir / "rune", seed)


main(Path(sys.argv[1]))
