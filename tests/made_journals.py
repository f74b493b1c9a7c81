"""Makes journals with one figure."""

from typing import Any


def make_lines(figure: str = "metrics/overlap", values: dict[int, float] | None = None) -> list[dict[str, Any]]:
    section, _, name = figure.partition("/")
    return [{"epoch": epoch, "curves": {}, section: {name: value}} for epoch, value in (values or {}).items()]
