"""A report's page as a reader has it: its text, its tables by their heads, and whether it is sound HTML."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img"}


class Page(HTMLParser):
    """Reads the whole page.

    Raises:
        AssertionError: an element that is not closed where it must be, or an id that is there twice.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.said: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.tables: list[list[list[str]]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []
        ids = [value for name, value in self.attributes if name == "id"]
        assert len(ids) == len(set(ids)), "an id is there twice"

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())

    def table(self, *head: str) -> list[dict[str, str]]:
        """The rows of the first table whose head begins so, by its head's words."""
        found = next(rows for rows in self.tables if rows[0][: len(head)] == list(head))
        return [dict(zip(found[0], row, strict=False)) for row in found[1:]]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.said.append(data)
        if {"td", "th"} & set(self._open):
            self.tables[-1][-1][-1] += data
