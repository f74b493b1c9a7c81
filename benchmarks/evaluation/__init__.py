"""Measures everything that is measured on a generator, and tests the measures themselves.

reference.py    holds the real side of a comparison, computed once
samples.py      holds the samples beside it: what a metric is computed from
catalogue.py    lists every metric with its direction, range, needs and paper
evaluator.py    measures every applicable metric of a generator, and the same of real data
given.py        reads and judges samples that anything made: files of images
matching.py     chooses examples with the label frequencies of the reference
classifiers.py  finds or trains the classifiers that give features and predicted classes
inception.py    finds the weights of the network of published papers
defects.py      plants known defects into real data, to see which metric notices which
probes/         measures more than metrics while a run trains
"""
