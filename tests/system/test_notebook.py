"""The notebook for a lecture runs from top to bottom, on tiny runs."""

import ast
import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
from PIL import Image

from benchmarks import configure, train
from tests.conftest import ROOT

NOTEBOOK = ROOT / "examples" / "lecture.ipynb"
SEEDS = range(5)


@pytest.fixture(scope="module")
def cells() -> dict[str, dict[str, Any]]:
    return {cell["id"]: cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]}


def test_the_notebook_is_kept_without_outputs(cells: dict[str, dict[str, Any]]) -> None:
    """They would be of one machine, and out of date with the next change."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    code = [cell for cell in cells.values() if cell["cell_type"] == "code"]
    assert len(code) > 5
    assert [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"]] == []


def shown(source: str, names: dict[str, Any]) -> Any:
    """Runs a cell, and returns what a notebook would show: the value of its last line."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, NOTEBOOK.name, "exec"), names)  # it is the project's own notebook
    return eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names) if last else None


@pytest.mark.long
def test_the_notebook_runs(
    cells: dict[str, dict[str, Any]],
    request: pytest.FixtureRequest,
    own_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for variant in ("vanilla_gan", "cgan_mlp"):
        for seed in SEEDS:
            tiny = {
                "epochs": 2,
                "epoch_updates": 3,
                "samples": 30,
                "thorough": False,
                "probes": (),
                "evaluate_every": 2,
            }
            config = configure(variant, "digits", seed=seed, **tiny)
            train(config, pictures="milestones" if seed == SEEDS[0] else "none", track=False)
    names: dict[str, Any] = {}
    request.addfinalizer(lambda: plt.close("all"))
    values = {
        name: shown("".join(cell["source"]), names) for name, cell in cells.items() if cell["cell_type"] == "code"
    }
    assert len(values["runs"]) == 2 * len(SEEDS)
    for name in ("untold", "told", "sevens", "ways", "losses"):
        assert isinstance(values[name], Image.Image)
        assert min(values[name].size) > 100
    assert len(names["axes"].lines) == 2 * len(SEEDS) + 3
    assert values["spread"]["count"].tolist() == [len(SEEDS)] * 2
    assert values["verdict"] in ("supported", "contradicted", "no practical difference", "undetermined")
    assert f"verdict: {values['verdict']}, from 5 and 5 seeds" in capsys.readouterr().out
