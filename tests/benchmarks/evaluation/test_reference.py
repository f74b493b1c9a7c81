"""What is computed of the reference."""

from dataclasses import replace

import torch

from benchmarks.config import DatasetConfig
from benchmarks.datasets import load
from benchmarks.evaluation.reference import ReferenceSet
from metrics.features import load_extractor


def test_features_of_a_whole_split_leave_out_dead_units() -> None:
    digits = load(DatasetConfig("digits"))
    extractor = load_extractor("digits")
    deviation = extractor.deviation.clone()
    deviation[3:5] = 0
    trained_on_test = replace(digits, train=digits.test)
    real = ReferenceSet(trained_on_test, digits.reference, (replace(extractor, deviation=deviation),), 100)
    features = real.training_features
    assert features.shape == (len(digits.test), len(deviation) - 2)
    torch.testing.assert_close(features, real.standardize(real.read(digits.test.images(slice(None)))[0]))
