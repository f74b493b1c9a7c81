"""The mark of tests that need a GPU: they are skipped where there is none, as on the machines of CI."""

import pytest
import torch

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
