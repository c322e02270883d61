"""Device rules: the v2 program is run by a small interpreter and compared with the rules' own meaning."""

import itertools
import random
import struct

import pytest

from sampan.cgroups.devices import allows_everything, v1_writes, v2_program
from sampan.errors import InvalidParameter
from sampan.spec.oci_runtime import DeviceRule

DENY_ALL = DeviceRule(allow=False)
ALLOW_ALL = DeviceRule(allow=True)
NULL = DeviceRule(allow=True, type="c", major=1, minor=3)
NODES = DeviceRule(allow=True, type="c", access="m")
TERMINALS = DeviceRule(allow=True, type="c", major=136)
DISK_READ = DeviceRule(allow=True, type="b", major=8, minor=0, access="r")
DISK_WRITE = DeviceRule(allow=True, type="b", major=8, minor=0, access="w")

BITS = {"m": 1, "r": 2, "w": 4}
KINDS = {"b": 1, "c": 2}


def run(program: bytes, kind: str, major: int, minor: int, access: str) -> bool:
    """What the kernel would answer. Fails on an instruction it does not know, a jump out of the program, or a loop."""
    code = [struct.unpack_from("<BBhi", program, at) for at in range(0, len(program), 8)]
    context = struct.pack("<III", sum(BITS[one] for one in access) << 16 | KINDS[kind], major, minor)
    registers: dict[int, int] = {}
    at = 0
    for _ in range(len(code) + 1):
        operation, pair, offset, constant = code[at]
        target, source = pair & 15, pair >> 4
        at += 1
        match operation:
            case 0x61:
                assert source == 1
                registers[target] = struct.unpack_from("<I", context, offset)[0]
            case 0x54:
                registers[target] &= constant & 0xFFFFFFFF
            case 0x74:
                registers[target] >>= constant
            case 0xB4:
                registers[target] = constant
            case 0xBC:
                registers[target] = registers[source]
            case 0x15:
                at += offset if registers[target] == constant else 0
            case 0x55:
                at += offset if registers[target] != constant else 0
            case 0x95:
                return bool(registers[0])
            case _:
                raise AssertionError(f"unknown instruction {operation:#x}")
        assert 0 <= at < len(code)
    raise AssertionError("no end")


def meant(rules: list[DeviceRule], kind: str, major: int, minor: int, access: str) -> bool:
    """Each kind of access for itself: the last rule that speaks of it decides, else it is denied."""

    def one(letter: str) -> bool:
        for rule in reversed(rules):
            fits = rule.type in ("a", kind) and rule.major in (None, major) and rule.minor in (None, minor)
            if fits and letter in rule.access:
                return rule.allow
        return False

    return all(one(letter) for letter in access)


@pytest.mark.parametrize(
    ("rules", "kind", "major", "minor", "access", "allowed"),
    [
        ([DENY_ALL], "c", 1, 3, "r", False),
        ([DENY_ALL, NULL], "c", 1, 3, "rw", True),
        ([DENY_ALL, NULL], "c", 1, 5, "r", False),
        ([DENY_ALL, NULL], "b", 1, 3, "r", False),
        ([DENY_ALL, NODES], "c", 9, 9, "m", True),
        ([DENY_ALL, NODES], "c", 9, 9, "rm", False),
        ([DENY_ALL, TERMINALS], "c", 136, 77, "rw", True),
        ([DENY_ALL, DISK_READ], "b", 8, 0, "rw", False),
        ([DENY_ALL, DISK_READ, DISK_WRITE], "b", 8, 0, "rw", True),
        ([DENY_ALL, NULL, DENY_ALL], "c", 1, 3, "r", False),
        ([ALLOW_ALL, DeviceRule(allow=False, type="b", major=8)], "b", 8, 1, "r", False),
        ([ALLOW_ALL, DeviceRule(allow=False, type="b", major=8)], "b", 9, 1, "rwm", True),
        (
            [DENY_ALL, TERMINALS, DeviceRule(allow=False, type="c", major=136, minor=2, access="w")],
            "c",
            136,
            2,
            "r",
            True,
        ),
        (
            [DENY_ALL, TERMINALS, DeviceRule(allow=False, type="c", major=136, minor=2, access="w")],
            "c",
            136,
            2,
            "w",
            False,
        ),
    ],
)
def test_program(rules: list[DeviceRule], kind: str, major: int, minor: int, access: str, allowed: bool) -> None:
    assert run(v2_program(rules), kind, major, minor, access) is allowed
    assert meant(rules, kind, major, minor, access) is allowed


def test_program_means_what_the_rules_mean() -> None:
    chance = random.Random(3)
    accesses = ["".join(some) for size in (1, 2, 3) for some in itertools.combinations("rwm", size)]
    for _ in range(300):
        rules = [
            DeviceRule(
                allow=chance.random() < 0.6,
                type=chance.choice("abc"),
                major=chance.choice((None, 1, 8)),
                minor=chance.choice((None, 0, 3)),
                access=chance.choice(accesses),
            )
            for _ in range(chance.randrange(1, 7))
        ]
        program = v2_program(rules)
        for kind, major, minor, access in itertools.product("bc", (1, 8, 9), (0, 3, 4), accesses):
            expected = meant(rules, kind, major, minor, access)
            answer = run(program, kind, major, minor, access) if program else True
            assert answer is expected, (rules, kind, major, minor, access)


@pytest.mark.parametrize(
    ("rules", "everything"),
    [
        ([], True),
        ([ALLOW_ALL], True),
        ([DENY_ALL, NULL, ALLOW_ALL], True),
        ([ALLOW_ALL, NULL], True),
        ([ALLOW_ALL, DENY_ALL], False),
        ([NULL], False),
        ([DeviceRule(allow=True, access="rw")], False),
    ],
)
def test_allows_everything(rules: list[DeviceRule], everything: bool) -> None:
    assert allows_everything(rules) is everything
    assert (v2_program(rules) == b"") is everything
    assert (v1_writes(rules) == []) is everything


@pytest.mark.parametrize(
    ("rules", "writes"),
    [
        (
            [DENY_ALL, NODES, NULL, TERMINALS, NULL],
            [("deny", "a"), ("allow", "c *:* m"), ("allow", "c 1:3 rwm"), ("allow", "c 136:* rwm")],
        ),
        ([NULL], [("deny", "a"), ("allow", "c 1:3 rwm")]),
        ([ALLOW_ALL, DeviceRule(allow=False, type="b", major=8)], [("deny", "b 8:* rwm")]),
        (
            [DENY_ALL, DeviceRule(allow=True, major=10, access="r")],
            [("deny", "a"), ("allow", "b 10:* r"), ("allow", "c 10:* r")],
        ),
        ([NULL, DENY_ALL], [("deny", "a")]),
    ],
)
def test_v1_writes(rules: list[DeviceRule], writes: list[tuple[str, str]]) -> None:
    assert v1_writes(rules) == [(f"devices.{file}", line) for file, line in writes]


def test_v1_cannot_take_back_part_of_a_rule() -> None:
    with pytest.raises(InvalidParameter, match="overrides an earlier one"):
        v1_writes([DENY_ALL, TERMINALS, DeviceRule(allow=False, type="c", major=136, minor=2)])


def test_v1_passes_over_a_denial_of_what_was_never_allowed() -> None:
    fuse = DeviceRule(allow=False, type="c", major=10, minor=229)
    assert v1_writes([DENY_ALL, NULL, fuse]) == [("devices.deny", "a"), ("devices.allow", "c 1:3 rwm")]


@pytest.mark.parametrize("rule", [DeviceRule(allow=True, type="p"), DeviceRule(allow=True, type="c", access="x")])
def test_what_is_no_rule(rule: DeviceRule) -> None:
    with pytest.raises(InvalidParameter):
        v2_program([DENY_ALL, rule])
    if rule.type == "p":
        with pytest.raises(InvalidParameter):
            v1_writes([DENY_ALL, rule])
