"""Turns the state of a training into named tensors, and back. The names are those in checkpoint files."""

from collections import defaultdict
from dataclasses import dataclass

from torch import Tensor

from benchmarks.algorithm.gan import GAN


@dataclass
class TrainState:
    """Holds what training changes: networks, optimisers, epochs done. A checkpoint is exactly this."""

    gan: GAN
    epoch: int = 0

    def tensors(self) -> dict[str, Tensor]:
        """Returns the state as tensors by name."""
        gan = self.gan
        named = {f"generator.{name}": value for name, value in gan.generator.state_dict().items()}
        named |= {f"discriminator.{name}": value for name, value in gan.discriminator.state_dict().items()}
        for role in ("generator_optimizer", "discriminator_optimizer"):
            for index, values in getattr(gan, role).state_dict()["state"].items():
                named |= {f"{role}.{index}.{name}": value for name, value in values.items() if value is not None}
        if gan.ema_generator is not None:
            named |= {f"averaged.{name}": value for name, value in gan.ema_generator.state_dict().items()}
        if (replay := gan.replay) is not None and replay.fakes is not None:
            named["replay.fakes"] = replay.fakes[: replay.filled]
            if replay.condition is not None:
                named["replay.condition"] = replay.condition[: replay.filled]
        return named

    def restore(self, tensors: dict[str, Tensor], epoch: int) -> None:
        """Takes over a state, as `tensors` gave it. Raises KeyError, ValueError or RuntimeError if it does not fit."""
        parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
        for name, value in tensors.items():
            role, _, rest = name.partition(".")
            parts[role][rest] = value
        self.gan.generator.load_state_dict(parts["generator"])
        self.gan.discriminator.load_state_dict(parts["discriminator"])
        for role in ("generator_optimizer", "discriminator_optimizer"):
            optimizer = getattr(self.gan, role)
            state: dict[int, dict[str, Tensor]] = defaultdict(dict)
            for name, value in parts[role].items():
                index, _, key = name.partition(".")
                state[int(index)][key] = value
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        if self.gan.ema_generator is not None:
            self.gan.ema_generator.load_state_dict(parts["averaged"])
        if self.gan.replay is not None and "replay" in parts:
            self.gan.replay.restore(parts["replay"]["fakes"], parts["replay"].get("condition"))
        self.epoch = epoch
