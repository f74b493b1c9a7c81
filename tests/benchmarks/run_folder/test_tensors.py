"""A file of tensors is one of safetensors, written in place, whose every damaged byte is noticed."""

import pytest
import safetensors.torch
import torch

from benchmarks.run_folder.folder import CHECKPOINT, RunFolder
from benchmarks.run_folder.tensors import pack, split_header
from variants.recipe import UserError


def test_a_checkpoint_is_the_file_that_the_library_would_write_but_for_its_checksum(folder: RunFolder):
    kinds = (*(torch.float64, torch.float32, torch.float16, torch.bfloat16), *(torch.int64, torch.int32, torch.int16))
    kinds += (torch.int8, torch.uint8, torch.bool)
    tensors = {f"{len(kinds) - place} {kind}": torch.arange(3).to(kind) for place, kind in enumerate(kinds)}
    folder.save_tensors("generator.safetensors", tensors, {"x": 1})
    header, body = split_header((folder.path / "generator.safetensors").read_bytes())
    theirs, their_body = split_header(safetensors.torch.save(tensors, {"state": '{"x": 1}'}))
    del header["__metadata__"]["sha256"]
    assert (header, bytes(body)) == (theirs, bytes(their_body))


def test_the_tensors_of_a_checkpoint_are_written_from_where_they_lie() -> None:
    tensor = torch.zeros(1000)
    *_, body = pack({"w": tensor}, {})
    tensor += 1
    assert torch.equal(torch.frombuffer(bytearray(body), dtype=torch.float32), torch.ones(1000))


def test_every_damaged_byte_of_a_checkpoint_is_noticed(folder: RunFolder):
    folder.save_checkpoint({"w": torch.arange(4.0), "b": torch.zeros(2)}, {"x": 1.25}, 3)
    whole = (folder.path / CHECKPOINT).read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        (folder.path / CHECKPOINT).write_bytes(damaged)
        with pytest.raises(UserError, match="is damaged"):
            folder.load_tensors(CHECKPOINT)
    for cut in range(len(whole)):
        (folder.path / CHECKPOINT).write_bytes(whole[:cut])
        with pytest.raises(UserError, match="is damaged"):
            folder.load_tensors(CHECKPOINT)
