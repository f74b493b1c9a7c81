"""Tables show the figures with their range, and pages are filled from the files that they name."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.timing.tables import fill_page, format_number, format_spread
from tests.conftest import ROOT
from variants import UserError


def test_figures_are_written_with_their_range() -> None:
    assert [format_number(each) for each in (12345.6, 99.96, 0.01234)] == ["12,346", "100", "0.0123"]
    assert format_spread({"median": 0.25, "least": 0.2, "most": 0.31}, "%") == "25 % (20–31)"
    assert format_spread({"median": 2.0, "least": 2.0, "most": 2.0}, "×") == "2×"


SPREAD = {"median": 2.0, "least": 1.0, "most": 4.0}


def make_row(variant: str) -> dict[str, Any]:
    ours = {"ms_per_update": SPREAD, "images_per_second": SPREAD, "memory_mib": 300.0}
    named = {"variant": variant, "dataset": "digits", "precision": "float32", "seeds": 1}
    compared = {"stock": ours, "faster_than_stock": SPREAD}
    return {**named, "ours": ours, **compared, "gflops": SPREAD, "share_of_peak": {**SPREAD, "median": 0.5}}


def make_figures(**changes: Any) -> dict[str, Any]:
    machine = {"processor": "P", "cores": 2, "threads": 2, "torch": "2", "device": "cpu", "load_before": 0.0}
    measured = {"kind": "training", "machine": machine, "rounds": 3, "notes": [], "rows": [make_row("one")]}
    return {**measured, **changes}


def test_a_page_is_filled_from_the_files_that_it_names(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A\n\n<!-- table: a/one.json -->\nold\n<!-- end -->\n\n<!-- table: two.json -->\n<!-- end -->\n")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.json").write_text(json.dumps(make_figures(notes=["it was warm"])))
    said = fill_page(page)
    assert said.splitlines() == [
        "a/one.json: written",
        "two.json: not there, so its place says that it was not measured",
    ]
    text = page.read_text()
    assert "| `one` | digits | float32 | 1 | 2 (1–4) |" in text
    assert "- it was warm" in text
    assert "old" not in text
    assert "<!-- table: two.json -->\n*Not measured yet.*\n<!-- end -->" in text
    fill_page(page)
    assert page.read_text() == text

    (tmp_path / "two.json").write_text(json.dumps({"kind": "training"}))
    with pytest.raises(UserError, match=r"two\.json does not hold figures"):
        fill_page(page)
    (tmp_path / "two.json").write_text(json.dumps({"kind": "other"}))
    with pytest.raises(UserError, match="their kind is 'other'"):
        fill_page(page)
    page.write_text("# A")
    with pytest.raises(UserError, match="no place for a table"):
        fill_page(page)


# Files that a page names, and that nobody has made yet; a page says so in their place.
TO_BE_MEASURED = {
    f"speed/to_{name}.json" for name in ("mnist", "mnist_unconditional", "fashion", "fashion_unconditional")
}


def test_the_tables_of_the_documentation_are_those_of_its_files(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    page = tmp_path / "docs" / "speed.md"
    before = page.read_text(encoding="utf-8")
    missing = {line.partition(":")[0] for line in fill_page(page).splitlines() if "not there" in line}
    assert missing <= TO_BE_MEASURED
    assert page.read_text(encoding="utf-8") == before


def test_a_brief_table_has_the_medians_of_several_files(tmp_path: Path) -> None:
    for file, variant in (("a.json", "one"), ("b.json", "two")):
        (tmp_path / file).write_text(json.dumps(make_figures(rows=[make_row(variant)])))
    page = tmp_path / "page.md"
    page.write_text("<!-- brief: a.json b.json missing.json -->\n<!-- end -->\n")
    assert fill_page(page).splitlines()[2].startswith("missing.json: not there")
    lines = page.read_text().splitlines()
    assert [line for line in lines if line.startswith("| `")] == [
        "| `one` | digits | float32 | 1 | 2 | 2 | 2× | 50% |",
        "| `two` | digits | float32 | 1 | 2 | 2 | 2× | 50% |",
    ]
    assert lines.count("P, 2 cores, 2 threads, torch 2, cpu") == 1
