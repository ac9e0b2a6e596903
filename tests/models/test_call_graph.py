"""How large a call becomes; functions here are made by hand."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from dflib.models.call_graph import expanded_nodes


def functions(calls: Mapping[str, str]) -> dict[str, Any]:
    """Functions by their names, each with one node for each letter of what it calls."""
    return {
        name: SimpleNamespace(node_def=[SimpleNamespace(op=op, attr={}) for op in called])
        for name, called in calls.items()
    }


def test_each_call_counts() -> None:
    assert expanded_nodes(functions({"a": "bbR", "b": "cc", "c": "RRR"})) == {"a": 19, "b": 8, "c": 3}


def test_whatever_reaches_itself_has_no_end() -> None:
    found = expanded_nodes(functions({"s": "bR", "a": "b", "b": "cR", "c": "a", "d": "dR", "e": "RR"}))
    assert found == {"s": None, "a": None, "b": None, "c": None, "d": None, "e": 2}


def test_depth_is_not_limited_by_pythons_stack() -> None:
    chain = {str(level): [str(level + 1)] for level in range(20_000)}
    made = {
        name: SimpleNamespace(node_def=[SimpleNamespace(op=op, attr={}) for op in called])
        for name, called in chain.items()
    }
    assert expanded_nodes(made)["0"] == 20_000
