"""Every metric against an independent implementation, on the same tensors in float64.

Where a library has the definition, it is that of scikit-learn, scipy, torchmetrics, torch-fidelity or prdc; else it is
written out here, by loops over pairs. What no other implementation has, or has by another definition, is named in
DIFFERENT.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

LARGEST = 1e-6
DIFFERENT = {
    "kid of torchmetrics and torch-fidelity": "a mean over random subsets of the samples, ours takes every pair once; "
    "held against one subset of all of them",
    "fid, kid, precision, recall of torch-fidelity": "of Inception features; held against what it makes of given ones",
    "precision, recall, density, coverage of prdc": "one number of neighbours for all four, ours is each paper's, "
    "3 and 5; what lies on the edge of a ball is outside there",
    "nearest training example": "ours is in float32, class by class; held against float64 to 1e-5",
    "fid_pixels": "its principal components are float32; held against those of scikit-learn to 1e-4",
    "gan_train": "an accuracy of networks trained here: its network, updates and seeds are this project's own choice",
}


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Identity(nn.Module):
    """An extractor for torchmetrics whose features are the values themselves."""

    num_features = 6

    def forward(self, values: Tensor) -> Tensor:
        return values


X, Y = draw(1, 300, 6), draw(2, 250, 6) * 1.3 + 0.2
LABELS = torch.arange(300) % 4
OTHERS = torch.arange(250) % 4
GUESSES = torch.where(draw(3, 300) > 0.3, LABELS, (LABELS + 1) % 4)


def frechet() -> tuple[float, float]:
    import scipy.linalg

    from metrics.frechet import frechet_distance, moments

    (one, other) = (np.cov(each.numpy(), rowvar=False) for each in (X, Y))
    root = scipy.linalg.sqrtm(one @ other).real
    mean = ((X.mean(0) - Y.mean(0)) ** 2).sum().item()
    return frechet_distance(moments(X), moments(Y)), mean + np.trace(one + other - 2 * root)


def frechet_by_torchmetrics() -> tuple[float, float]:
    from torchmetrics.image.fid import FrechetInceptionDistance

    from metrics.frechet import frechet_distance, moments

    theirs = FrechetInceptionDistance(feature=Identity()).set_dtype(torch.float64)
    theirs.update(Y, real=True)
    theirs.update(X, real=False)
    return frechet_distance(moments(X), moments(Y)), theirs.compute().item()


def frechet_by_torch_fidelity() -> tuple[float, float]:
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    from metrics.frechet import frechet_distance, moments

    theirs = fid_statistics_to_metric(*map(fid_features_to_statistics, (X, Y)), verbose=False)
    return frechet_distance(moments(X), moments(Y)), theirs[KEY_METRIC_FID]


def mean_of_logarithms() -> tuple[float, float]:
    from scipy.stats import gmean

    from metrics.frechet import geometric_mean

    values = [0.3, 4.0, 17.0, 2.5]
    return geometric_mean(values), gmean(values)


def kernels() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from sklearn.metrics.pairwise import polynomial_kernel

    x, y = X.numpy(), Y.numpy()
    return tuple(polynomial_kernel(a, b, degree=3, gamma=1 / 6, coef0=1) for a, b in ((x, x), (y, y), (x, y)))


def kid() -> tuple[float, float]:
    from metrics.kernel import kernel_side, squared_mmd

    xx, yy, xy = kernels()
    n, m = xy.shape
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return squared_mmd(kernel_side(X), kernel_side(Y)).value, within - 2 * xy.mean()


def kid_error() -> tuple[float, float]:
    from metrics.kernel import kernel_side, squared_mmd

    xx, yy, xy = kernels()
    n, m = xy.shape
    u = (xx.sum(1) - np.diag(xx)) / (n - 1) - xy.mean(1)
    v = (yy.sum(1) - np.diag(yy)) / (m - 1) - xy.mean(0)
    return squared_mmd(kernel_side(X), kernel_side(Y)).error, math.sqrt(4 * u.var(ddof=1) / n + 4 * v.var(ddof=1) / m)


def kid_by_torch_fidelity() -> tuple[float, float]:
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    from metrics.kernel import kernel_side, squared_mmd

    fake = X[: len(Y)]
    theirs = kid_features_to_metric(fake, Y, kid_subsets=1, kid_subset_size=len(Y), verbose=False)
    return squared_mmd(kernel_side(fake), kernel_side(Y)).value, theirs[KEY_METRIC_KID_MEAN]


def balls(points: Tensor, k: int) -> np.ndarray:
    """The distance of each point to its k-th nearest other one."""
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=k + 1).fit(points.numpy()).kneighbors(points.numpy())[0][:, k]


Others = Callable[[Tensor, Tensor], Mapping[str, float]]
"""Precision, recall, density, coverage, or some of them, of samples beside real examples."""


def of_neighbours(name: str, others: Others) -> Callable[[], tuple[float, float]]:
    def compared() -> tuple[float, float]:
        from metrics.neighbours import manifold, neighbourhood

        fake, real = X[: len(Y)], Y
        return getattr(neighbourhood(fake, manifold(real)), name), float(others(fake, real)[name])

    return compared


def by_scikit_learn(fake: Tensor, real: Tensor) -> Mapping[str, float]:
    from scipy.spatial.distance import cdist

    distances = cdist(fake.numpy(), real.numpy())
    fake_balls, real_balls, large = balls(fake, 3), balls(real, 3), balls(real, 5)
    return {
        "precision": (distances <= real_balls).any(1).mean(),
        "recall": (distances <= fake_balls[:, None]).any(0).mean(),
        "density": (distances <= large).sum() / (5 * len(fake)),
        "coverage": (distances <= large).any(0).mean(),
    }


def by_prdc(neighbours: int) -> Others:
    def measured(fake: Tensor, real: Tensor) -> Mapping[str, float]:
        from prdc import compute_prdc

        # It prints how many there are.
        with redirect_stdout(StringIO()):
            return compute_prdc(real.numpy(), fake.numpy(), neighbours)

    return measured


def by_torch_fidelity(fake: Tensor, real: Tensor) -> Mapping[str, float]:
    from torch_fidelity.metric_prc import prc_features_to_metric

    return prc_features_to_metric(fake, real, prc_neighborhood=3, verbose=False)


def inside_own_class() -> tuple[float, float]:
    from scipy.spatial.distance import cdist

    from metrics.neighbours import class_balls, inside_class

    theirs = 0
    for label in range(4):
        members = Y[label == OTHERS]
        near = cdist(X[label == LABELS].numpy(), members.numpy())
        theirs += int((near <= balls(members, 3)).any(1).sum())
    return float(inside_class(X, LABELS, class_balls(Y, OTHERS)).sum()), float(theirs)


def measure_accuracy() -> dict[str, Tensor]:
    from metrics import ClassAccuracy

    metric = ClassAccuracy(4)
    metric.update(GUESSES, LABELS)
    return metric.compute()


def accuracy_of_labels() -> tuple[float, float]:
    from sklearn.metrics import accuracy_score

    return measure_accuracy()["accuracy"], accuracy_score(LABELS, GUESSES)


def accuracy_of_each_label() -> tuple[Tensor, np.ndarray]:
    from sklearn.metrics import recall_score

    values = measure_accuracy()
    return torch.stack([values[f"accuracy_class_{label}"] for label in range(4)]), recall_score(
        LABELS, GUESSES, average=None
    )


def area_under_the_curve() -> tuple[float, float]:
    from sklearn.metrics import roc_auc_score

    from metrics.ranking import probability_above

    left, right = X[:, 0].round(decimals=1), Y[:, 0].round(decimals=1)
    truth = np.r_[np.ones(300), np.zeros(250)]
    return probability_above(left, right), roc_auc_score(truth, np.r_[left.numpy(), right.numpy()])


def rank_sum() -> tuple[float, float]:
    from scipy.stats import mannwhitneyu

    from metrics.ranking import probability_above

    left, right = X[:, 1].round(decimals=1), Y[:, 1].round(decimals=1)
    return probability_above(left, right), mannwhitneyu(left, right).statistic / (300 * 250)


def pairs_of_a_row() -> tuple[float, float]:
    from metrics.ranking import paired_probability_above

    own, others = X[:, 0].round(decimals=1), X[:, 1:].round(decimals=1)
    wins = [
        1.0 if a > b else 0.5 if a == b else 0.0
        for a, row in zip(own.tolist(), others.tolist(), strict=True)
        for b in row
    ]
    return paired_probability_above(own, others), sum(wins) / len(wins)


def distances_between() -> tuple[float, float]:
    from scipy.spatial.distance import pdist

    from metrics.diversity import mean_distance

    return mean_distance(X), pdist(X.numpy()).mean()


def diversity_of_classes() -> tuple[Tensor, np.ndarray]:
    from scipy.spatial.distance import pdist

    from metrics.diversity import class_diversity, class_spread

    ratios = [pdist(X[k == LABELS].numpy()).mean() / pdist(Y[k == OTHERS].numpy()).mean() for k in range(4)]
    return class_diversity(class_spread(X, LABELS, 4), class_spread(Y, OTHERS, 4), 300), np.array(ratios)


def copies_and_their_chance(which: int) -> Callable[[], tuple[float, float]]:
    def compared() -> tuple[float, float]:
        from sklearn.metrics import roc_auc_score

        from metrics.memorization import memorization

        # Of each class so many that the nearest one in a hundred can be told.
        near, usual, classes = X[:, 0].abs(), draw(10, 1200).abs(), torch.arange(1200) % 4
        chance, copies = 0.0, 0
        for label in range(4):
            ours, fresh = near[label == LABELS].numpy(), usual[label == classes].numpy()
            truth = np.r_[np.ones(len(ours)), np.zeros(len(fresh))]
            chance += len(ours) * roc_auc_score(truth, -np.r_[ours, fresh])
            copies += (ours <= np.sort(fresh)[(len(fresh) + 1) // 100 - 1]).sum()
        found = memorization(near, LABELS, usual, classes)
        return (found.probability, found.copies)[which], (chance, copies)[which] / 300

    return compared


def divergence_of_modes() -> tuple[float, float]:
    from scipy.stats import entropy

    from metrics.modes import mode_kl

    counts, truth = torch.tensor([5.0, 0.0, 30.0, 12.0]).double(), torch.tensor([10.0, 3.0, 20.0, 20.0]).double()
    return mode_kl(counts, truth), entropy(counts.numpy(), truth.numpy())


def of_centres(name: str) -> Callable[[], tuple[float, float]]:
    def compared() -> tuple[float, float]:
        from scipy.spatial.distance import cdist

        from metrics import modes

        centres = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0], [9.0, 9.0]], dtype=torch.float64)
        points = centres[torch.arange(300) % 3] + 0.4 * draw(5, 300, 2)
        away = cdist(points.numpy(), centres.numpy())
        nearest, distance = away.argmin(1), away.min(1)
        close = distance <= 1.0
        counts = np.bincount(nearest[close], minlength=4)
        spreads = [
            ((points.numpy()[close & (nearest == k)] - points.numpy()[close & (nearest == k)].mean(0)) ** 2).sum()
            / (counts[k] - 1)
            / (2 * 0.4**2)
            for k in range(3)
        ]
        inner = modes.mode_counts(torch.from_numpy(nearest[close]), 4)
        ours = {
            "overlap": lambda: modes.overlap(points, centres, 1.0),
            "spread": lambda: modes.mode_spread(points, centres, 1.0, 0.4),
            "quality": lambda: modes.high_quality(torch.from_numpy(distance), 0.4).double().mean().item(),
            "captured": lambda: modes.modes_captured(inner),
            "coverage": lambda: modes.mode_coverage(inner, torch.ones(4), 300),
        }
        theirs = {
            "overlap": np.minimum(counts / 300, 1 / 4).sum(),
            "spread": math.sqrt(np.mean(spreads)),
            "quality": (distance <= 3 * 0.4).mean(),
            "captured": (counts > 0).sum(),
            "coverage": (counts / 300 >= 0.1 / 4).mean(),
        }
        return ours[name](), float(theirs[name])

    return compared


PICTURES = draw(6, 20, 2, 16, 16)


def power() -> tuple[Tensor, np.ndarray]:
    from metrics.spectrum import mean_power

    return mean_power(PICTURES), (np.abs(np.fft.fft2(PICTURES.numpy())) ** 2).mean((0, 1))


def checkerboard() -> tuple[float, float]:
    from metrics.spectrum import checkerboard_contrast

    spectrum = (np.abs(np.fft.fft2(PICTURES.numpy())) ** 2).mean((0, 1))
    peaks, around = [], []
    for r, c in ((0, 8), (8, 0), (8, 8)):
        peaks.append(spectrum[r, c])
        for i in range(r - 1, r + 2):
            for j in range(c - 1, c + 2):
                if (i, j) != (r, c) and (i % 16, j % 16) != (0, 0):
                    around.append(spectrum[i % 16, j % 16])
    return checkerboard_contrast(torch.from_numpy(spectrum)), math.log10(np.mean(peaks) / np.mean(around))


def lean() -> tuple[Tensor, np.ndarray]:
    from metrics.captions import slant

    images = torch.rand(5, 1, 9, 7, generator=torch.Generator().manual_seed(7), dtype=torch.float64) * 2 - 1
    found = []
    for ink in (images[:, 0].numpy() + 1) / 2:
        rows, columns = np.mgrid[: ink.shape[0], : ink.shape[1]]
        covariance = np.cov(np.stack([rows.ravel(), columns.ravel()]), aweights=ink.ravel(), ddof=0)
        found.append(-covariance[0, 1] / covariance[0, 0])
    return slant(images), np.array(found)


def stroke() -> tuple[Tensor, np.ndarray]:
    from metrics.captions import thickness

    images = torch.rand(5, 1, 9, 7, generator=torch.Generator().manual_seed(8), dtype=torch.float64) * 2 - 1
    found = []
    for ink in (images[:, 0].numpy() + 1) / 2:
        wide, outline = np.pad(ink, 1), 0.0
        for i in range(wide.shape[0] - 1):
            for j in range(wide.shape[1] - 1):
                a, b = wide[i + 1, j + 1] - wide[i, j], wide[i + 1, j] - wide[i, j + 1]
                outline += math.sqrt((a * a + b * b) / 2)
        found.append(2 * ink.sum() / outline)
    return thickness(images), np.array(found)


def principal_components() -> tuple[Tensor, np.ndarray]:
    """Distances between images in the space of their first components; a component's sign is anybody's choice."""
    from scipy.spatial.distance import pdist
    from sklearn.decomposition import PCA

    from metrics.pixels import pixel_space

    images = (draw(9, 200, 1, 6, 6) * torch.linspace(1, 4, 36).reshape(1, 1, 6, 6)).float()
    space = pixel_space(images)
    ours = space.coordinates(images)
    theirs = PCA(ours.shape[1], svd_solver="full").fit_transform(images.flatten(1).double().numpy())
    return torch.pdist(ours.double()), pdist(theirs)


COMPARISONS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "fid (scipy)": frechet,
    "fid (torchmetrics)": frechet_by_torchmetrics,
    "fid (torch-fidelity)": frechet_by_torch_fidelity,
    "geometric mean (scipy)": mean_of_logarithms,
    "kid (scikit-learn)": kid,
    "kid (torch-fidelity)": kid_by_torch_fidelity,
    "kid_error (scikit-learn)": kid_error,
    "precision (scikit-learn)": of_neighbours("precision", by_scikit_learn),
    "recall (scikit-learn)": of_neighbours("recall", by_scikit_learn),
    "density (scikit-learn)": of_neighbours("density", by_scikit_learn),
    "coverage (scikit-learn)": of_neighbours("coverage", by_scikit_learn),
    "precision (prdc)": of_neighbours("precision", by_prdc(3)),
    "recall (prdc)": of_neighbours("recall", by_prdc(3)),
    "density (prdc)": of_neighbours("density", by_prdc(5)),
    "coverage (prdc)": of_neighbours("coverage", by_prdc(5)),
    "precision (torch-fidelity)": of_neighbours("precision", by_torch_fidelity),
    "recall (torch-fidelity)": of_neighbours("recall", by_torch_fidelity),
    "inside the class (scipy)": inside_own_class,
    "accuracy (scikit-learn)": accuracy_of_labels,
    "accuracy_class (scikit-learn)": accuracy_of_each_label,
    "probability above (scikit-learn)": area_under_the_curve,
    "probability above (scipy)": rank_sum,
    "label use (by pairs)": pairs_of_a_row,
    "mean distance (scipy)": distances_between,
    "diversity (scipy)": diversity_of_classes,
    "memorization (scikit-learn)": copies_and_their_chance(0),
    "copies (numpy)": copies_and_their_chance(1),
    "mode_kl (scipy)": divergence_of_modes,
    "overlap (scipy)": of_centres("overlap"),
    "mode_spread (numpy)": of_centres("spread"),
    "high_quality (scipy)": of_centres("quality"),
    "modes_captured (numpy)": of_centres("captured"),
    "mode_coverage (numpy)": of_centres("coverage"),
    "power spectrum (numpy)": power,
    "checkerboard (by loops)": checkerboard,
    "caption_slant: its slant (numpy)": lean,
    "caption_thickness: its thickness (by loops)": stroke,
}


def difference(name: str) -> float:
    """The largest relative difference of a comparison."""
    ours, theirs = (np.atleast_1d(np.asarray(side, dtype=np.float64)) for side in COMPARISONS[name]())
    if ours.shape != theirs.shape or not np.isfinite(theirs).all():
        return math.inf
    scale = np.maximum(np.abs(theirs), 1e-300)
    return float((np.abs(ours - theirs) / scale).max())


def metrics(work: Path, size: float, say: Callable[[str], None]) -> dict[str, Any]:
    found = {name: difference(name) for name in COMPARISONS}
    worst = max(found, key=found.__getitem__)
    return {
        "metrics_compared": len(found),
        "largest_relative_difference": f"{found[worst]:.1e} ({worst})",
        "of_each": {name: f"{value:.1e}" for name, value in found.items()},
        "different_by_definition": [f"{name}: {why}" for name, why in DIFFERENT.items()],
    }
