"""Reads, checks, merges and writes tuned settings: the learning rate of each arm, and what its runs cost and vary.

`benchmarks.tune` writes them as JSON, by default beside the code (`tuned/PRESET.json`); plans read them.
"""

import json
import shlex
import sys
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from benchmarks import plugins
from benchmarks.questions.presets import Preset
from variants import UserError
from variants.recipe import shown


def tuning_file(name: str) -> Path:
    """Returns the file beside the code that holds the tuned settings of a preset."""
    return Path(str(resources.files("benchmarks.suites"))) / "tuned" / f"{name}.json"


def tuning_command(preset: str, arms: Iterable[str] = (), file: str = "") -> str:
    """Returns the command line that tunes these arms of a preset (all by default) with the plugins of this process.

    file: where it keeps the result; "" for the file beside the code.
    """
    words = ["python", "-m", "benchmarks.tune", "--preset", preset, *(["--arms", *arms] if arms else [])]
    return shlex.join([*words, *plugins.list_arguments(), *(["--out", file] if file else [])])


def load_tuned_settings(preset: Preset, file: Path | str | None = None) -> dict[str, Any]:
    """Returns the tuned settings for the plan of a preset; without arms where there is no file: `make_plan` names them.

    Raises UserError for a damaged file, for one of another preset, and for a preset that is not tuned.
    """
    if file is not None and not preset.tuned:
        raise UserError(f"the preset {preset.name} is not tuned, so --tuned would change nothing")
    if preset.tuned and Path(tuning_file(preset.name) if file is None else file).exists():
        return read_tuning(preset.name, file)
    return {"arms": {}} if file is None else {"arms": {}, "file": str(file)}


def read_tuning(name: str, file: Path | str | None = None) -> dict[str, Any]:
    """Reads the tuned settings of a preset from a file, by default the one beside the code.

    A given file is kept under "file" in the result, so that later errors can name it. Raises UserError where there are
    none.
    """
    path = tuning_file(name) if file is None else Path(file)
    command = tuning_command(name, file="" if file is None else str(file))
    try:
        kept = json.loads(path.read_bytes())
    except FileNotFoundError:
        where = "" if file is None else f" in {file}"
        raise UserError(f"the preset {name} has no tuned settings{where}; {command} makes them") from None
    except OSError as error:
        raise UserError(f"cannot read the tuned settings {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON: {error}") from None
    if not _is_tuning(kept):
        raise UserError(f"{path} is damaged; {command} makes it anew")
    if kept.get("preset", name) != name:
        raise UserError(f"{path} has the tuned settings of the preset {shown(kept['preset'])}, not of {name}")
    return kept if file is None else {**kept, "file": str(file)}


def load_previous(preset: Preset, out: Path) -> dict[str, Any]:
    """Returns the settings that stay where only some arms are tuned: from `out`, else from beside the code, else {}."""
    for file in (out, tuning_file(preset.name)):
        if file.exists():
            return read_tuning(preset.name, file)
    return {}


def merge_tuning(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Adds newly tuned arms to earlier settings; each names its code where that is not the code of the others.

    Known deviations between seeds stay: they are pooled over all arms, and the new ones are only some.
    """
    if not before:
        return dict(now)
    code = {} if before.get("code") == now["code"] else {"code": now["code"]}
    known = before.get("deviations", {})
    return {
        **{name: before.get(name, now[name]) for name in ("preset", "seeds", "budget", "code")},
        "arms": {**before["arms"], **{name: {**arm, **code} for name, arm in now["arms"].items()}},
        "deviations": {
            role: {**now["deviations"].get(role, {}), **known.get(role, {})} for role in {**known, **now["deviations"]}
        },
        "seconds_per_run": {**before.get("seconds_per_run", {}), **now["seconds_per_run"]},
        "seconds_per_update": before.get("seconds_per_update", {}),
    }


def _is_tuning(kept: Any) -> bool:
    """Tells whether a JSON value has the form of tuned settings."""

    def is_number(value: Any) -> bool:
        # A whole number may be more than any float.
        whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
        return isinstance(value, float) or whole

    def is_entry(value: Any) -> bool:
        grid = value.get("grid") if isinstance(value, dict) else None
        return (
            isinstance(grid, dict)
            and all(
                isinstance(seeds, list) and all(x is None or is_number(x) for x in seeds) for seeds in grid.values()
            )
            and is_number(value.get("winner"))
            and (value.get("quality") is None or is_number(value["quality"]))
            and isinstance(value.get("metric"), str)
        )

    def all_are(check: Any, values: Any) -> bool:
        return isinstance(values, dict) and all(map(check, values.values()))

    def are_numbers(values: Any) -> bool:
        return all_are(is_number, values)

    return (
        isinstance(kept, dict)
        and all_are(is_entry, kept.get("arms"))
        and all(are_numbers(kept.get(name, {})) for name in ("seconds_per_run", "seconds_per_update"))
        and all_are(are_numbers, kept.get("deviations", {}))
    )
