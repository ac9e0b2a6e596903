"""Which functions of a TensorFlow graph call which, and how large a call becomes."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def reached(functions: Mapping[str, Any], roots: Iterable[str]) -> set[str]:
    """The roots that are functions, and all functions that these call, directly or not."""
    found, waiting = set[str](), list(roots)
    while waiting:
        name = waiting.pop()
        if name in functions and name not in found:
            found.add(name)
            waiting += calls(functions[name].node_def)
    return found


def calls(nodes: Iterable[Any]) -> Iterator[str]:
    """The names that nodes call: one for each call."""
    for node in nodes:
        # A function may also be called by using its name as an operation.
        yield node.op
        for value in node.attr.values():
            if value.HasField("func"):
                yield value.func.name
            yield from (function.name for function in value.list.func)


def expanded_nodes(functions: Mapping[str, Any]) -> dict[str, int | None]:
    """Nodes of each function with each call replaced by what it calls, as TensorFlow does when it runs one.

    None: the function reaches itself, so there is no end.
    """
    sizes: dict[str, int | None] = {}
    for root in functions:
        # Depth first and without recursion: a graph may be deeper than Python's stack.
        started, waiting = set[str](), [root]
        while waiting:
            name = waiting[-1]
            if name in sizes:
                waiting.pop()
                continue
            called = [call for call in calls(functions[name].node_def) if call in functions]
            missing = [call for call in called if call not in sizes]
            if missing and name not in started:
                started.add(name)
                waiting += set(missing)
                continue
            waiting.pop()
            # Still missing: those that are being followed, so they reach this function again.
            parts = [sizes.get(call) for call in called]
            own = len(functions[name].node_def)
            sizes[name] = None if None in parts else own + sum(part for part in parts if part is not None)
    return sizes
