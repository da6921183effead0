"""PyPI `pyln-client` on the demo node's own socket: to a client it is a node like any other."""

import pytest
from pyln.client import LightningRpc, RpcError


@pytest.fixture
def node(gateway):
    return LightningRpc(gateway.node_socket)


def test_getinfo(node):
    info = node.getinfo()
    assert len(bytes.fromhex(info["id"])) == 33
    assert info["alias"]
    assert {"version", "network", "blockheight"} <= info.keys()


def test_an_invoice_from_making_to_decoding(node):
    invoice = node.invoice(amount_msat=123_000, label="pyln-client", description="one coffee")
    decoded = node.decode(invoice["bolt11"])
    assert decoded["valid"] is True
    assert decoded["payment_hash"] == invoice["payment_hash"]
    assert decoded["description"] == "one coffee"
    assert decoded["amount_msat"] == 123_000
    assert decoded["payee"] == node.getinfo()["id"]

    (listed,) = node.listinvoices("pyln-client")["invoices"]
    assert listed["bolt11"] == invoice["bolt11"]
    assert listed["status"] == "unpaid"
    assert listed["amount_msat"] == 123_000


def test_a_label_is_used_once(node):
    node.invoice(1_000, "once", "first")
    with pytest.raises(RpcError) as refused:
        node.invoice(1_000, "once", "second")
    assert refused.value.error["code"] == 900


def test_a_filter_narrows_the_reply(node):
    assert node.call("getinfo", filter={"alias": True}) == {"alias": node.getinfo()["alias"]}


def test_errors_are_the_node_s(node):
    with pytest.raises(RpcError) as refused:
        node.call("no-such-method")
    assert refused.value.error["code"] == -32601
    with pytest.raises(RpcError) as refused:
        node.call("invoice", {"label": "no amount"})
    assert refused.value.error["code"] == -32602
