"""A page as a browser without JavaScript has it."""

from html.parser import HTMLParser

FETCHING = ("src", "href", "srcset", "data", "action", "poster", "background", "formaction")
VOID = ("meta", "link", "img", "input", "br", "hr")


class ParsedPage(HTMLParser):
    """Elements, attributes, links and text of a page.

    Attributes:
        tags: names of all elements.
        attributes: all attributes as (element, attribute, value).
        sources: values of attributes that may fetch something, except links inside the report.
        links: values of ``href`` of ``a`` elements.
        text: outside of ``style`` and ``script``.
        tables: by the ``id`` of the table ("" without one), its rows as lists of the text of each cell.
        ids: all values of ``id``.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.sources: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.tables: dict[str, list[list[str]]] = {}
        self.ids: list[str] = []
        self._open: list[str] = []
        self._table: list[list[str]] = []
        self.feed(text)
        self.close()
        self.tables = {
            name: [[" ".join(cell.split()) for cell in row] for row in rows] for name, rows in self.tables.items()
        }
        assert not self._open, f"elements are not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = {name: value or "" for name, value in attrs}
        self.attributes += [(tag, name, value) for name, value in values.items()]
        self.ids += [values["id"]] if "id" in values else []
        if tag == "a":
            self.links.append(values["href"])
        else:
            self.sources += [value for name, value in values.items() if name in FETCHING]
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self._table = self.tables.setdefault(values.get("id", ""), [])
        elif tag == "tr":
            self._table.append([])
        elif tag in ("td", "th"):
            self._table[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self._open):
            self.text += data
            if {"td", "th"} & set(self._open):
                self._table[-1][-1] += data
