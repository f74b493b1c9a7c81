"""Trains networks: one update, one epoch, one seed or many. Read steps.py first.

steps.py           trains each network once: D1 and D2, the algorithm of Goodfellow et al. 2014
gan.py             holds the two networks with their optimisers, and builds them for a recipe
batches.py         draws the batches of an epoch: examples, noise, labels
random_streams.py  seeds the named random streams of a run
epoch.py           does the updates of an epoch
descent.py         takes one step of an optimiser
adam.py            is torch's Adam without its overhead
precision.py       calculates with TF32 or bfloat16
device.py          chooses the device
sampling.py        draws samples from a generator
operations.py      counts floating-point operations
stacked.py         trains several seeds as one
cuda_graphs.py     records the updates on a GPU and replays them
"""
