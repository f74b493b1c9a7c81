"""Keeps every plan by which runs in a folder were made, and describes how a later plan differs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.run_folder.folder import RunFolder
from benchmarks.suites.plan import Plan
from variants import UserError

PLANS = "plans"


def record_plan(plan: Plan, runs_dir: Path, now: str) -> list[dict[str, Any]]:
    """Keeps the plan beside the runs, before they are trained; returns the plans so far, the first one first.

    now: date and time. A plan that differs from the last one is added, and never replaces it.
    """
    folder = RunFolder(runs_dir / PLANS)
    folder.make()
    kept = load_plans(runs_dir, plan.preset.name)
    if not kept or kept[-1]["hash"] != plan.hash:
        kept.append({"hash": plan.hash, "since": now, "plan": plan.as_dict()})
        folder.write_json(f"{plan.preset.name}.json", kept)
    return kept


def load_plans(runs_dir: Path | str, name: str) -> list[dict[str, Any]]:
    """Returns the plans of a preset by which runs in this folder were made, the first one first.

    Raises UserError for a file that holds no plans.
    """
    folder = RunFolder(Path(runs_dir) / PLANS)
    kept = folder.read_json(f"{name}.json")
    if kept is not None and not (isinstance(kept, list) and all(map(_is_plan, kept))):
        raise UserError(f"{folder.path / name}.json is damaged: it does not hold the plans of a preset")
    return kept or []


def _is_plan(kept: Any) -> bool:
    """Tells whether a JSON value has the form of a kept plan: its hash, its date, and its parts by name."""
    plan = kept.get("plan") if isinstance(kept, dict) else None
    if not isinstance(plan, dict) or not all(isinstance(kept.get(name), str) for name in ("hash", "since")):
        return False
    parts = [plan.get(part, {}) for part in ("arms", "decisions")]
    entries = [entry for part in parts if isinstance(part, dict) for entry in part.values()]
    return all(isinstance(each, dict) for each in (*parts, *entries)) and all(
        isinstance(contrasts := entry.get("contrasts", []), list) and all(isinstance(c, dict) for c in contrasts)
        for entry in entries
    )


def describe_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Returns one phrase for each kind of change from the first plan to a later one."""
    said = []
    for part in ("arms", "decisions"):
        old, new = before.get(part, {}), after.get(part, {})
        changed: dict[str, list[str]] = {}
        for name in (*new, *(name for name in old if name not in new)):
            if name not in old or name not in new:
                changed.setdefault("added" if name not in old else "taken away", []).append(name)
                continue
            for field in _changed(old[name], new[name]):
                changed.setdefault(f"with another value for {field}", []).append(name)
        said += [
            f"{len(names)} {part.removesuffix('s') if len(names) == 1 else part} {what}: {', '.join(names)}"
            for what, names in changed.items()
        ]
    return said


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Returns the fields that differ; of contrasts, if there are as many as before, their own fields."""
    fields = sorted(field for field in {*old, *new} if old.get(field) != new.get(field))
    pairs = old.get("contrasts", ()), new.get("contrasts", ())
    if "contrasts" in fields and len(pairs[0]) == len(pairs[1]):
        inner = sorted({f for b, a in zip(*pairs, strict=True) for f in {*b, *a} if b.get(f) != a.get(f)})
        fields = [field for field in fields if field != "contrasts"] + inner
    return fields
