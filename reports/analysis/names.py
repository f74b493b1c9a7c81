"""Spells names of fields and metrics out in words."""

from typing import Any

_ABBREVIATIONS = {"fid": "FID", "kid": "KID", "kl": "KL", "gan": "GAN"}


def spell_field(name: str, value: Any) -> str:
    """Returns a field of a config with its value: `critic steps 5`."""
    if isinstance(value, (tuple, list)):
        value = "-".join(map(str, value)) or "none"
    elif isinstance(value, float):
        value = f"{value:g}"
    return f"{name.replace('_', ' ')} {value}"


def spell_metric(name: str) -> str:
    """Returns the name of a metric in words: `mode KL`."""
    return " ".join(_ABBREVIATIONS.get(word, word) for word in name.split("_"))
