"""benchmarks.suites.plan_history: TODO."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.run_folder.folder import RunFolder
from benchmarks.suites.plan import Plan
from variants import UserError

PLANS = "plans"


def record_plan(plan: Plan, runs_dir: Path, now: str) -> list[dict[str, Any]]:
    """Keeps the plan beside the runs, before they are made: the plans so far, the first one first.

    now: date and time, to be kept with it. A plan that differs from the last one is added, and never takes its place.
    """
    folder = RunFolder(runs_dir / PLANS)
    folder.make()
    kept = load_plans(runs_dir, plan.preset.name)
    if not kept or kept[-1]["hash"] != plan.hash:
        kept.append({"hash": plan.hash, "since": now, "plan": plan.as_dict()})
        folder.write_json(f"{plan.preset.name}.json", kept)
    return kept


def load_plans(runs_dir: Path | str, name: str) -> list[dict[str, Any]]:
    """The plans of a preset by which runs were made in there, the first one first; [] where there was none.

    Raises UserError for a file that holds no plans.
    """
    folder = RunFolder(Path(runs_dir) / PLANS)
    kept = folder.read_json(f"{name}.json")
    if kept is not None and not (isinstance(kept, list) and all(map(_is_plan, kept))):
        raise UserError(f"{folder.path / name}.json is damaged: it does not hold the plans of a preset")
    return kept or []


def _is_plan(kept: Any) -> bool:
    """Whether this has the form of a plan that was kept: its hash, its date, and what it holds by name."""
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
    """What a later plan has that the first one had not, or has otherwise: a sentence for each kind of change."""
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
    """The fields that differ; of contrasts, if there are as many as before, their own ones."""
    fields_ = sorted(field for field in {*old, *new} if old.get(field) != new.get(field))
    pairs = old.get("contrasts", ()), new.get("contrasts", ())
    if "contrasts" in fields_ and len(pairs[0]) == len(pairs[1]):
        inner = sorted({f for b, a in zip(*pairs, strict=True) for f in {*b, *a} if b.get(f) != a.get(f)})
        fields_ = [field for field in fields_ if field != "contrasts"] + inner
    return fields_
