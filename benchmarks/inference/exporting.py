"""Exports the generator of a run for other programs, and runs what was exported beside the generator itself.

onnx          a model for onnxruntime and others: inputs noise and labels (or tokens), output samples, any batch size
torch         a program of torch.export, with the same inputs, which torch runs without this project
safetensors   the weights, with the run's config in the metadata; whoever reads it builds the network

Imports torch when it exports, and ONNX only for ONNX.
"""

import io
import json
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from variants.recipe import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from benchmarks.inference.run import Run

# How a file in each format ends.
FORMATS = {"onnx": ".onnx", "torch": ".pt2", "safetensors": ".safetensors"}
# What ONNX needs, of the extra "export".
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
# The largest difference from the run's own samples, which lie in [-1, 1] or, as points, near it.
TOLERANCE = 1e-5
OUTPUT = "samples"


def refuse_missing_packages(format: str) -> None:
    """Raises UserError where the packages that a format needs are not installed."""
    missing = [name for name in ONNX_PACKAGES if find_spec(name) is None] if format == "onnx" else []
    if missing:
        them = "is" if len(missing) == 1 else "are"
        raise UserError(
            f"--format onnx needs {' and '.join(missing)}, which {them} not installed; pip install "
            "'gan-benchmark[export]' has all that it needs"
        )


def make_inputs(run: "Run", count: int, seed: int = 0) -> "dict[str, Tensor]":
    """Returns the inputs of an exported generator that give the samples of `run.generate(count=count, seed=seed)`.

    noise: (count, noise_size). labels: (count,), or tokens: (count, words), where the run is conditional.
    """
    from benchmarks.algorithm.random_streams import stream
    from variants.noise import NOISES

    recipe, condition = run.config.recipe, run.condition(count)
    inputs = {"noise": NOISES[recipe.noise]((count, recipe.noise_size), stream(seed, "samples"))}
    if condition is not None:
        inputs["tokens" if recipe.conditioning == "text" else "labels"] = condition
    return inputs


def describe_generator(run: "Run") -> dict[str, str]:
    """Returns what a reader of an exported file has to know, as JSON by name."""
    spec, names = run.spec, run.folder.facts().get("class_names")
    told = {
        "config": run.config.as_dict(),
        "key": run.config.key,
        "shape": spec.shape,
        # Whether samples lie in [-1, 1].
        "bounded": spec.bounded,
        "classes": spec.classes,
        "class_names": names,
        "vocabulary": spec.vocabulary,
    }
    # Where a person's images lie is nobody else's business.
    told["config"]["dataset"].pop("path")
    return {name: json.dumps(value) for name, value in told.items()}


def export_generator(run: "Run", format: str) -> bytes:
    """Returns the trained generator (the averaged one, if there is one) in one of FORMATS.

    Raises UserError for a run without a generator, and for a generator that cannot be exported in this format.
    """
    generator = run.generator
    if format == "safetensors":
        from safetensors.torch import save

        tensors = {name: each.contiguous() for name, each in generator.state_dict().items()}
        return save(tensors, {"format": "pt", **describe_generator(run)})
    import torch

    # Two examples at least: a size of 1 would be taken for one that never changes.
    inputs = make_inputs(run, max(2, run.spec.classes or 0))
    shapes = {name: {0: torch.export.Dim("batch", min=1)} for name in inputs}
    out = io.BytesIO()
    try:
        # torch warns of its own recurrent layer, whose list of weights it replaces while it traces.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(_wrap(generator, list(inputs)), (), inputs, dynamic_shapes=shapes)
            if format == "torch":
                # They would be stored as a pickle.
                program.example_inputs = None
                torch.export.save(program, out, extra_files={"generator.json": json.dumps(describe_generator(run))})
            else:
                _write_onnx(program, run, out)
    # Whatever torch cannot trace, in a network that a person wrote, raises one of many kinds of errors.
    except Exception as error:
        why = (str(error).strip() or type(error).__name__).partition("\n")[0][:200]
        raise UserError(f"the generator of {run.config.variant} cannot be exported as {format}: {why}") from error
    return out.getvalue()


def _wrap(generator: "nn.Module", names: list[str]) -> "nn.Module":
    """Returns a generator whose arguments have the names of its inputs."""
    from torch import Tensor, nn

    class Unconditional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.generator = generator

        def forward(self, noise: Tensor) -> Tensor:
            return self.generator(noise, None)

    class Labelled(Unconditional):
        def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
            return self.generator(noise, labels)

    class Captioned(Unconditional):
        def forward(self, noise: Tensor, tokens: Tensor) -> Tensor:
            return self.generator(noise, tokens)

    wrapped = {"noise": Unconditional, "labels": Labelled, "tokens": Captioned}[names[-1]]()
    return wrapped.eval().requires_grad_(False)


def _write_onnx(program: Any, run: "Run", out: io.BytesIO) -> None:
    import torch

    names = [spec.arg.name for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"]
    written = torch.onnx.export(program, dynamo=True, input_names=names, output_names=[OUTPUT], verbose=False)
    # torch calls the size of a batch by a number.
    graph = written.model.graph
    size = str(graph.inputs[0].shape[0])
    for value in (*graph.inputs, *(each for node in graph for each in node.outputs)):
        if value.shape is not None:
            value.shape = type(value.shape)("batch" if str(length) == size else length for length in value.shape)
    written.model.metadata_props.update(describe_generator(run))
    written.save(out)


def measure_difference(run: "Run", format: str, exported: bytes) -> float:
    """Runs an exported generator, and returns how far its samples are from those of the run at most.

    The samples are one, and three of each class. Differences of values beyond 1 are relative to them.
    """
    import torch

    differences, generate = [], _load(run, format, exported)
    for count in (1, 3 * max(10, run.spec.classes or 0)):
        own, theirs = run.generate(count=count), generate(make_inputs(run, count))
        if theirs.shape != own.shape:
            raise UserError(f"the exported generator makes samples of {tuple(theirs.shape)}, not {tuple(own.shape)}")
        differences.append(((theirs - own).abs() / own.abs().clamp(min=1)).max())
    # NaN, if there is any.
    return torch.stack(differences).max().item()


def _load(run: "Run", format: str, exported: bytes) -> Any:
    """Returns a function from inputs to samples, which reads what was exported as others do."""
    import torch

    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
        return lambda inputs: torch.from_numpy(session.run([OUTPUT], {k: v.numpy() for k, v in inputs.items()})[0])
    if format == "torch":
        program = torch.export.load(io.BytesIO(exported)).module()
        return lambda inputs: program(**inputs)
    from safetensors.torch import load

    from benchmarks.algorithm.random_streams import initialisation
    from variants import load_variant

    with initialisation(run.config.seed):
        generator, _ = load_variant(run.config.variant).build(run.spec, run.config.recipe)
    generator.load_state_dict(load(exported))
    generator.eval().requires_grad_(False)
    return lambda inputs: generator(*inputs.values(), *[None] * (2 - len(inputs)))
