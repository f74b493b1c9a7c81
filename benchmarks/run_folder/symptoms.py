"""What goes wrong with a training, read off its journal: mode collapse, divergence, a discriminator that has won.

They are functions of the journal's lines alone, so that the screen, the run folder, MLflow and reports say the same, a
run that goes on after a kill is told the same as one that was never killed, and training computes what it would
without. A symptom is no failure: a run that has one may recover, and is finished, counted and compared like any other.

The thresholds are chosen, not tuned, and were then looked at on 318 runs of a pilot. Of tuned arms of images no run had
a symptom; of plain GANs on the ring 11 of 40 had a collapse and two a discriminator that won, and of those with packing
none had any; of the planted harm, ten times the learning rate, all five had one.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

COLLAPSE, DIVERGENCE, DISCRIMINATOR_WON = "collapse", "divergence", "discriminator_won"

# D(real) and D(fake), each a mean over an epoch. At 0.05 the gradient of log(1 - D(G(z))) in the logit is a twentieth
# of the largest that it can be; it is also the figure by which the claims call a discriminator early and sure (B2).
WON_REAL, WON_FAKE = 0.95, 0.05
WON_EPOCHS = 3

# A cross-entropy of 50 nats is that of a network which gives what is true a chance of e^-50. Losses on logits have no
# scale of their own, so they are held against their own beginning.
LARGEST_NATS = 50.0
BEGINNING, GROWTH = 3, 1000.0

# Half of the samples look real, and they reach no more than half of the modes; or a class of them has less than a fifth
# of the spread of real ones. Once half of the modes have been reached, losing half of those is a collapse as well.
REAL_LOOKING, MODES_REACHED, SPREAD = 0.5, 0.5, 0.2
EVALUATIONS = 2
# All images have this metric, whatever is known of their classes, and points of the plane do not.
OF_IMAGES = "fid_pixels"
# Most trainings pass through a few modes on their way, so their first part is not judged by its samples.
EARLY = 0.25


@dataclass(frozen=True)
class Symptom:
    """name: of the kind. epoch: in which it was there for long enough to be told. seen: in figures."""

    name: str
    epoch: int
    seen: str

    def __str__(self) -> str:
        return f"{self.name.replace('_', ' ')} in epoch {self.epoch}: {self.seen}; training goes on, the run is marked"


@dataclass
class SymptomWatch:
    """Sees the lines of a journal one after the other, and tells of each kind of symptom once.

    epochs: of the whole run. probabilities: the logits are those of a probability, as with cross-entropy and with no
    other loss.
    """

    epochs: int
    probabilities: bool
    found: list[Symptom] = field(default_factory=list)
    _lasting: Counter[str] = field(default_factory=Counter)
    _beginning: list[float] = field(default_factory=list)
    _untrained: float = math.nan
    _best: float = 0.0

    def see(self, line: Mapping[str, Any]) -> list[Symptom]:
        """The symptoms that this line adds."""
        before = len(self.found)
        if curves := line.get("curves"):
            self._curves(line["epoch"], curves)
        if metrics := line.get("metrics"):
            self._metrics(line["epoch"], metrics)
        return self.found[before:]

    @property
    def mark(self) -> dict[str, dict[str, int]]:
        """What the status of the run says of them: the epoch of each kind; nothing where there is none."""
        return {"symptoms": {symptom.name: symptom.epoch for symptom in self.found}} if self.found else {}

    def _curves(self, epoch: int, curves: Mapping[str, float]) -> None:
        losses = {name: curves[name] for name in ("generator_loss", "discriminator_loss") if name in curves}
        for name, loss in losses.items():
            if not math.isfinite(loss):
                self._tell(DIVERGENCE, epoch, f"the {name.replace('_', ' ')} is {loss}")
        largest = max(map(abs, losses.values()), default=0.0)
        if len(self._beginning) < BEGINNING:
            self._beginning.append(largest)
        limit = LARGEST_NATS if self.probabilities else GROWTH * max(1.0, *self._beginning)
        if largest > limit:
            self._tell(DIVERGENCE, epoch, f"a loss is {largest:.3g}, and more than {limit:.3g} is beyond any use")
        if self.probabilities and {"d_real", "d_fake"} <= curves.keys():
            real, fake = curves["d_real"], curves["d_fake"]
            if self._lasts(DISCRIMINATOR_WON, real >= WON_REAL and fake <= WON_FAKE, WON_EPOCHS):
                self._tell(
                    DISCRIMINATOR_WON,
                    epoch,
                    f"D(real) {real:.3f} and D(fake) {fake:.3f} leave the generator little to learn from",
                )

    def _metrics(self, epoch: int, metrics: Mapping[str, float]) -> None:
        fid = metrics.get("fid", math.nan)
        if epoch == 0:
            self._untrained = fid
        if epoch < EARLY * self.epochs:
            return
        # As in the rule of what has failed: of images only, because points collapsed to a mode are far by FID.
        images = OF_IMAGES in metrics
        if self._lasts("fid", images and fid >= self._untrained, EVALUATIONS):
            self._tell(DIVERGENCE, epoch, f"the FID, {fid:.4g}, is not below that of the untrained generator")
        looking = metrics.get("high_quality", metrics.get("precision", math.nan))
        reached = metrics.get("overlap", metrics.get("mode_coverage", math.nan))
        spread = metrics.get("diversity", math.nan)
        few = looking >= REAL_LOOKING and reached <= MODES_REACHED
        alike = looking >= REAL_LOOKING and spread < SPREAD
        lost = self._best >= MODES_REACHED and reached <= self._best / 2
        if self._lasts(COLLAPSE, few or alike or lost, EVALUATIONS):
            self._tell(
                COLLAPSE,
                epoch,
                f"{looking:.0%} of the samples look real, {reached:.0%} of the modes are reached"
                + (f", and samples of a class have {spread:.0%} of the real spread" if spread == spread else ""),
            )
        if reached > self._best:
            self._best = reached

    def _lasts(self, name: str, there: bool, times: int) -> bool:
        self._lasting[name] = self._lasting[name] + 1 if there else 0
        return self._lasting[name] == times

    def _tell(self, name: str, epoch: int, seen: str) -> None:
        if all(symptom.name != name for symptom in self.found):
            self.found.append(Symptom(name, epoch, seen))


def symptoms(lines: Iterable[Mapping[str, Any]], epochs: int, *, probabilities: bool) -> list[Symptom]:
    """Every symptom that these lines of a journal show, each kind once, in the order in which they came."""
    watch = SymptomWatch(epochs, probabilities)
    for line in lines:
        watch.see(line)
    return watch.found


def describe_symptoms(status: Mapping[str, Any]) -> str:
    """Which symptoms the status of a run bears, and in which epoch each was seen; the status may be a stranger's."""
    found = status.get("symptoms")
    return "; ".join(f"{name} in epoch {epoch}" for name, epoch in found.items()) if isinstance(found, dict) else ""
