"""Rules of others said again for another table: names change, iptables' REJECT is said natively, the rest stays as it is."""

import pytest

from sampan.kernel import nftables as nft
from sampan.kernel import nftables_rules as say
from sampan.kernel.netlink import attribute, be32, nested, table, text
from sampan.kernel.nftables import Family, Rule, Verdict
from sampan.kernel.nftables_copies import CannotCopy, Foreign, fingerprint, may_refuse, referred, rule_copy
from sampan.kernel.nftables_rules import Meta

# As iptables-nft has them: `-p tcp` (by the header's own byte in older ones), an extension, a counter, REJECT.
TCP = say.icmp(Family.IPV4).replace(b"\x01\0\0\0", b"\x06\0\0\0")
OLD_TCP = nested(
    1, text(1, "payload"), nested(2, be32(1, 1), be32(2, 1), be32(3, 9), be32(4, 1))
) + nested(1, text(1, "cmp"), nested(2, be32(1, 1), be32(2, 1), nested(3, attribute(1, b"\x11"))))  # fmt: skip
MATCH = nested(1, text(1, "match"), nested(2, text(1, "tcp"), be32(2, 0), attribute(3, bytes(16))))


def target(how: int) -> bytes:
    return nested(
        1, text(1, "target"), nested(2, text(1, "REJECT"), be32(2, 0), attribute(3, how.to_bytes(4, "little")))
    )


def rule(*expressions: bytes, family: Family = Family.IPV4) -> Rule:
    return Rule(nft.rule_message(family, "filter", "INPUT", expressions)[2])


def copied(one: Rule, family: Family = Family.IPV4) -> tuple[Rule, dict[int, bytes]]:
    body = rule_copy(family, "copy", "j0", one, {"user": "j0-1"}, {"friends": "j0-s0"})[2]
    return Rule(body), table(body, 4)


def test_names_are_changed_and_counters_left_out() -> None:
    one = rule(say.source_in(Family.IPV4, "friends"), say.counter(), say.verdict(Verdict.JUMP, "user"))
    assert list(referred(one)) == [("set", "friends"), ("chain", "user")]
    again, _ = copied(one)
    assert list(referred(again)) == [("set", "j0-s0"), ("chain", "j0-1")]
    assert [name for name, _ in again.expressions] == ["payload", "lookup", "immediate"]
    assert fingerprint(one) == fingerprint(
        rule(say.source_in(Family.IPV4, "friends"), say.verdict(Verdict.JUMP, "user"))
    )


@pytest.mark.parametrize(("proto", "number", "flags"), [(TCP, 6, 0), (OLD_TCP, 17, 2), (b"", 0, 0)])
def test_extensions_of_iptables_say_their_protocol(proto: bytes, number: int, flags: int) -> None:
    _, found = copied(rule(proto, MATCH, say.verdict(Verdict.ACCEPT)))
    compat = table(found[5])
    assert (int.from_bytes(compat[1], "big"), int.from_bytes(compat[2], "big")) == (number, flags)


@pytest.mark.parametrize(
    ("family", "how", "kind", "code"),
    [
        (Family.IPV4, 3, 0, 3),
        (Family.IPV4, 7, 1, 0),
        (Family.IPV4, 8, 0, 13),
        (Family.IPV6, 4, 0, 4),
        (Family.IPV6, 6, 1, 0),
    ],
)
def test_reject_is_said_natively(family: Family, how: int, kind: int, code: int) -> None:
    again, found = copied(rule(target(how), family=family), family)
    ((name, data),) = again.expressions
    said = table(data)
    assert (name, int.from_bytes(said[1], "big"), said[2]) == ("reject", kind, bytes((code,)))
    assert 5 in found


def test_what_cannot_be_copied() -> None:
    with pytest.raises(CannotCopy, match="REJECT of kind 4"):
        copied(rule(target(4)))
    quota = nested(1, text(1, "objref"), nested(2, be32(1, 2), text(2, "most")))
    with pytest.raises(CannotCopy, match="an object of type 2"):
        copied(rule(quota))
    seen = nested(1, text(1, "objref"), nested(2, be32(1, 1), text(2, "seen")))
    again, _ = copied(rule(seen, say.verdict(Verdict.DROP)))
    assert [name for name, _ in again.expressions] == ["immediate"]
    objects = nft.set_message(Family.IPV4, "filter", "m", 1, (13, 2))[2].replace(be32(3, 0), be32(3, 0x48))
    with pytest.raises(CannotCopy, match="of objects"):
        Foreign(objects).declared(Family.IPV4, "copy", "s", 1)


@pytest.mark.parametrize(
    ("expressions", "expected"),
    [
        ((say.verdict(Verdict.ACCEPT),), False),
        ((say.verdict(Verdict.DROP),), True),
        ((MATCH, say.counter(), say.verdict(Verdict.JUMP, "user")), False),
        ((say.interface(Meta.IIFNAME, "lo"), target(3)), True),
        ((nested(1, text(1, "queue"), nested(2)),), True),
    ],
)
def test_which_rules_may_refuse(expressions: tuple[bytes, ...], expected: bool) -> None:
    assert may_refuse(rule(*expressions)) is expected


def test_elements_of_a_map_of_verdicts_lead_to_the_copies() -> None:
    jump = nested(2, nested(2, be32(1, Verdict.JUMP & 0xFFFFFFFF), text(2, "user")))
    one = nested(1, nested(1, attribute(1, b"\x1f\x90")), jump)
    declaration = nft.set_message(Family.INET, "filter", "by_port", 1, (13, 2), (0xFFFFFF00, 16))[2]
    found = Foreign(declaration)
    assert found.tell(nft.elements_messages(Family.INET, "filter", "by_port", [one]).__next__()[2]) == 1
    assert list(found.chains()) == ["user"]
    (message,) = found.filled(Family.INET, "copy", "j0-s0", {"user": "j0-1"})
    assert b"j0-1\0" in message[2]
    assert b"user\0" not in message[2]
