"""Makes a file of random weights in the format of the published ones of Inception."""

import hashlib
from pathlib import Path

import pytest
import torch
from torch import nn

from metrics import inception


def save_stand_in(path: Path, patch: pytest.MonkeyPatch) -> Path:
    """Saves random weights under a name, and lets them pass for the published ones while the patch lasts."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({}, path)
    with pytest.MonkeyPatch.context() as building, torch.random.fork_rng():
        # The constructor reads weights at once, and there are none yet.
        building.setattr(nn.Module, "load_state_dict", lambda *_: None)
        torch.manual_seed(0)
        network = FeatureExtractorInceptionV3("inception", ["2048"], str(path))
    torch.save(network.state_dict(), path)
    patch.setattr(inception, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path
