"""What the long checks found: steps on disk while they go on, figures as JSON in the documentation, and their page."""

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
BEGIN, END = "<!-- figures: python -m tests.soak writes them -->", "<!-- end of figures -->"
PACKAGES = ("variants", "metrics", "benchmarks", "reports")


def code() -> str:
    """The first digits of a SHA-256 over the syntax trees of the four packages: what was checked."""
    digest = hashlib.sha256()
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        digest.update(f"{path.relative_to(ROOT).as_posix()}\n{ast.dump(ast.parse(path.read_bytes()))}\n".encode())
    return digest.hexdigest()[:12]


class Steps:
    """The steps of a part, one JSON object a line, in a file that is only appended to. A torn last line is dropped.

    Steps of other code count for nothing: a file that other code began is begun anew.
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
        """Keeps a step; it counts once this returns."""
        self.done.append(dict(step))
        with open(self.path, "a") as file:
            file.write(self._line(step))
            file.flush()
            os.fsync(file.fileno())


def kept() -> dict[str, dict[str, Any]]:
    """The figures of all parts that were done, by the name of the part."""
    return json.loads(FIGURES.read_text()) if FIGURES.exists() else {}


def keep(part: str, figures: Mapping[str, Any]) -> None:
    """Writes the figures of a part into the documentation, and into its page."""
    every = {**kept(), part: dict(figures)}
    FIGURES.write_text(json.dumps(every, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(shown(PAGE.read_text(), every))


def shown(page: str, every: Mapping[str, Mapping[str, Any]]) -> str:
    """The page with these figures in the place of those that it had."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no place for figures, between {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{table(every)}\n{END}{after}"


def table(every: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each figure that is no list."""
    rows = ["| check | figure | value |", "|---|---|---|"]
    for part, figures in sorted(every.items()):
        for name, value in sorted(figures.items()):
            if not isinstance(value, list | dict):
                told = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
                rows.append(f"| {part} | {name.replace('_', ' ')} | {told} |")
    return "\n".join(rows) + "\n" if every else "None has been run to its end yet.\n"
