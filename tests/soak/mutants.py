"""Makes small changes to the code that decides; each has to fail a test.

Every change is made to the syntax tree of one file, in a copy of the repository, and the tests of that file run against
it until one fails.
"""

import ast
import copy
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.soak.figures import PACKAGES, ROOT, Steps

# The tests of a file, the quickest first.
TESTS = {
    "benchmarks/algorithm/steps.py": (
        *(
            "benchmarks/algorithm/test_steps",
            "benchmarks/algorithm/test_dirac",
            "variants/test_remedies",
            "variants/test_variants",
            "variants/test_recipes",
            "benchmarks/training/test_loop",
        ),
        "benchmarks/algorithm/test_stacked",
    ),
    "variants/losses.py": ("variants/test_losses", "benchmarks/algorithm/test_dirac"),
    "metrics/accuracy.py": ("metrics/test_accuracy", "metrics/test_independent"),
    "metrics/captions.py": ("metrics/test_captions",),
    "metrics/caption_accuracy.py": ("metrics/test_two_sample",),
    "metrics/classifier_score.py": ("metrics/test_classifier_score",),
    "metrics/inception.py": ("metrics/test_inception",),
    "metrics/thinning.py": ("metrics/test_thinning",),
    "metrics/two_sample.py": ("metrics/test_two_sample",),
    "metrics/diversity.py": ("metrics/test_diversity", "metrics/test_independent"),
    "metrics/features.py": ("metrics/test_features",),
    "metrics/frechet.py": ("metrics/test_frechet", "metrics/test_independent"),
    "metrics/gan_train.py": ("metrics/test_gan_train", "metrics/test_independent"),
    "metrics/kernel.py": ("metrics/test_kernel", "metrics/test_independent"),
    "metrics/memorization.py": ("metrics/test_memorization", "metrics/test_independent"),
    "metrics/modes.py": ("metrics/test_modes", "metrics/test_independent"),
    "metrics/neighbours.py": ("metrics/test_neighbours", "metrics/test_independent"),
    "metrics/chunks.py": ("metrics/test_chunks",),
    "metrics/pixels.py": ("metrics/test_pixels", "metrics/test_independent"),
    "metrics/ranking.py": ("metrics/test_ranking", "metrics/test_independent"),
    "metrics/spectrum.py": ("metrics/test_spectrum", "metrics/test_independent"),
    "benchmarks/statistics/ranks.py": ("benchmarks/statistics/test_ranks", "benchmarks/statistics/test_verdicts"),
    "benchmarks/statistics/blocks.py": ("benchmarks/statistics/test_blocks",),
    "benchmarks/statistics/looks.py": ("benchmarks/statistics/test_looks",),
    "benchmarks/statistics/verdicts.py": (
        "benchmarks/statistics/test_verdicts",
        "benchmarks/statistics/test_looks",
        "reports/analysis/test_answers",
        "reports/analysis/test_evidence",
    ),
}
# A test hangs, which counts as noticed, if it takes this many times as long as without a change, and some seconds more.
PATIENCE, GRACE = 10.0, 30.0

_COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.MatMult: ast.Mult,
}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "amax": "amin", "amin": "amax", "mean": "sum"}


def list_changes(tree: ast.Module) -> Iterator[tuple[ast.AST, Callable[[ast.AST], ast.AST | None], str]]:
    """Yields every small change: the node, a function that returns its replacement, and the kind of change."""
    skipped = _not_code(tree)
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARISONS:
            yield node, _comparison, "comparison"
        elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _OPERATORS:
            yield node, _operator, "operator"
        elif isinstance(node, ast.BoolOp):
            yield node, _and_or, "and or"
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
            yield node, lambda unary: unary.operand, "sign"
        elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            yield node, _number, "number"
        elif isinstance(node, ast.If | ast.IfExp | ast.While):
            yield node, _never, "condition"
        elif isinstance(node, ast.Attribute | ast.Name) and _name(node) in _NAMES:
            yield node, _renamed, "function"
        elif isinstance(node, ast.Return) and node.value is not None:
            yield node, lambda given: ast.Return(ast.Constant(None)), "return"
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield node, lambda call: ast.Pass(), "statement"
        elif isinstance(node, ast.AugAssign):
            yield node, lambda assignment: ast.Pass(), "statement"


def _not_code(tree: ast.Module) -> set[int]:
    """Returns the ids of nodes that compute nothing: annotations, messages, texts, decorators, imports."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        texts: list[ast.AST] = []
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            texts.append(node.annotation)
        if isinstance(node, ast.FunctionDef):
            texts += [*node.decorator_list, *([node.returns] if node.returns else [])]
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.ImportFrom | ast.Import):
            texts.append(node)
        for text in texts:
            skipped |= {id(inner) for inner in ast.walk(text)}
    return skipped


def _comparison(node: ast.Compare) -> ast.AST:
    node.ops[0] = _COMPARISONS[type(node.ops[0])]()
    return node


def _operator(node: ast.BinOp | ast.AugAssign) -> ast.AST:
    node.op = _OPERATORS[type(node.op)]()
    return node


def _and_or(node: ast.BoolOp) -> ast.AST:
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    return node


def _number(node: ast.Constant) -> ast.AST:
    value = node.value
    return ast.Constant(not value if isinstance(value, bool) else value + 1)


def _never(node: ast.If | ast.IfExp | ast.While) -> ast.AST:
    node.test = ast.Constant(False)
    return node


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id


def _renamed(node: ast.Attribute | ast.Name) -> ast.AST:
    if isinstance(node, ast.Attribute):
        node.attr = _NAMES[node.attr]
    else:
        node.id = _NAMES[node.id]
    return node


class _Replace(ast.NodeTransformer):
    """Replaces one node by its change."""

    def __init__(self, target: ast.AST, change: Callable[[ast.AST], ast.AST | None]) -> None:
        self.target, self.change = target, change

    def visit(self, node: ast.AST) -> ast.AST | None:
        return self.change(node) if node is self.target else self.generic_visit(node)


Mutant = tuple[int, str, str, str]
"""Holds the line, the kind of change, old and new code, and the new source of the file."""


def make_mutants(source: str) -> Iterator[Mutant]:
    """Yields every mutant of a file."""
    tree = ast.parse(source)
    seen = {ast.unparse(tree)}
    for index, (node, _, kind) in enumerate(list_changes(tree)):
        other = copy.deepcopy(tree)
        target, change, _ = list(list_changes(other))[index]
        before = ast.unparse(target)
        _Replace(target, change).visit(other)
        text = ast.unparse(ast.fix_missing_locations(other))
        if text not in seen:
            seen.add(text)
            after = _difference(ast.unparse(tree), text)
            yield getattr(node, "lineno", 0), kind, f"{before.splitlines()[0][:80]} -> {after[:80]}", text


def _difference(before: str, after: str) -> str:
    """Returns the first line that differs."""
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    return next((new.strip() for old, new in pairs if old != new), "nothing")


def copy_repository(place: Path) -> Path:
    """Copies what tests need of the repository."""
    shutil.rmtree(place, ignore_errors=True)
    ignore = shutil.ignore_patterns("__pycache__", "out")
    for name in (*PACKAGES, "tests", "docs", "examples"):
        shutil.copytree(ROOT / name, place / name, ignore=ignore)
    for path in ROOT.iterdir():
        if path.is_file() and path.name != ".git":
            shutil.copy(path, place)
    return place


class Tester:
    """Runs tests in a copy of the repository, in a process that ends with this context manager."""

    def __init__(self, place: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
        # -P: modules are looked for in the copy, and not beside the script.
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(ROOT / "tests" / "soak" / "tester.py")],
            cwd=place,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Tester":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait()

    def run(self, tests: Sequence[str], seconds: float) -> tuple[str, float]:
        """Runs the tests of these modules; returns "passed", "failed" or "hung", and the seconds."""
        asked = {"tests": [f"tests/{name}.py" for name in tests], "seconds": seconds}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        told, took = json.loads(self.process.stdout.readline())
        return told, took


def hash_file(path: str) -> str:
    """Returns the SHA-256 of a file and its tests, on which its steps depend."""
    names = [path, *(f"tests/{name}.py" for name in TESTS[path])]
    return hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in names if (ROOT / name).exists())).hexdigest()


def check_mutants(work: Path, size: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Tests every mutant of every file, or with a smaller size the first of each; one worker per core."""
    waiting = {path: list(make_mutants((ROOT / path).read_text())) for path in TESTS}
    waiting = {path: made[: max(1, round(len(made) * size))] for path, made in waiting.items()}
    every: list[dict[str, Any]] = []

    def work_off(worker: int) -> None:
        place = copy_repository((work / f"mutants-{worker}").absolute())
        with Tester(place) as tester:
            while waiting:
                # The file with the most of them first, so that no worker is alone with it at the end.
                path = max(waiting, key=lambda path: len(waiting[path]))
                every.extend(check_file(path, waiting.pop(path), tester, place, work, say))

    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(work_off, worker) for worker in range(workers)]:
            done.result()
    return summary(every)


def check_file(
    path: str, made: Sequence[Mutant], tester: Tester, place: Path, work: Path, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Tests these mutants of a file; returns one step each."""
    steps = Steps(work / f"mutants-{path.replace('/', '-')}l", hash_file(path))
    done = {step["mutant"]: step for step in steps.done}
    source, limit = (ROOT / path).read_text(), 0.0
    found = []
    for line, kind, what, text in made:
        name = hashlib.sha256(text.encode()).hexdigest()[:12]
        if name not in done:
            if not limit:
                told, seconds = tester.run(TESTS[path], 3600.0)
                if told != "passed":
                    raise RuntimeError(f"the tests of {path} do not pass as it is: {', '.join(TESTS[path])}")
                limit = PATIENCE * seconds + GRACE
            (place / path).write_text(text)
            told, seconds = tester.run(TESTS[path], limit)
            step = {"mutant": name, "file": path, "line": line, "kind": kind, "what": what, "end": told}
            steps.add({**step, "seconds": round(seconds, 2)})
            done[name] = steps.done[-1]
            say(f"{path}:{line} {kind}: {what}: {'SURVIVED' if told == 'passed' else 'killed'}")
        found.append(done[name])
    (place / path).write_text(source)
    return found


def summary(steps: list[dict[str, Any]]) -> dict[str, Any]:
    survived = [step for step in steps if step["end"] == "passed"]
    return {
        "made": len(steps),
        "killed": len(steps) - len(survived),
        "hung": sum(step["end"] == "hung" for step in steps),
        "survived": len(survived),
        "made_of_each": dict(sorted(Counter(step["file"] for step in steps).items())),
        "survived_of_each": dict(sorted(Counter(step["file"] for step in survived).items())),
        "survivors": sorted(f"{step['file']}:{step['line']} {step['kind']}: {step['what']}" for step in survived),
    }
