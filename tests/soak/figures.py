"""Keeps the steps of the long checks on disk, and their figures as JSON and on a page of the documentation."""

import ast
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
FIGURES = ROOT / "docs" / "soak.json"
PAGE = ROOT / "docs" / "trust.md"
_BEGIN, _END = "<!-- figures: python -m tests.soak writes them -->", "<!-- end of figures -->"
PACKAGES = ("variants", "metrics", "benchmarks", "reports")


def code() -> str:
    """Returns the first digits of a SHA-256 over the syntax trees of the four packages: the checked code."""
    digest = hashlib.sha256()
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        digest.update(f"{path.relative_to(ROOT).as_posix()}\n{ast.dump(ast.parse(path.read_bytes()))}\n".encode())
    return digest.hexdigest()[:12]


class Steps:
    """Keeps the steps of a part, one JSON object per line, in a file that is only appended to.

    A torn last line is dropped, and so are the steps of other code.
    """

    def __init__(self, path: Path, of: str) -> None:
        self.path, self.of = path, of
        path.parent.mkdir(parents=True, exist_ok=True)
        self.done = [step for step in self._read() if step.pop("code", None) == of]
        path.write_text("".join(self._line(step) for step in self.done))

    def _read(self) -> Iterator[dict[str, Any]]:
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                try:
                    yield json.loads(line)
                except ValueError:
                    return

    def _line(self, step: Mapping[str, Any]) -> str:
        return json.dumps({**step, "code": self.of}) + "\n"

    def add(self, step: Mapping[str, Any]) -> None:
        """Keeps a step: it is on disk once this returns."""
        self.done.append(dict(step))
        with open(self.path, "a") as file:
            file.write(self._line(step))
            file.flush()
            os.fsync(file.fileno())


def load_figures() -> dict[str, dict[str, Any]]:
    """Returns the figures of all parts that were done, by the name of the part."""
    return json.loads(FIGURES.read_text()) if FIGURES.exists() else {}


def keep_figures(part: str, figures: Mapping[str, Any]) -> None:
    """Writes the figures of a part into the documentation: the JSON file and the page."""
    every = {**load_figures(), part: dict(figures)}
    FIGURES.write_text(json.dumps(every, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(fill_page(PAGE.read_text(), every))


def fill_page(page: str, every: Mapping[str, Mapping[str, Any]]) -> str:
    """Replaces the figures on the page by these."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no place for figures, between {_BEGIN!r} and {_END!r}")
    return f"{before}{_BEGIN}\n\n{_table(every)}\n{_END}{after}"


def _table(every: Mapping[str, Mapping[str, Any]]) -> str:
    """Makes a row for each figure that is a single value."""
    rows = ["| check | figure | value |", "|---|---|---|"]
    for part, figures in sorted(every.items()):
        for name, value in sorted(figures.items()):
            if not isinstance(value, list | dict):
                text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
                rows.append(f"| {part} | {name.replace('_', ' ')} | {text} |")
    return "\n".join(rows) + "\n" if every else "None has been run to its end yet.\n"
