"""Runes and requests for them, generated: every condition, every field, and what parsers stumble over."""

import base64
import hashlib
import json
import os
import random
import re
import string
import time
from functools import cached_property

from runes import Alternative, MasterRune, Restriction
from runes.runes import end_shastream

NOW = int(time.time())
PUNCTUATION = str.maketrans("", "", string.punctuation)


class Number(str):
    """A JSON number, to the letter."""


class Case:
    """A rune and a request, and what the reference makes of them."""

    def __init__(self, method, params_text, peer, restrictions, rune, reference_rune, twist):
        self.method, self.params_text, self.peer = method, params_text, peer
        self.restrictions, self.rune, self.reference_rune, self.twist = restrictions, rune, reference_rune, twist

    @cached_property
    def params(self):
        if self.params_text is None:
            return {}
        return json.loads(self.params_text, parse_int=Number, parse_float=Number)

    @property
    def other_view(self) -> str:
        return "pname" if isinstance(self.params, list) else "parr"

    def is_ambiguous(self, name: str) -> bool:
        name, names = name.translate(PUNCTUATION), self.params if isinstance(self.params, dict) else []
        return sum(known.translate(PUNCTUATION) == name for known in names) > 1

    @cached_property
    def parameters(self) -> dict:
        """Fields and the JSON values behind them."""
        if isinstance(self.params, list):
            return {f"parr{n}": value for n, value in enumerate(self.params)}
        stripped = {"pname" + name.translate(PUNCTUATION): value for name, value in self.params.items()}
        return stripped | {"pname" + name: value for name, value in self.params.items()}

    @cached_property
    def fields(self) -> dict:
        """What the reference is given: text, as the node has it."""
        fields = {field: text_of(value) for field, value in self.parameters.items()}
        fields |= {"method": self.method, "time": NOW, "pnum": len(self.params), "rate": paced, "per": paced}
        return fields | ({"id": self.peer} if self.peer else {})

    def is_integer(self, field: str) -> bool:
        value = self.parameters.get(field)
        if isinstance(value, Number):
            return re.fullmatch(r"0|-?[1-9]\d*", value) is not None and -(2**63) <= int(value) < 2**63
        return field in ("time", "pnum")

    def line(self) -> str:
        members = [f'"rune":"{self.rune}"', f'"method":{json.dumps(self.method)}']
        if self.params_text is not None:
            members.append(f'"params":{self.params_text}')
        if self.peer:
            members.append(f'"peer":"{self.peer}"')
        return "{" + ",".join(members) + "}"


def paced(alternative: Alternative) -> str | None:
    """`rate` and `per` of a rune never used; only sound values are generated."""
    return None if alternative.cond in "=!#" else "pace takes ="


def text_of(value) -> str:
    return value if isinstance(value, str) else compact(value)


def compact(value) -> str:
    match value:
        case Number():
            return str(value)
        case dict():
            return "{" + ",".join(f"{compact(key)}:{compact(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ",".join(map(compact, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


CONDITIONS = "=/^$~<>{}!#"
METHODS = ["getinfo", "listpeers", "listinvoices", "list", "pay", "x-y_z", "get", "5", "", "Li\u017ft", "a|b&c\\d", '"\n']
NAMES = ["label", "amount_msat", "amountmsat", "a-b", "a_b", "ab", "payment_hash", "caf\u00e9", "", "_", "x y", "bolt11", "0"]
TEXTS = ["", "a", "b", "ab", "a b", "A", "list", "caf\u00e9", "cafe\u0301", "\u20bf", "\U0001f600", "\uffff", "\ue000", "\u00b2"]
TEXTS += ["x|y", "x&y", "back\\slash", "\\", "|", "&", "\\\\&|", '"q"', "tab\tnl\n\u007f\u001f", "=", "#", "a=b|c^d"]
TEXTS += ["5", "-1", "1e3", "true", "null"]
INTEGERS = [0, 1, -1, 5, 6, 9, 10, 11, 99, 100, 1000, 10**12]
INTEGERS += [2**31, 2**32, 2**53, 2**63 - 2, 2**63 - 1, 2**63, 2**64, -(2**63), -(2**63) - 1]
NUMBERS = ["-0", "0.0", "5.0", "5.5", "1e3", "1E+2", "-1.5e-7", "123456789012345678901234567890", "1e999"]
OTHERS = ["true", "false", "null", "{}", "[]", '{"a":1}', '[1, "\\u00e9", null]', '{"b" : [ -0, 1e2 ],"\\n":""}']
OTHERS += ['"\\u0061\\/\\ud83d\\ude00"']
SPELLINGS = [" {}", "\t\n{}", "+{}", "{} ", "0{}", "{}.0", "{}x", "_{}", "{}_0", "1_{}", "\u00a0{}", "\u0665", "", "- {}"]
SPELLINGS += ["--{}", "0x{}"]
PEERS = ["02" + "ab" * 32, "03" + "0f" * 32, None]
ODD_FIELDS = ["other", "Method", "method_", "pname", "parr", "parrx", "parr00", "parr01", "parr 0", "parr18446744073709551616"]
ODD_FIELDS += ["pn", "p", "times", "caf\u00e9", "\u00a1x", "a b", "pinvbolt11_amount", "pinv", "pinvlabel_node"]
# What may be special about a pair. Of the first row we are narrower, of the others both think alike.
TWISTS = ["repeated key", "lone surrogate", "deep", "standard alphabet", "nul", "trailing |", "no id", "other id", "odd id"]
TWISTS += ["limits"]
TWISTS += ["trailing &", "needless escapes", "unpadded", "large"]
TWISTS += ["version", "not ours", "widened", "cut short", "dangling escape", "no condition"]
# The most there may be in a rune: restrictions, and bytes of text (8 KiB in base64, without the authcode).
MAX_RESTRICTIONS, MAX_TEXT_BYTES = 256, 8192 // 4 * 3 - 32
# What `time` starts with for as long as a run may take.
HOUR = os.path.commonprefix([str(NOW), str(NOW + 3600)])


class Source:
    """Makes pairs: of one seed the same ones, but for the rune secret and the id that was issued under it."""

    def __init__(self, seed: str, secret: bytes, id: str):
        self.random = random.Random(seed)
        self.pick, self.chance = self.random.choice, lambda share: self.random.random() < share
        self.secret, self.id = secret, id
        self.master = MasterRune(secret)

    def case(self) -> Case:
        twist = self.pick(TWISTS) if self.chance(0.04) else None
        method, peer = self.pick(METHODS), self.pick(PEERS)
        case = Case(method, self.params(twist), peer, [], "", "", twist)
        # Some runes hold for this request far more often than others, so that both verdicts are common.
        self.bias = self.pick([0.4, 0.75, 1.0])
        if twist in ("large", "limits"):
            case.restrictions = self.comments(over=twist == "limits")
        else:
            case.restrictions = [self.restriction(case) for _ in range(self.pick([0, 1, 1, 1, 2, 2, 3, 4]))]
        self.issue(case)
        return case

    # A request.

    def params(self, twist) -> str | None:
        if twist == "repeated key":
            return f'{{"label":{self.value()},"l\\u0061bel":{self.value()}}}'
        if twist == "lone surrogate":
            return '["\\ud800"]'
        if twist == "deep":
            return "[" * 65 + "]" * 65
        if self.chance(0.08):
            return self.pick([None, "{}", "[]", " { } "])
        count = self.pick([0, 1, 1, 2, 3, 5])
        space = self.pick(["", "", " ", "\\t"]).replace("\\t", "\t")
        if self.chance(0.5):
            return "[" + f",{space}".join(self.value() for _ in range(count)) + space + "]"
        members = [f"{self.string(name)}{space}:{self.value()}" for name in self.random.sample(NAMES, count)]
        return "{" + f"{space},".join(members) + "}"

    def value(self) -> str:
        """A JSON value as text."""
        kind = self.random.random()
        if kind < 0.4:
            return str(self.integer())
        if kind < 0.75:
            return self.string(self.text())
        return self.pick(NUMBERS if kind < 0.85 else OTHERS)

    def string(self, text: str) -> str:
        return json.dumps(text, ensure_ascii=self.chance(0.3))

    def integer(self) -> int:
        return self.pick(INTEGERS) + self.pick([0, 0, 0, 1, -1])

    def text(self) -> str:
        return self.pick(TEXTS) if self.chance(0.8) else self.pick(TEXTS) + self.pick(TEXTS)

    # A rune for it.

    def restriction(self, case: Case) -> Restriction:
        return Restriction([self.alternative(case) for _ in range(self.pick([1, 1, 1, 2, 2, 3]))])

    def comments(self, over: bool) -> list[Restriction]:
        """As much as a rune can hold, or one too many."""
        length = MAX_TEXT_BYTES - len(f"={self.id}&x#")
        comments = self.pick([[""] * (MAX_RESTRICTIONS + over), ["x" * (length + over)]])
        return [Restriction([Alternative("x", "#", comment)]) for comment in comments]

    def alternative(self, case: Case) -> Alternative:
        field = self.field(case)
        condition = self.pick(CONDITIONS)
        if field in ("rate", "per"):
            return Alternative(field, self.pick("=!#/"), self.pick(["1", "60", " +5"]))
        if field == "time":
            return self.time(condition)
        known = case.fields.get(field)
        if known is None and self.chance(self.bias):
            condition = self.pick("!!!#")
        if known is not None and condition == "!" and self.chance(self.bias):
            condition = "="
        if known is None or case.twist == "lone surrogate" or not self.chance(self.bias):
            return Alternative(field, condition, self.any_value())
        return Alternative(field, condition, self.met(condition, str(known)))

    def field(self, case: Case) -> str:
        kind = self.random.random()
        if kind < 0.45 and case.parameters:
            return self.spelled(self.pick(list(case.parameters)))
        if kind < 0.75:
            return self.pick(["method", "method", "id", "pnum", "time"])
        if kind < 0.9:
            return self.pick([f"parr{self.pick([0, 1, 2, 9])}", self.spelled("pname" + self.pick(NAMES))])
        return "rate" if kind < 0.905 else "per" if kind < 0.91 else self.pick(ODD_FIELDS)

    @staticmethod
    def spelled(field: str) -> str:
        """A field name can hold no punctuation but `_`."""
        return field if not Alternative.SEPARATORS & set(field) else field.translate(PUNCTUATION)

    def any_value(self) -> str:
        return self.integer_value(self.integer()) if self.chance(0.4) else self.text()

    def integer_value(self, number: int) -> str:
        return self.pick(SPELLINGS).format(number) if self.chance(0.15) else str(number)

    def met(self, condition: str, known: str) -> str:
        """A value with which the condition mostly holds, and else just fails."""
        cut = self.random.randint(0, len(known))
        match condition:
            case "=":
                return known
            case "^":
                return known[:cut]
            case "$":
                return known[cut:]
            case "~":
                return known[cut // 2 : cut]
            case "<" | ">":
                try:
                    number = int(known)
                except ValueError:
                    return self.any_value()
                step = self.pick([0, 1, 1, 1, 2**40])
                return self.integer_value(number + step if condition == "<" else number - step)
            case "{":
                return known + self.pick(["", "\x01", "a", "\uffff", "\U0001f600"])
            case "}":
                return known[: max(0, cut - 1)]
        return self.any_value()

    def time(self, condition: str) -> Alternative:
        """Values that the clock does not come near to."""
        met = {"<": "9999999999", ">": "1000", "^": HOUR, "~": HOUR, "{": "2", "}": "1", "/": "5"}
        unmet = {"<": "1000", ">": "9999999999", "$": "x", "~": "x", "{": "1", "}": "2", "=": "5", "^": "5"}
        value = (met if self.chance(self.bias) else unmet).get(condition, "x")
        return Alternative("time", condition, self.integer_value(int(value)) if condition in "<>" else value)

    def issue(self, case: Case):
        """Sets the case's rune: issued from the secret, unless the twist has it otherwise."""
        twist = case.twist
        odd = self.pick(["x", "0" + self.id, "+5", str(2**63)])
        unique = {"no id": None, "other id": str((int(self.id) + 1) % 2**52), "odd id": odd}.get(twist, self.id)
        if twist == "nul":
            case.restrictions.append(Restriction([Alternative("x", "#", "\0")]))
        all = case.restrictions
        if unique is not None:
            all = [Restriction.unique_id(unique, "2" if twist == "version" else None), *all]
        if twist == "trailing |" and not case.restrictions:
            case.twist = twist = None
        if twist == "no id" and not all:
            case.twist = twist = "cut short"
        authcode = self.authcode(self.secret if twist != "not ours" else self.secret[::-1], all)
        text = "&".join(restriction.encode() for restriction in all)
        if self.chance(0.01):
            ours = MasterRune(self.secret, all).to_base64()
            assert twist == "not ours" or ours == encode(authcode, text), f"another authcode: {text!r}"
        if twist == "needless escapes":
            text = "&".join(map(escaped, all))
        case.reference_rune = case.rune = encode(authcode, self.twisted(twist, text))
        if twist == "standard alphabet":
            case.rune = case.rune.translate(str.maketrans("-_", "+/"))
            case.twist = None if case.rune == case.reference_rune else twist
        elif twist == "unpadded":
            case.rune = case.rune.rstrip("=")

    @staticmethod
    def twisted(twist, text: str) -> str:
        match twist:
            case "trailing &" | "trailing |":
                return text + twist[-1]
            case "widened":
                return text.rsplit("&", 1)[0] if "&" in text else text + "&method#"
            case "cut short":
                return text[:-1] if len(text) > 3 and text[-1] not in "\\&|" else text + "&method#"
            case "dangling escape":
                return text + "\\"
            case "no condition":
                return text + "&method"
        return text

    @staticmethod
    def authcode(secret: bytes, restrictions: list[Restriction]) -> bytes:
        """As the reference's `is_rune_authorized` has it; its own `add_restriction` hashes in Python, ten times slower."""
        length, sha = len(secret), hashlib.sha256(secret)
        for restriction in restrictions:
            part = end_shastream(length) + restriction.encode().encode()
            length += len(part)
            sha.update(part)
        return sha.digest()


def escaped(restriction: Restriction) -> str:
    """Every character of every value escaped, whether it needs it or not."""
    alternatives = restriction.alternatives
    return "|".join(alt.field + alt.cond + "".join("\\" + character for character in alt.value) for alt in alternatives)


def encode(authcode: bytes, text: str) -> str:
    return base64.urlsafe_b64encode(authcode + text.encode()).decode()
