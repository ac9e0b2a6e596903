"""Two fields to one frame, by FFmpeg's bwdif filter (Weston 3-field deinterlacing)."""

from collections import deque
from collections.abc import Iterator
from typing import Any


class Deinterlacer:
    """Deinterlaces the frames of a video that are interlaced; others pass through.

    Attributes:
        used: whether the last frame that was returned was interlaced.
    """

    def __init__(self) -> None:
        self.used = False

    def run(self, frames: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """The frames, as many as go in and in the same order.

        Args:
            frames: index and ``av.VideoFrame`` of all frames of a video; the filter looks at the neighbours of each.
        """
        graph: Any = None
        shape = None
        waiting: deque[tuple[int, bool]] = deque()
        for index, decoded in frames:
            now = (decoded.width, decoded.height, decoded.format.name)
            if graph is not None and now != shape:
                yield from self._rest(graph, waiting)
                graph = None
            if graph is None:
                graph, shape = _graph(decoded), now
            waiting.append((index, bool(decoded.interlaced_frame)))
            graph.push(decoded)
            yield from self._ready(graph, waiting)
        if graph is not None:
            yield from self._rest(graph, waiting)

    def _rest(self, graph: Any, waiting: deque[tuple[int, bool]]) -> Iterator[tuple[int, Any]]:
        graph.push(None)
        yield from self._ready(graph, waiting)

    def _ready(self, graph: Any, waiting: deque[tuple[int, bool]]) -> Iterator[tuple[int, Any]]:
        import av

        while waiting:
            try:
                filtered = graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            index, self.used = waiting.popleft()
            yield index, filtered


def _graph(decoded: Any) -> Any:
    from av.filter import Graph

    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        template=None, width=decoded.width, height=decoded.height, format=decoded.format, time_base=decoded.time_base
    )
    bwdif = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(bwdif)
    bwdif.link_to(sink)
    graph.configure()
    return graph
