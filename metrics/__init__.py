"""Compares samples with real data: pure functions of tensors, and the pinned classifiers that give features of images.

base.py          defines Metric, the record of a metric: direction, range, needs, cost, paper
features.py      defines the classifier, its files and its identity
inception.py     computes FID, KID and Inception score by the network of published papers
frechet.py       computes the Fréchet distance between Gaussian fits (FID)
kernel.py        computes the squared maximum mean discrepancy with the cubic kernel (KID), with its standard error
neighbours.py    computes precision, recall, density, coverage, and the manifold of a class, by nearest neighbours
modes.py         counts which known modes the samples reach, and how evenly: classes, and centres in the plane
accuracy.py      counts samples of the class that was asked for
captions.py      measures from a digit's pixels which words are true of it
diversity.py     compares the spread within a class with the real spread
memorization.py  tests whether samples lie nearer to training examples than fresh real ones do
gan_train.py     trains a small network on samples and tests it on real data
spectrum.py      finds checkerboard artefacts in the power spectrum
pixels.py        projects images on their principal components, without a classifier
ranking.py       computes the probability that one score beats another
chunks.py        cuts up or repeats work as suits the device

Nothing here knows of variants or runs, reads a clock, or draws from a global random state.
"""
