"""Packs tensors and a JSON state as one safetensors file, with a checksum in its header."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from variants.recipe import UserError

Bytes = bytes | memoryview

# Bytes of JSON, in a file of its own or ahead of tensors: far above what any run writes. Chosen, not tuned.
JSON_LIMIT = 16 * 2**20

# Names of the types of tensors in a safetensors file, in the order in which the library writes them.
_DTYPES = {
    torch.int64: "I64",
    torch.float64: "F64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def pack(tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> tuple[Bytes, ...]:
    """Returns a safetensors file whose metadata holds the state and a SHA-256 over everything else in the file.

    In parts, of which the tensors are views: as a whole, a checkpoint of ten GANs would be in memory twice.
    """
    order = list(_DTYPES)
    flat = {
        name: tensors[name].detach().cpu().contiguous()
        for name in sorted(tensors, key=lambda name: (order.index(tensors[name].dtype), name))
    }
    header: dict[str, Any] = {"__metadata__": {"state": json.dumps(dict(state))}}
    end = 0
    for name, tensor in flat.items():
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    body = [memoryview(tensor.flatten().view(torch.uint8).numpy()) for tensor in flat.values()]
    header["__metadata__"]["sha256"] = _checksum(header, *body)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little"), text, *body


def unpack(data: bytes, damaged: Callable[[str], Exception]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Returns the tensors, on the CPU, and the state. Raises `damaged` for anything that `pack` does not make."""
    try:
        header, body = split_header(data)
        claimed = header["__metadata__"].pop("sha256")
        if claimed != _checksum(header, body):
            raise damaged("its checksum does not fit it")
        state = json.loads(header["__metadata__"]["state"])
        if not isinstance(state, dict):
            raise damaged("its state is not an object")
        return load_safetensors(data), state
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        if isinstance(error, UserError):
            raise
        raise damaged(f"it is not a whole file of tensors ({str(error)[:100]})") from None


def split_header(data: bytes) -> tuple[dict[str, Any], memoryview]:
    length = int.from_bytes(data[:8], "little")
    if not 0 < length <= min(len(data) - 8, JSON_LIMIT):
        raise ValueError("its header has no possible length")
    return json.loads(data[8 : 8 + length]), memoryview(data)[8 + length :]


def _checksum(header: Mapping[str, Any], *body: memoryview) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for part in body:
        digest.update(part)
    return digest.hexdigest()
