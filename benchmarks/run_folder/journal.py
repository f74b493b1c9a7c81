"""Encodes and decodes the lines of a journal (metrics.jsonl): one JSON object an epoch, checked both ways."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from variants.recipe import shown

# Makes the error for a problem, with the file that has it.
Damaged = Callable[[str], Exception]


def parse_json(data: bytes, damaged: Damaged) -> Any:
    """Parses JSON. Raises `damaged` for what is none, and for text that cannot be encoded again."""
    try:
        text = data.decode()
        value = json.loads(text)
        # JSON can spell half of a surrogate pair, which nothing can print or store later.
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise damaged(f"it is not JSON ({str(error)[:100]})") from None
    return value


def encode_line(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def find_whole_part(data: bytes) -> tuple[int, int]:
    """Returns how many bytes of a journal are whole lines, and the epoch of the last of them (-1 where there is none).

    The last line counts only with its line end, and only if it can be read: a machine that loses its power may leave
    a file longer than what reached the disk.
    """
    end = data.rfind(b"\n") + 1
    for _ in range(2):
        start = data.rfind(b"\n", 0, max(end - 1, 0)) + 1
        with suppress(ValueError, RecursionError, KeyError, TypeError, OverflowError):
            return end, int(json.loads(data[start:end].decode())["epoch"])
        end = start
    return end, -1


def decode_lines(data: bytes, damaged: Damaged) -> list[dict[str, Any]]:
    """Returns every whole line of a journal, without a torn last one. Raises `damaged`, with the number of the line."""
    lines: list[dict[str, Any]] = []
    for number, text in enumerate(data[: find_whole_part(data)[0]].split(b"\n")[:-1], start=1):

        def damaged_line(problem: str, number: int = number) -> Exception:
            return damaged(f"line {number}: {problem}")

        last = lines[-1]["epoch"] if lines else -1
        lines.append(check_line(parse_json(text, damaged_line), last + 1, damaged_line))
    return lines


def check_line(line: Any, least_epoch: int, damaged: Damaged) -> dict[str, Any]:
    """Returns a line with its figures as floats: an epoch, from `least_epoch`, and sections of figures by name."""
    if not isinstance(line, Mapping):
        raise damaged("it is not an object")
    epoch = line.get("epoch")
    if not isinstance(epoch, int) or isinstance(epoch, bool) or not least_epoch <= epoch < 10**9:
        raise damaged(f"its epoch is {shown(epoch)}, which is not a whole number from {least_epoch}")
    checked: dict[str, Any] = {"epoch": epoch}
    for section, figures in line.items():
        if section != "epoch":
            checked[section] = check_figures(figures, lambda problem, section=section: damaged(f"{section}: {problem}"))
    return checked


def check_figures(values: Any, damaged: Damaged) -> dict[str, float]:
    if not isinstance(values, Mapping):
        raise damaged("it is not an object of figures")
    figures = {}
    for name, value in values.items():
        if not isinstance(name, str) or not isinstance(value, (int, float)) or isinstance(value, bool):
            raise damaged(f"{str(name)[:100]!r} is not a figure")
        try:
            figures[name] = float(value)
        except OverflowError:
            raise damaged(f"{name[:100]!r} is a whole number beyond any figure") from None
    return figures
