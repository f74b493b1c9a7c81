"""benchmarks.suites.tuned_settings: TODO."""

import json
import shlex
import sys
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from benchmarks import plugins
from benchmarks.questions.presets import Preset
from variants import UserError
from variants.recipe import shown


def tuning_file(name: str) -> Path:
    """Where the tuned settings of a preset are kept, with the code."""
    return Path(str(resources.files("benchmarks.suites"))) / "tuned" / f"{name}.json"


def read_tuning(name: str, file: Path | str | None = None) -> dict[str, Any]:
    """The tuned settings that are kept for a preset: in that file, by default in the one with the code.

    A file that is given is under "file" in the result, so that a refusal names it. Raises UserError where there are
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


def load_tuned_settings(preset: Preset, file: Path | str | None = None) -> dict[str, Any]:
    """The tuned settings for the plan of a preset; of no arms where there are none: `make_plan` names who needs some.

    Raises UserError for a file that is damaged, or of another preset, or given for a preset that is not tuned.
    """
    if file is not None and not preset.tuned:
        raise UserError(f"the preset {preset.name} is not tuned, so --tuned would change nothing")
    if preset.tuned and Path(tuning_file(preset.name) if file is None else file).exists():
        return read_tuning(preset.name, file)
    return {"arms": {}} if file is None else {"arms": {}, "file": str(file)}


def _is_tuning(kept: Any) -> bool:
    """Whether this has the form of tuned settings: of each arm the winner and the grid, what runs cost, and how much
    their outcomes vary."""

    def number(value: Any) -> bool:
        # A whole number may be more than any float.
        whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
        return isinstance(value, float) or whole

    def entry(value: Any) -> bool:
        grid = value.get("grid") if isinstance(value, dict) else None
        return (
            isinstance(grid, dict)
            and all(isinstance(tried, list) and all(x is None or number(x) for x in tried) for tried in grid.values())
            and number(value.get("winner"))
            and (value.get("quality") is None or number(value["quality"]))
            and isinstance(value.get("metric"), str)
        )

    def numbers(value: Any) -> bool:
        return isinstance(value, dict) and all(map(number, value.values()))

    if not isinstance(kept, dict):
        return False
    arms, deviations = kept.get("arms"), kept.get("deviations", {})
    return (
        isinstance(arms, dict)
        and all(map(entry, arms.values()))
        and all(numbers(kept.get(name, {})) for name in ("seconds_per_run", "seconds_per_update"))
        and isinstance(deviations, dict)
        and all(map(numbers, deviations.values()))
    )


def tuning_command(preset: str, arms: Iterable[str] = (), file: str = "") -> str:
    """The command line that tunes these arms of a preset, by default all, with the plugins of this process.

    file: where it keeps the result; "" for the file with the code.
    """
    words = ["python", "-m", "benchmarks.tune", "--preset", preset, *(["--arms", *arms] if arms else [])]
    return shlex.join([*words, *plugins.list_arguments(), *(["--out", file] if file else [])])
