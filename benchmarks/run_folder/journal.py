"""The lines of a journal (metrics.jsonl): one JSON object an epoch, checked before writing and when read."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from variants.recipe import shown


def parse_json(data: bytes, damaged: Callable[[str], Exception]) -> Any:
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
    """How many bytes of a journal are whole lines, and the epoch of the last of them (-1 where there is none).

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


def check_line(line: Any, least_epoch: int, damaged: Callable[[str], Exception]) -> dict[str, Any]:
    """A journal line with its figures as floats: an epoch, and sections of figures by name."""
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


def check_figures(values: Any, damaged: Callable[[str], Exception]) -> dict[str, float]:
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
