"""What a page says, read from its HTML."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img", "input"}


@dataclass
class Page(HTMLParser):
    """The tags that were opened, ids, text by section, and tables by caption.

    A table is a list of rows, a row a list of (text, class) of its cells.
    """

    text: str
    tags: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    sections: dict[str, str] = field(default_factory=dict)
    tables: dict[str, list[list[tuple[str, str]]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        self._section = self._caption = ""
        self._rows: list[list[tuple[str, str]]] = []
        self.feed(self.text)
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.addresses += [found[name] for name in ("href", "src") if name in found]
        if tag == "svg":
            assert found["role"] == "img"
            self.labels.append(found["aria-label"])
        if tag == "section":
            self._section = found["id"]
            self.sections[self._section] = ""
        if tag == "table":
            self._caption, self._rows = "", []
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append(("", found.get("class", "")))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag == "table":
            self.tables[self._caption] = self._rows
        if tag == "section":
            self._section = ""

    def handle_data(self, data: str) -> None:
        if self._section:
            self.sections[self._section] += data
        if "caption" in self._open:
            self._caption += data
        cells = {"td", "th"} & set(self._open)
        if cells:
            text, kind = self._rows[-1][-1]
            self._rows[-1][-1] = (" ".join(f"{text} {data}".split()), kind)
