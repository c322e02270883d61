from sampan.kernel import nftables as nft
from sampan.kernel import nftables_rules as say
from sampan.kernel.netlink import attribute, attributes, nested, table, text
from sampan.kernel.nftables import Family, Type


def names(*expressions: bytes) -> list[str]:
    return [table(one)[1].rstrip(b"\0").decode() for _, one in attributes(b"".join(expressions))]


def test_comments() -> None:
    assert nft.comment_of(nft.comment("sampan 0123")) == "sampan 0123"
    assert nft.comment_of(b"\5\2xx" + nft.comment("behind another")) == "behind another"
    assert len(nft.comment("x" * 500)) < 128
    for broken in (b"", b"\0", b"\0\xff", b"\1\2ab"):
        nft.comment_of(broken)


def test_concatenations_as_nft_numbers_them() -> None:
    assert nft.concatenated(Type.INET_PROTO, Type.INET_SERVICE) == 12 << 6 | 13
    assert nft.concatenated(Type.IPV4_ADDR) == 7


def test_networks_as_intervals() -> None:
    assert nft.network_element(b"\xac\x11\0\0", 16) == [
        nft.element(b"\xac\x11\0\0"),
        nft.element(b"\xac\x12\0\0", interval_end=True),
    ]
    assert len(nft.network_element(b"\xff\0\0\0", 8)) == 1  # no address stands behind it
    local = b"\xfd" + bytes(15)
    assert nft.network_element(local, 64) == [
        nft.element(local),
        nft.element(b"\xfd" + bytes(6) + b"\1" + bytes(8), interval_end=True),
    ]


def test_many_elements_go_in_several_messages() -> None:
    elements = [nft.element(number.to_bytes(4, "big"), b"x" * 8) for number in range(1200)]
    messages = list(nft.elements_messages(Family.IPV4, "t", "s", elements))
    assert [what for _, _, _, what in messages] == [
        "nft add element t s (500)",
        "nft add element t s (500)",
        "nft add element t s (200)",
    ]
    assert all(len(body) < 65536 for _, _, body, _ in messages)


def test_a_look_up_loads_the_key_in_order() -> None:
    for family in (Family.IPV4, Family.IPV6):
        with_address, without = (say.destination_nat(family, "m", one) for one in (True, False))
        assert names(with_address) == ["meta", "payload", "payload", "lookup", "nat"]
        assert names(without) == ["meta", "payload", "lookup", "nat"]


def test_conditions_before_the_verdict() -> None:
    rule = (
        say.interface(say.Meta.IIFNAME, "lo", equal=False),
        say.destination_loopback(Family.IPV4),
        say.verdict(nft.Verdict.DROP),
    )
    assert names(*rule) == ["meta", "cmp", "payload", "cmp", "immediate"]


def test_a_chain_is_read() -> None:
    body = nft.header(Family.INET) + text(1, "mine") + text(3, "forward") + text(7, "filter")
    plain = nft.Chain(body)
    assert (plain.hook, plain.policy) == (-1, None)
    base = nft.Chain(body + nested(4, attribute(1, b"\0\0\0\2"), attribute(2, bytes(4))) + attribute(5, bytes(4)))
    assert (base.family, base.table, base.name, base.hook, base.policy) == (1, "mine", "forward", 2, 0)
