"""An exported generator makes the samples of its run, in each format, for every variant; or it is not written."""

import io
import json
import zipfile
from pathlib import Path

import pytest
import torch

from benchmarks import Run
from benchmarks.algorithm.random_streams import initialisation, stream
from benchmarks.config import DatasetConfig, RunConfig
from benchmarks.inference import exporting
from benchmarks.inference.exporting import FORMATS, TOLERANCE, export_generator, make_inputs, measure_difference
from benchmarks.run_folder.folder import FACTS, GENERATOR, RunFolder
from metrics.captions import WORDS
from variants import VARIANTS, DataSpec, UserError, load_variant

SPECS = {
    "8x8": DataSpec((1, 8, 8), classes=10, vocabulary=WORDS),
    "28x28": DataSpec((1, 28, 28), classes=10, vocabulary=WORDS),
    "colour": DataSpec((3, 12, 8), classes=3),
    "points": DataSpec((2,), bounded=False, classes=8),
}


def made(folder: Path, variant: str, data: str, **fields) -> Run:
    """A run whose generator is not trained, but has seen a batch, so that its running statistics are not those of 0."""
    spec, known = SPECS[data], load_variant(variant)
    recipe = known.recipe(known.recipe_for(spec)).with_(fields)
    config = RunConfig(variant, recipe, DatasetConfig("digits"), 3, "c" * 64, "e" * 64)
    run = Run(RunFolder.create(folder, config))
    shape = {"shape": spec.shape, "bounded": spec.bounded, "classes": spec.classes, "vocabulary": spec.vocabulary}
    run.folder.write_json(FACTS, {"spec": shape, "class_names": [f"class {n}" for n in range(spec.classes)]})
    with initialisation(3):
        generator, _ = known.build(spec, recipe)
    condition = run.condition(200)
    with torch.no_grad():
        generator.train()(torch.randn(200, recipe.noise_size, generator=stream(0, "any")), condition)
    run.folder.save_tensors(GENERATOR, generator.state_dict(), {})
    return run


@pytest.mark.parametrize("data", ["8x8", pytest.param("28x28", marks=pytest.mark.long)])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_makes_the_same_samples_in_every_format(
    variant: str, format: str, data: str, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime") if format == "onnx" else None
    run = made(tmp_path, variant, data)
    assert measure_difference(run, format, export_generator(run, format)) <= (0 if format == "safetensors" else 1e-5)


OTHERS = [
    ("vanilla_gan", "points", {}),
    ("cgan_mlp", "points", {"noise": "uniform"}),
    ("separate_gans", "points", {}),
    ("cgan_mlp", "8x8", {"conditioning": "channel", "generator_normalization": "batch"}),
    ("cgan_conv", "colour", {}),
    ("dcgan", "colour", {"upsampling": "resize"}),
    ("dcgan", "8x8", {"upsampling": "pixel_shuffle", "upsampling_kernel": 3}),
    ("dcgan", "8x8", {"upsampling_kernel": 5}),
]


@pytest.mark.long
@pytest.mark.parametrize(("variant", "data", "fields"), OTHERS, ids=str)
def test_other_data_and_recipes_are_exported(variant: str, data: str, fields: dict, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    run = made(tmp_path, variant, data, **fields)
    for format in FORMATS:
        assert measure_difference(run, format, export_generator(run, format)) <= TOLERANCE


def test_an_onnx_model_names_what_it_takes_and_tells_what_it_is(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    run = made(tmp_path, "cgan_mlp", "8x8")
    session = onnxruntime.InferenceSession(export_generator(run, "onnx"), providers=["CPUExecutionProvider"])
    taken = {each.name: (each.shape, each.type) for each in session.get_inputs()}
    assert taken == {
        "noise": (["batch", run.config.recipe.noise_size], "tensor(float)"),
        "labels": (["batch"], "tensor(int64)"),
    }
    assert [(each.name, each.shape) for each in session.get_outputs()] == [("samples", ["batch", 1, 8, 8])]
    told = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
    assert (told["shape"], told["bounded"], told["classes"]) == ([1, 8, 8], True, 10)
    assert told["class_names"][7] == "class 7"
    assert told["key"] == run.config.key
    # The label is obeyed: the same noise under another one is another sample.
    inputs = {name: each.numpy() for name, each in make_inputs(run, 1).items()}
    (one,), (other,) = (session.run(None, {**inputs, "labels": inputs["labels"] + more}) for more in (0, 1))
    assert abs(one - other).max() > 100 * TOLERANCE


def test_a_program_of_torch_takes_words_by_name(tmp_path: Path) -> None:
    run = made(tmp_path, "dcgan_text", "8x8")
    extra = {"generator.json": ""}
    exported = io.BytesIO(export_generator(run, "torch"))
    # Nothing in it is a pickle, which begins with this byte, or a file of torch.save, which is an archive.
    parts = zipfile.ZipFile(exported)
    contents = {name: parts.read(name) for name in parts.namelist() if "/weights/weight_" not in name}
    assert not [name for name, content in contents.items() if content.startswith((b"\x80", b"PK"))]
    exported.seek(0)
    program = torch.export.load(exported, extra_files=extra)
    samples = program.module()(noise=torch.zeros(5, run.config.recipe.noise_size), tokens=torch.zeros(5, 3).long())
    assert samples.shape == (5, 1, 8, 8)
    assert json.loads(json.loads(extra["generator.json"])["vocabulary"]) == list(WORDS)


def test_weights_have_their_config_beside_them(tmp_path: Path) -> None:
    from safetensors import safe_open

    run = made(tmp_path, "dcgan", "8x8")
    file = tmp_path / "weights.safetensors"
    file.write_bytes(export_generator(run, "safetensors"))
    with safe_open(file, "pt") as kept:
        assert set(kept.keys()) == set(run.generator.state_dict())
        told = kept.metadata()
    assert json.loads(told["config"])["recipe"] == json.loads(json.dumps(run.config.recipe.as_dict()))
    assert "path" not in json.loads(told["config"])["dataset"]


def test_another_generator_is_noticed_in_every_format(tmp_path: Path) -> None:
    run, other = made(tmp_path, "vanilla_gan", "8x8"), made(tmp_path / "other", "vanilla_gan", "8x8")
    with torch.no_grad():
        list(other.generator.parameters())[-1][0] += 0.1
    for format in ("torch", "safetensors"):
        assert measure_difference(run, format, export_generator(other, format)) > TOLERANCE
    with torch.no_grad():
        list(other.generator.parameters())[-1][0] = float("nan")
    assert not measure_difference(run, "torch", export_generator(other, "torch")) <= TOLERANCE


def test_what_torch_cannot_trace_is_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(tmp_path, "vanilla_gan", "8x8")
    monkeypatch.setattr(type(run.generator), "forward", lambda self, noise, condition: noise * int(noise.sum()))
    with pytest.raises(UserError, match=r"^the generator of vanilla_gan cannot be exported as torch: \S.*$"):
        export_generator(run, "torch")


def test_packages_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "find_spec", lambda name: None if name == "onnxruntime" else name)
    with pytest.raises(UserError) as refused:
        exporting.refuse_missing_packages("onnx")
    assert str(refused.value) == (
        "--format onnx needs onnxruntime, which is not installed; pip install 'gan-benchmark[export]' has all that it "
        "needs"
    )
    exporting.refuse_missing_packages("torch")
