"""GAN-train: how well a fresh network that has only seen samples reads real data.

In [0, 1], larger is better. It falls with wrong labels, with missing variety and with unreal samples, and does not
saturate as GAN-test does. Shmelkov et al. 2018, section 3. The network, its training and the number of samples are
fixed: one hidden layer of 256 ReLU units, Adam 1e-3, batches of 100, 500 updates (chosen, not tuned).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

SAMPLES = 5000
SEEDS = (0, 1, 2)
HIDDEN = 256
UPDATES = 500
BATCH = 100
LEARNING_RATE = 1e-3


def gan_train(
    samples: Float[Tensor, "n *shape"],
    labels: Int[Tensor, " n"],
    real: Float[Tensor, "m *shape"],
    real_labels: Int[Tensor, " m"],
    classes: int,
    seeds: tuple[int, ...] = SEEDS,
) -> float:
    """Mean accuracy on real data over networks of several seeds, each trained on the samples with their labels."""
    x, test = samples.flatten(1), real.flatten(1)
    right = 0.0
    for seed in seeds:
        network = _trained(x, labels, classes, seed)
        with torch.no_grad():
            right += (network(test).argmax(1) == real_labels).double().mean().item()
    return right / len(seeds)


def _trained(x: Float[Tensor, "n values"], labels: Int[Tensor, " n"], classes: int, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(x.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes)).to(x.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, fused=True)
    batch, order = min(BATCH, len(x)), []
    for _ in range(UPDATES):
        if not order:
            shuffled = torch.randperm(len(x), generator=generator).to(x.device)
            order = list(shuffled.split(batch)[: len(x) // batch])
        chosen = order.pop()
        loss = functional.cross_entropy(network(x[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network
