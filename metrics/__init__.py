"""How a generator is judged: pure functions of tensors, and the pinned classifiers that give features of images.

features.py      the classifier, its files, and its identity
frechet.py       Fréchet distance between Gaussian fits (FID)
kernel.py        squared maximum mean discrepancy with the cubic kernel (KID), with its standard error
neighbours.py    precision, recall, density, coverage, and the manifold of a class, by nearest neighbours
modes.py         which known modes the samples reach, and how evenly: classes, and centres in the plane
accuracy.py      whether samples belong to the class that was asked for
captions.py      words that are true of a digit's image, measured from its pixels
diversity.py     spread within a class, against the real spread
memorization.py  whether samples lie nearer to training examples than fresh real ones do
gan_train.py     accuracy on real data of a small network trained on samples
spectrum.py      checkerboard artefacts, by the power spectrum
pixels.py        a space of images that no classifier made
ranking.py       the probability that one score beats another
parts.py         how work is cut up, or repeated, as suits the device
record.py        what is known of a metric: direction, range, needs, cost, paper

Nothing here knows of variants or runs, reads a clock, or draws from a global random state.
"""
