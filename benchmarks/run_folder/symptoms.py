"""Finds symptoms in a journal: mode collapse, divergence, a discriminator that has won.

Symptoms depend on the lines of the journal alone, so that the screen, the run folder, MLflow and reports say the same,
and a run that was killed and resumed has the symptoms of one that never was. They change nothing in training. A symptom
is no failure: the run may recover, and is finished, counted and compared like any other.

The thresholds are chosen, not tuned, and were then checked on 318 runs of a pilot. Of tuned arms of images no run had a
symptom; of plain GANs on the ring, 11 of 40 had a collapse and two a discriminator that won, and of those with packing
none had any; of the planted harm, ten times the learning rate, all five had one.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

COLLAPSE, DIVERGENCE, DISCRIMINATOR_WON = "collapse", "divergence", "discriminator_won"

# D(real) and D(fake), each a mean over an epoch. At 0.05 the gradient of log(1 - D(G(z))) with respect to the logit is
# a twentieth of its largest; claim B2 takes the same figure for a discriminator that is early and sure.
WON_REAL, WON_FAKE = 0.95, 0.05
WON_EPOCHS = 3

# A network with a cross-entropy of 50 nats gives the truth a probability of e^-50. Losses on logits have no scale of
# their own, so they are compared with their first epochs.
LARGEST_NATS = 50.0
BEGINNING, GROWTH = 3, 1000.0

# Collapse: half of the samples look real, and they reach no more than half of the modes; or a class of them has less
# than a fifth of the spread of real ones; or, once half of the modes have been reached, half of those are lost.
REAL_LOOKING, MODES_REACHED, SPREAD = 0.5, 0.5, 0.2
EVALUATIONS = 2
# Every evaluation of images has this metric, and none of points of the plane.
OF_IMAGES = "fid_pixels"
# Share of the epochs without a verdict on samples: most trainings pass through a few modes on their way.
EARLY = 0.25


@dataclass(frozen=True)
class Symptom:
    """Describes one kind of symptom of a run."""

    name: str
    # The first in which it had lasted for long enough.
    epoch: int
    # Its figures, in words.
    seen: str

    def __str__(self) -> str:
        return f"{self.name.replace('_', ' ')} in epoch {self.epoch}: {self.seen}; training goes on, the run is marked"


@dataclass
class SymptomWatch:
    """Reads the lines of a journal one after the other, and finds each kind of symptom once."""

    # Of the whole run.
    epochs: int
    # Whether the logits are those of a probability, as with cross-entropy and with no other loss.
    probabilities: bool
    found: list[Symptom] = field(default_factory=list)
    _lasting: Counter[str] = field(default_factory=Counter)
    _beginning: list[float] = field(default_factory=list)
    _untrained: float = math.nan
    _best: float = 0.0

    def see(self, line: Mapping[str, Any]) -> list[Symptom]:
        """Reads a line, and returns the symptoms that it adds."""
        before = len(self.found)
        if curves := line.get("curves"):
            self._check_curves(line["epoch"], curves)
        if metrics := line.get("metrics"):
            self._check_metrics(line["epoch"], metrics)
        return self.found[before:]

    @property
    def mark(self) -> dict[str, dict[str, int]]:
        """Returns the part of the run's status that records them: the epoch of each kind; {} where there is none."""
        return {"symptoms": {symptom.name: symptom.epoch for symptom in self.found}} if self.found else {}

    def _check_curves(self, epoch: int, curves: Mapping[str, float]) -> None:
        losses = {name: curves[name] for name in ("generator_loss", "discriminator_loss") if name in curves}
        for name, loss in losses.items():
            if not math.isfinite(loss):
                self._add(DIVERGENCE, epoch, f"the {name.replace('_', ' ')} is {loss}")
        largest = max(map(abs, losses.values()), default=0.0)
        if len(self._beginning) < BEGINNING:
            self._beginning.append(largest)
        limit = LARGEST_NATS if self.probabilities else GROWTH * max(1.0, *self._beginning)
        if largest > limit:
            self._add(DIVERGENCE, epoch, f"a loss is {largest:.3g}, and more than {limit:.3g} is beyond any use")
        if self.probabilities and {"d_real", "d_fake"} <= curves.keys():
            real, fake = curves["d_real"], curves["d_fake"]
            if self._lasts(DISCRIMINATOR_WON, real >= WON_REAL and fake <= WON_FAKE, WON_EPOCHS):
                self._add(
                    DISCRIMINATOR_WON,
                    epoch,
                    f"D(real) {real:.3f} and D(fake) {fake:.3f} leave the generator little to learn from",
                )

    def _check_metrics(self, epoch: int, metrics: Mapping[str, float]) -> None:
        fid = metrics.get("fid", math.nan)
        if epoch == 0:
            self._untrained = fid
        if epoch < EARLY * self.epochs:
            return
        # Of images only, as where a report decides what failed: points collapsed to a mode are far by FID.
        images = OF_IMAGES in metrics
        if self._lasts("fid", images and fid >= self._untrained, EVALUATIONS):
            self._add(DIVERGENCE, epoch, f"the FID, {fid:.4g}, is not below that of the untrained generator")
        looking = metrics.get("high_quality", metrics.get("precision", math.nan))
        reached = metrics.get("overlap", metrics.get("mode_coverage", math.nan))
        spread = metrics.get("diversity", math.nan)
        few = looking >= REAL_LOOKING and reached <= MODES_REACHED
        alike = looking >= REAL_LOOKING and spread < SPREAD
        lost = self._best >= MODES_REACHED and reached <= self._best / 2
        if self._lasts(COLLAPSE, few or alike or lost, EVALUATIONS):
            self._add(
                COLLAPSE,
                epoch,
                f"{looking:.0%} of the samples look real, {reached:.0%} of the modes are reached"
                + (f", and samples of a class have {spread:.0%} of the real spread" if spread == spread else ""),
            )
        if reached > self._best:
            self._best = reached

    def _lasts(self, name: str, present: bool, times: int) -> bool:
        self._lasting[name] = self._lasting[name] + 1 if present else 0
        return self._lasting[name] == times

    def _add(self, name: str, epoch: int, seen: str) -> None:
        if all(symptom.name != name for symptom in self.found):
            self.found.append(Symptom(name, epoch, seen))


def find_symptoms(lines: Iterable[Mapping[str, Any]], epochs: int, *, probabilities: bool) -> list[Symptom]:
    """Returns every symptom in the lines of a journal, each kind once, in the order of their epochs."""
    watch = SymptomWatch(epochs, probabilities)
    for line in lines:
        watch.see(line)
    return watch.found


def describe_symptoms(status: Mapping[str, Any]) -> str:
    """Describes the symptoms that the status of a run records, and their epochs; the status may be a stranger's."""
    found = status.get("symptoms")
    return "; ".join(f"{name} in epoch {epoch}" for name, epoch in found.items()) if isinstance(found, dict) else ""
