"""The README and the pages of `docs/`, as tests read them: their sections, blocks, code and links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_OPERATORS: Final = {"&&", "||", "|", ";", ">", ">>"}


@dataclass(frozen=True)
class Block:
    """A fenced block, with what stands in the line before it."""

    language: str
    text: str
    above: str


@dataclass(frozen=True)
class Page:
    """A page in Markdown; its name is its path from the repository's folder."""

    name: str
    text: str

    @property
    def prose(self) -> str:
        """The text without its blocks."""
        return _FENCE.sub("", self.text)

    @property
    def blocks(self) -> list[Block]:
        return [
            Block(found[1], found[2], self.text[: found.start()].rstrip("\n").rpartition("\n")[2])
            for found in _FENCE.finditer(self.text)
        ]

    @property
    def spans(self) -> list[str]:
        """What is marked as code inside the text."""
        return re.findall(r"`([^`]+)`", self.prose)

    @property
    def code_lines(self) -> list[str]:
        """Lines of shell blocks, and what is marked as code inside the text."""
        return ["", *"".join(self.of("sh")).splitlines(), *self.spans]

    @property
    def links(self) -> list[str]:
        """Where links lead, those to other sites left out."""
        return [target for target in re.findall(r"\]\(([^)]+)\)", self.prose) if "://" not in target]

    @property
    def title(self) -> str:
        return self.text.partition("\n")[0].removeprefix("# ")

    @property
    def anchors(self) -> set[str]:
        """The fragments under which its headings are found, made as GitHub makes them."""
        headings = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    def of(self, language: str) -> list[str]:
        """The texts of the blocks in a language."""
        return [block.text for block in self.blocks if block.language == language]

    def only(self, language: str) -> str:
        """The text of the only block in a language."""
        (text,) = self.of(language)
        return text

    def section(self, title: str) -> Page:
        """What is below a heading of the second level."""
        found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", self.text, re.MULTILINE | re.DOTALL)
        assert found, title
        return Page(f"{self.name}, {title}", found[1])

    def commands(self) -> Iterator[list[str]]:
        """The arguments of every `fashion-wallet ...`."""
        for line in self.code_lines:
            if "fashion-wallet " not in line:
                continue
            words = shlex.split(line, comments=True)
            while "fashion-wallet" in words:
                words = words[words.index("fashion-wallet") + 1 :]
                end = next((index for index, word in enumerate(words) if word in _OPERATORS), len(words))
                yield words[:end]

    def modules(self) -> Iterator[tuple[str, list[str]]]:
        """Every module that is run by `python -m ...`, with its options."""
        for line in self.code_lines:
            for module, arguments in re.findall(r"python -m ([\w.]+)(.*)", line):
                yield module, re.findall(r"--[\w-]+", arguments.partition("#")[0])


def page(name: str) -> Page:
    return Page(name, (ROOT / name).read_text("utf-8"))


README: Final = page("README.md")
DOCS: Final = [page(path.relative_to(ROOT).as_posix()) for path in sorted((ROOT / "docs").rglob("*.md"))]
BESIDE_CODE: Final = [page("CONTRIBUTING.md"), page("api/execution/README.md"), page("tests/support/README.md")]
PAGES: Final = [README, *BESIDE_CODE, *DOCS]
"""Every page that somebody reads."""
