"""A target is read, a run meets it twice in a row or is censored, and contestants take turns seed by seed."""

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.timing import quality
from benchmarks.timing.cases import Case
from benchmarks.timing.quality import Target, measure_quality, parse_target, run_to, summarize
from benchmarks.timing.tables import format_until, render
from variants import UserError

WEAK = Target((quality.Condition("fid", "<=", 2.0),))


def test_a_target_is_read() -> None:
    target = parse_target("fid <= 2   accuracy>=.97 accuracy_class_3>=9e-1")
    assert str(target) == "fid<=2 accuracy>=0.97 accuracy_class_3>=0.9"
    assert target.metrics == ("fid", "accuracy", "accuracy_class_3")
    good = {"fid": 2.0, "accuracy": 0.97, "accuracy_class_3": 0.9}
    assert target.is_met(good)
    for name, bad in (("fid", 2.001), ("accuracy", 0.969), ("accuracy_class_3", math.nan)):
        assert not target.is_met(good | {name: bad})
        # A metric that could not be measured is not good enough.
        assert not target.is_met({other: value for other, value in good.items() if other != name})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", 'a target such as "fid<=2 accuracy>=0.97", and here it is empty'),
        ("fid", "METRIC<=NUMBER or METRIC>=NUMBER, such as fid<=2, not 'fid'"),
        ("fid=2", "METRIC<=NUMBER or METRIC>=NUMBER, such as fid<=2, not 'fid=2'"),
        ("fid<2", "METRIC<=NUMBER or METRIC>=NUMBER, such as fid<=2, not 'fid<2'"),
        ("fid<=two", "METRIC<=NUMBER or METRIC>=NUMBER, such as fid<=2, not 'fid<=two'"),
        ("fid<=nan", "METRIC<=NUMBER or METRIC>=NUMBER, such as fid<=2, not 'fid<=nan'"),
        ("fid<=2,accuracy>=1", "such as fid<=2, not 'fid<=2,accuracy>=1'"),
        ("acuracy>=0.9", "unknown metric 'acuracy'; did you mean 'accuracy'?"),
        ("fid>=2", "--to fid>=2: fid is better where it is lower; say fid<=2"),
        ("accuracy<=0.97", "--to accuracy<=0.97: accuracy is better where it is higher; say accuracy>=0.97"),
        ("accuracy>=97", "--to accuracy>=97: accuracy lies between 0 and 1"),
        ("fid<=-1", "--to fid<=-1: fid lies between 0 and inf"),
        ("fid<=2 fid<=3", "--to names fid twice"),
        ("accuracy_class>=0.9", "accuracy_class is a family of metrics; name one of them, such as accuracy_class_0"),
    ],
)
def test_a_target_that_says_nothing_or_never_holds_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_target(text)
    assert sentence in str(refused.value)


class Made:
    """Answers as a runner does, with values that were made: an update takes a second, an evaluation half of one."""

    def __init__(self, *fids: float, broken: str = "", ends_after: float = math.inf, **facts: Any) -> None:
        self.fids, self.broken, self.ends_after, self.facts = fids, broken, ends_after, facts
        self.seeds: list[int] = []

    def ask(self, method: str, *arguments: Any) -> Any:
        return getattr(self, method)(*arguments)

    def prepare(self, metrics: tuple[str, ...], samples: int) -> dict[str, Any]:
        judge = {"classifiers": "c", "data": "d"}
        known = {"dataset": "digits", "measured": {"fid": "fid_normalized"}, "judge": judge, "notes": ["made"]}
        return {**known, "code": "e", "software": {"threads": 1, "torch": "2", "device": "cpu"}, **self.facts}

    def start(self, seed: int) -> None:
        self.seeds.append(seed)
        self.updates, self.judged = 0, 0

    def advance(self, updates: int, seconds: float) -> dict[str, float]:
        self.updates = min(updates, math.ceil(seconds), self.ends_after)
        return self.state()

    def judge(self) -> dict[str, Any]:
        self.judged += 1
        return {**self.state(), "values": {"fid": self.fids[self.judged - 1]}, "broken": self.broken}

    def state(self) -> dict[str, float]:
        total = self.updates + self.judged / 2
        seconds = {"training_seconds": self.updates, "total_seconds": total}
        return {
            "updates": self.updates,
            **seconds,
            "training_cpu_seconds": 2 * self.updates,
            "total_cpu_seconds": total,
        }


def test_the_second_evaluation_in_a_row_counts() -> None:
    run = run_to(Made(9.0, 1.0, 3.0, 2.0, 1.0, 9.0), WEAK, 4, 10, 1000.0)
    assert (run["seed"], run["reached"], run["why"], run["updates"]) == (4, True, "", 50)
    assert (run["training_seconds"], run["training_cpu_seconds"], run["total_seconds"]) == (50, 100, 52.5)
    assert [each["values"]["fid"] for each in run["evaluations"]] == [9.0, 1.0, 3.0, 2.0, 1.0]
    assert [each["updates"] for each in run["evaluations"]] == [10, 20, 30, 40, 50]


def test_a_run_that_does_not_meet_the_target_is_censored() -> None:
    spent = run_to(Made(1.0, 9.0, 1.0, 1.0), WEAK, 0, 10, 35.0)
    # The fourth evaluation would have been the second in a row.
    assert (spent["reached"], spent["why"], spent["updates"]) == (False, "the budget of 35 s was spent", 35)
    assert len(spent["evaluations"]) == 3
    broken = run_to(Made(math.nan, broken="3 of 9 samples are not finite"), WEAK, 0, 10, 35.0)
    assert (broken["reached"], broken["why"], broken["updates"]) == (False, "3 of 9 samples are not finite", 10)
    ended = run_to(Made(1.0, ends_after=15), WEAK, 0, 10, 35.0)
    assert (ended["reached"], ended["why"], ended["updates"]) == (False, "its recipe had ended", 15)


@pytest.mark.parametrize(
    ("reached", "censored", "wanted", "told"),
    [
        ([3, 1, 2], [], (2, 1, 3, None), "2 (1–3)"),
        ([4], [], (4, 4, 4, None), "4"),
        # The third of five is the last that met the target.
        ([3, 1, 2], [10, 12], (3, 1, None, 10), "3 (1–> 10)"),
        # Between the second and the third of four.
        ([3, 1, 2], [10], (2.5, 1, None, 10), "2.5 (1–> 10)"),
        # Half is not more than half.
        ([3, 1], [10, 12], (None, 1, None, 10), "> 10 (1–> 10)"),
        ([], [12, 10], (None, None, None, 10), "> 10"),
        ([], [], (None, None, None, None), "–"),
    ],
)
def test_censored_runs_enter_no_mean(
    reached: list[float], censored: list[float], wanted: tuple[float | None, ...], told: str
) -> None:
    runs = [{"reached": True, "updates": each} for each in reached]
    runs += [{"reached": False, "updates": each} for each in censored]
    found = summarize(runs, "updates")
    assert tuple(found.values()) == wanted
    assert list(found) == ["median", "least", "most", "above"]
    assert format_until(found) == told


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Lets made runners stand for processes, by kind and variant, and returns whose run began, in order."""

    def put(**runners: Made) -> list[str]:
        began: list[str] = []

        class Process(Made):
            def __init__(self, kind: str, case: Case, module: str) -> None:
                assert module == "judged"
                self.who = f"{kind}_{case.variant}"
                runner = runners[self.who]
                super().__init__(*runner.fids, broken=runner.broken, **runner.facts)

            def start(self, seed: int) -> None:
                began.append(f"{self.who} {seed}")
                super().start(seed)

            def end(self) -> None:
                began.append(f"{self.who} ended")

        monkeypatch.setattr(quality, "Process", Process)
        return began

    return put


def test_contestants_take_turns_seed_by_seed(made: Callable[..., list[str]]) -> None:
    began = made(
        Ours_cgan_mlp=Made(1.0, 1.0, conditional=True),
        Ours_cgan_conv=Made(9.0, 1.0, 1.0, conditional=True),
        Tutorial_cgan=Made(9.0, 9.0, 9.0, conditional=True),
    )
    said: list[str] = []
    cases = [Case("cgan_mlp", "digits"), Case("cgan_conv", "digits")]
    measured = measure_quality(WEAK, cases, seeds=range(3), every=10, budget=35.0, say=said.append)
    order = ["Ours_cgan_mlp", "Ours_cgan_conv", "Tutorial_cgan"]
    wanted = [f"{who} {seed}" for seed in range(3) for who in (order[::-1] if seed == 1 else order)]
    assert began[:9] == wanted
    assert sorted(began[9:]) == sorted(f"{who} ended" for who in order)
    assert (measured["kind"], measured["target"], measured["seeds"]) == ("quality", "fid<=2", [0, 1, 2])
    assert [(row["kind"], row["variant"], row["reached"]) for row in measured["rows"]] == [
        ("ours", "cgan_mlp", 3),
        ("ours", "cgan_conv", 3),
        ("tutorial", "cgan", 0),
    ]
    assert [run["seed"] for run in measured["rows"][1]["runs"]] == [0, 1, 2]
    assert measured["notes"].count("made") == 1
    assert "ours cgan_conv on digits, seed 2: met the target after 30 updates, 30.0 s of training" in said
    table = render(measured)
    assert "| `cgan_conv` | digits | 3 of 3 | 30 | 30 | 60 | 31.5 | 31.5 |" in table
    assert "| tutorial cgan | digits | 0 of 3 | > 35 | > 35 | > 70 | > 36.5 | > 36.5 |" in table
    assert "until fid<=2, judged every 10 updates on 5,000 samples; budget 35 s of training; median of 3 seeds" in table


def test_tutorials_are_those_with_labels_or_those_without(made: Callable[..., list[str]]) -> None:
    without = {"conditional": False}
    runners = {f"{who}": Made(1.0, 1.0, **without) for who in ("Ours_dcgan", "Tutorial_dcgan", "Tutorial_wgan_gp")}
    made(**runners)
    rows = measure_quality(WEAK, [Case("dcgan", "digits")], seeds=[0])["rows"]
    assert [(row["kind"], row["variant"]) for row in rows] == [
        ("ours", "dcgan"),
        ("tutorial", "dcgan"),
        ("tutorial", "wgan_gp"),
    ]
    [row] = measure_quality(WEAK, [Case("dcgan", "digits")], against_tutorials=False, seeds=[0])["rows"]
    assert row["kind"] == "ours"


def test_a_run_that_is_given_up_before_the_budget_is_spent_has_a_note(made: Callable[..., list[str]]) -> None:
    made(Ours_dcgan=Made(math.nan, broken="3 of 9 samples are not finite", conditional=False))
    measured = measure_quality(
        WEAK, [Case("dcgan", "digits")], against_tutorials=False, seeds=[4], every=10, budget=35.0
    )
    note = "ours dcgan on digits, seed 4, was given up after 10.0 s: 3 of 9 samples are not finite"
    assert measured["notes"][-1] == note
    assert f"- {note}" in render(measured)


def test_contestants_that_are_not_judged_alike_are_refused(made: Callable[..., list[str]]) -> None:
    other = {"classifiers": "other", "data": "d"}
    began = made(Ours_cgan_mlp=Made(conditional=True), Tutorial_cgan=Made(conditional=True, judge=other))
    with pytest.raises(UserError, match=r"^ours cgan_mlp on digits and tutorial cgan on digits would not be judged"):
        measure_quality(WEAK, [Case("cgan_mlp", "digits")])
    assert sorted(began) == ["Ours_cgan_mlp ended", "Tutorial_cgan ended"]


CASE = Case("cgan_mlp", "digits")
MACHINE = {"processor": "P", "cores": 2, "system": "S", "python": "3", "load_before": 0.0}


@pytest.fixture
def contestants(made: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Makes two contestants, of which ours gives up, on a machine that does nothing else; returns whose run began."""
    monkeypatch.setattr(quality, "describe_machine", lambda: dict(MACHINE))
    ours = Made(math.nan, broken="3 of 9 samples are not finite", conditional=True)
    return made(Ours_cgan_mlp=ours, Tutorial_cgan=Made(9.0, 1.0, 1.0, conditional=True))


def measure(file: Path | None, target: Target = WEAK, case: Case = CASE, **changes: Any) -> dict[str, Any]:
    settings = {"seeds": range(3), "every": 10, "budget": 35.0, **changes}
    return measure_quality(target, [case], file=file, **settings)


@pytest.fixture
def interrupted(contestants: list[str], tmp_path: Path) -> Iterator[Path]:
    """Returns the file of a measurement that was interrupted in its third run."""

    def say(sentence: str) -> None:
        # It is said before a run is kept.
        if "seed 1" in sentence:
            raise KeyboardInterrupt

    file = tmp_path / "new" / "to.json"
    with pytest.raises(KeyboardInterrupt):
        measure(file, say=say)
    assert "Tutorial_cgan ended" in contestants
    contestants.clear()
    yield file
    assert sorted(path.name for path in file.parent.iterdir()) == ["to.json"]


def test_an_interrupted_measurement_goes_on_where_it_stopped(
    interrupted: Path, contestants: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = json.loads(interrupted.read_text())
    assert [(len(row["runs"]), row["missing"]) for row in kept["rows"]] == [(1, [1, 2]), (1, [1, 2])]
    said: list[str] = []
    measured = measure(interrupted, say=said.append)
    assert f"{interrupted} has 2 of 6 runs, which are kept" in said
    order = ["Tutorial_cgan 1", "Ours_cgan_mlp 1", "Ours_cgan_mlp 2", "Tutorial_cgan 2"]
    assert contestants[:4] == order
    assert not any(who.endswith(" 0") for who in contestants)
    assert [row["missing"] for row in measured["rows"]] == [[], []]
    # As text, because NaN is not equal to itself.
    assert json.dumps(measured) == json.dumps(json.loads(interrupted.read_text())) == json.dumps(measure(None))

    contestants.clear()
    monkeypatch.setattr(quality, "describe_machine", lambda: {**MACHINE, "load_before": 9.0})
    assert json.dumps(measure(interrupted)) == json.dumps(measured)
    assert sorted(contestants) == ["Ours_cgan_mlp ended", "Tutorial_cgan ended"]


def test_an_interrupted_measurement_may_lack_a_run_of_a_seed(interrupted: Path, contestants: list[str]) -> None:
    kept = json.loads(interrupted.read_text())
    kept["rows"][0]["runs"] = []
    kept["notes"].append("the machine was busy")
    interrupted.write_text(json.dumps(kept))
    measured = measure(interrupted)
    # Who reads the figures has to know of both parts.
    assert contestants[:3] == ["Ours_cgan_mlp 0", "Tutorial_cgan 1", "Ours_cgan_mlp 1"]
    whole = measure(None)
    assert json.dumps(measured["rows"]) == json.dumps(whole["rows"])
    assert sorted(measured["notes"]) == sorted([*whole["notes"], "the machine was busy"])


def test_the_table_of_an_incomplete_file_says_so(interrupted: Path) -> None:
    kept = json.loads(interrupted.read_text())
    table = render(kept)
    assert "| `cgan_mlp` | digits | 0 of 1 (1 of 3 seeds) | > 10 |" in table
    assert "| tutorial cgan | digits | 1 of 1 (1 of 3 seeds) | 30 |" in table
    assert "median of the seeds so far (least–most). **Incomplete: 2 of 6 runs.**" in table
    empty = {counted: summarize([], counted) for counted in quality.COUNTED}
    kept["rows"][1] |= {"runs": [], "reached": 0, "until": empty}
    assert "| tutorial cgan | digits | 0 of 0 (0 of 3 seeds) | – | – |" in render(kept)
    whole = render(measure(None))
    assert "| 0 of 3 |" in whole
    assert "Incomplete" not in whole


@pytest.mark.parametrize(
    ("settings", "differing"),
    [
        ({"target": parse_target("fid<=3")}, "target (fid<=2, and here fid<=3)"),
        ({"budget": 36.0}, "budget (35.0, and here 36.0)"),
        ({"every": 11, "budget": 36.0}, "every (10, and here 11), budget (35.0, and here 36.0)"),
        ({"seeds": range(2)}, "seeds ([0, 1, 2], and here [0, 1])"),
        (
            {"against_tutorials": False},
            "contestants (ours cgan_mlp on digits, tutorial cgan on digits, and here ours cgan_mlp on digits)",
        ),
    ],
)
def test_other_settings_do_not_go_on_from_a_file(
    settings: dict[str, Any], differing: str, interrupted: Path, contestants: list[str]
) -> None:
    before = interrupted.read_bytes()
    with pytest.raises(UserError) as refused:
        measure(interrupted, **settings)
    assert str(refused.value) == f"{interrupted} was measured otherwise: {differing}; delete it to begin anew"
    assert all(who.endswith("ended") for who in contestants)
    assert interrupted.read_bytes() == before


@pytest.mark.parametrize(
    ("facts", "differing"),
    [
        ({"code": "f"}, "checksum of code"),
        ({"software": {"threads": 2, "torch": "2", "device": "cpu"}}, "threads (1, and here 2)"),
        ({"software": {"threads": 1, "torch": "3", "device": "cpu"}}, "torch (2, and here 3)"),
        (
            {"judge": {"classifiers": "c", "data": "other"}},
            "checksums of data and classifiers of ours cgan_mlp on digits, "
            "checksums of data and classifiers of tutorial cgan on digits",
        ),
    ],
)
def test_other_code_data_or_software_does_not_go_on_from_a_file(
    facts: dict[str, Any], differing: str, interrupted: Path, made: Callable[..., list[str]]
) -> None:
    both = {"conditional": True, **facts}
    made(Ours_cgan_mlp=Made(**both), Tutorial_cgan=Made(**both))
    with pytest.raises(UserError, match=re.escape(f" was measured otherwise: {differing}; delete it")):
        measure(interrupted)


def test_another_machine_does_not_go_on_from_a_file(interrupted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "describe_machine", lambda: {**MACHINE, "processor": "Q", "load_before": 0.5})
    with pytest.raises(UserError, match=r" was measured otherwise: processor \(P, and here Q\); delete it"):
        measure(interrupted)
    # The load is another each time.
    monkeypatch.setattr(quality, "describe_machine", lambda: {**MACHINE, "load_before": 0.5})
    assert measure(interrupted)["rows"][0]["missing"] == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda kept: kept.update(kind="training"), " does not hold a measurement of --to; delete it, or choose"),
        (lambda kept: kept.pop("rows"), " is damaged; delete it to begin anew"),
        (lambda kept: kept.update(notes=[{}]), " is damaged; delete it to begin anew"),
        (lambda kept: kept["rows"][1]["runs"][0].update(seed=1), " is damaged; delete it to begin anew"),
        (lambda kept: kept["rows"][1]["runs"][0].pop("updates"), " is damaged; delete it to begin anew"),
    ],
)
def test_a_file_of_something_else_is_left_as_it_is(
    change: Callable[[dict[str, Any]], Any], sentence: str, interrupted: Path
) -> None:
    kept = json.loads(interrupted.read_text())
    change(kept)
    interrupted.write_text(json.dumps(kept))
    with pytest.raises(UserError, match=re.escape(sentence)):
        measure(interrupted)
    assert json.loads(interrupted.read_text()).keys() == kept.keys()
