"""Draws the graph of a network as it runs: its layers, the tensors between them, and their parameters.

`trace` runs a network once, in evaluation mode, and records which layer made each tensor, so the picture shows the
computation and not the code. `draw_networks` draws a generator and a discriminator side by side.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from benchmarks.algorithm.operations import make_inputs
from benchmarks.pictures.colours import DISCRIMINATOR_COLOUR, GENERATOR_COLOUR, GREY, INK
from benchmarks.pictures.samples import write_figure
from variants.base import DataSpec
from variants.recipe import Recipe, code_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches of a lane of the picture, and of a row.
_ACROSS, _DOWN = 3.1, 1.05


@dataclass
class Block:
    """Describes a box of the graph: an input, an output, or a layer with its normalisation and activation."""

    lines: list[str]
    # Of its output, for one example.
    shape: tuple[int, ...]
    # The indices of the blocks whose outputs it takes.
    before: list[int]
    parameters: int = 0
    is_layer: bool = True


def trace(network: nn.Module, inputs: dict[str, Tensor | None], outputs: Iterable[str]) -> list[Block]:
    """Returns the blocks of a network in the order in which they ran.

    inputs: the arguments of the network by the names in the picture; None is passed on and not drawn. outputs: the
    names of the tensors that it returns. The network is unchanged.
    """
    tracing = _Tracing(network)
    training = network.training
    network.eval()
    try:
        with tracing, torch.no_grad():
            result = network(*(tracing.enter(name, tensor) for name, tensor in inputs.items()))
    finally:
        network.train(training)
        for hook in tracing.hooks:
            hook.remove()
    tracing.leave(zip(outputs, _tensors(result), strict=False))
    return _without_unused_inputs(tracing.blocks)


def _without_unused_inputs(blocks: list[Block]) -> list[Block]:
    """Removes unused inputs, such as the label of an unconditional network."""
    taken = {source for block in blocks for source in block.before}
    kept = [index for index, block in enumerate(blocks) if block.before or index in taken or block.is_layer]
    places = {old: new for new, old in enumerate(kept)}
    return [replace(blocks[index], before=[places[source] for source in blocks[index].before]) for index in kept]


class _Tracing(TorchFunctionMode):
    """Records for every new tensor the blocks that it comes from."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.blocks: list[Block] = []
        self.makers: dict[int, tuple[int, ...]] = {}
        # Keeps the tensors alive, because their ids may be reused afterwards.
        self.kept: list[Tensor] = []
        self.counted: set[int] = set()
        self.depth = 0
        self.hooks = []
        for module in _layers(network):
            self.hooks.append(module.register_forward_pre_hook(self._before_layer))
            self.hooks.append(module.register_forward_hook(self._after_layer))

    def enter(self, name: str, tensor: Tensor | None) -> Tensor | None:
        if tensor is not None:
            self._add(Block([name], tuple(tensor.shape[1:]), [], is_layer=False), [tensor])
        return tensor

    def leave(self, named: Iterable[tuple[str, Tensor]]) -> None:
        for name, tensor in named:
            self.blocks.append(Block([name], tuple(tensor.shape[1:]), [*self._sources([tensor])], is_layer=False))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        made = list(_tensors(result)) if not self.depth else []
        if made:
            sources = self._sources(_tensors([args, kwargs]))
            if func in (torch.cat, torch.concat, torch.stack):
                self._add(Block(["concatenate"], tuple(result.shape[1:]), [*sources]), made)
            else:
                # A change of shape alone belongs to the block that made the tensor.
                if len(sources) == 1 and self.blocks[sources[0]].is_layer and not self._is_taken(sources[0]):
                    self.blocks[sources[0]].shape = tuple(made[0].shape[1:])
                self._record(made, sources)
        return result

    def _before_layer(self, module: nn.Module, args: Any) -> None:
        self.depth += 1

    def _after_layer(self, module: nn.Module, args: Any, result: Any) -> None:
        self.depth -= 1
        if self.depth:
            return
        made = list(_tensors(result))
        sources = self._sources(_tensors(args))
        own = [p for p in module.parameters() if id(p) not in self.counted]
        self.counted |= {id(p) for p in own}
        shape, parameters = tuple(made[0].shape[1:]), sum(p.numel() for p in own)
        heavy = any(p.ndim > 1 for p in module.parameters())
        last = self.blocks[sources[0]] if len(sources) == 1 else None
        if heavy or last is None or not last.is_layer or self._is_taken(sources[0]):
            self._add(Block([describe_layer(module), *_norms(module)], shape, [*sources], parameters), made)
        else:
            last.lines.append(describe_layer(module))
            last.shape, last.parameters = shape, last.parameters + parameters
            self._record(made, sources)

    def _is_taken(self, index: int) -> bool:
        return any(index in block.before for block in self.blocks)

    def _add(self, block: Block, made: Iterable[Tensor]) -> None:
        self.blocks.append(block)
        self._record(made, (len(self.blocks) - 1,))

    def _record(self, tensors: Iterable[Tensor], makers: tuple[int, ...]) -> None:
        for tensor in tensors:
            self.makers[id(tensor)] = makers
            self.kept.append(tensor)

    def _sources(self, tensors: Iterable[Tensor]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(maker for tensor in tensors for maker in self.makers.get(id(tensor), ())))


def _layers(network: nn.Module) -> Iterator[nn.Module]:
    """Yields the modules to draw: those without submodules, or with parameters of their own."""
    whole: set[int] = set()
    for module in network.modules():
        own = any(True for _ in module.parameters(recurse=False)) or hasattr(module, "parametrizations")
        if id(module) not in whole and (own or not any(True for _ in module.children())):
            whole |= {id(part) for part in module.modules()}
            yield module


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def describe_layer(module: nn.Module) -> str:
    name = type(module).__name__.removeprefix("Parametrized")
    match module:
        case nn.Linear():
            return f"Linear {module.in_features} → {module.out_features}"
        case nn.ConvTranspose2d() | nn.Conv2d():
            kind = "Transposed convolution" if module.transposed else "Convolution"
            kernel, stride = (" × ".join(map(str, pair)) for pair in (module.kernel_size, module.stride))
            return f"{kind} {kernel}" + (f", stride {module.stride[0]}" if stride != "1 × 1" else "")
        case nn.Embedding():
            return f"Embedding {module.num_embeddings} → {module.embedding_dim}"
        case nn.LeakyReLU():
            return f"LeakyReLU {module.negative_slope:g}" if module.negative_slope else "ReLU"
    # A single number is understandable; longer details only repeat the constructor.
    detail = module.extra_repr()
    return f"{name} {detail}" if detail.replace(".", "", 1).isdecimal() and "Norm" not in name else name


def _norms(module: nn.Module) -> list[str]:
    """Names the parametrizations of a layer's weights, such as SpectralNorm."""
    through = getattr(module, "parametrizations", {})
    return sorted({type(step).__name__ for steps in through.values() for step in steps})


def draw_networks(
    generator: nn.Module, discriminator: nn.Module, spec: DataSpec, recipe: Recipe, out: Path | str
) -> None:
    """Draws both networks into a PNG file: layers with parameter counts, and the shape of one example between them."""
    noise, made, condition = make_inputs(generator, discriminator, spec, recipe)
    name = "caption" if spec.vocabulary else f"label, one of {spec.classes}"
    example = "image" if spec.is_image else "point"
    outputs = ["logit: real or generated", "logits of the classes", "code of a fake"]
    if code_size(recipe) and recipe.conditioning != "auxiliary":
        del outputs[1]
    generating = trace(generator, {"noise": noise, name: condition}, [example])
    judging = trace(discriminator, {example: made, name: condition}, outputs)
    from matplotlib.figure import Figure

    places = [_places(generating), _places(judging)]
    across = [max(lanes) + 1 for _, lanes in places]
    deep = max(max(ranks) + 1 for ranks, _ in places)
    # pyplot would keep the figure for ever, for the whole process.
    figure = Figure(figsize=(_ACROSS * sum(across), _DOWN * deep + 1), dpi=100)
    panels = figure.subplots(1, 2, width_ratios=across, sharey=True, subplot_kw={"ylim": (deep - 0.5, -0.5)})
    figure.subplots_adjust(0, 0, 1, 1 - 0.6 / (_DOWN * deep + 1), wspace=0)
    _draw(panels[0], "Generator", generator, generating, *places[0], GENERATOR_COLOUR)
    _draw(panels[1], "Discriminator", discriminator, judging, *places[1], DISCRIMINATOR_COLOUR)
    write_figure(out, figure)


def _draw(
    panel: "Axes",
    title: str,
    network: nn.Module,
    blocks: list[Block],
    ranks: list[int],
    lanes: list[int],
    colour: str,
) -> None:
    """Draws the blocks from top to bottom, with parallel branches in lanes; → is the shape of its output."""
    total, shown = sum(p.numel() for p in network.parameters()), sum(block.parameters for block in blocks)
    part = f", {shown:,} of them for one example" if shown < total else ""
    panel.set_title(f"{title}: {total:,} parameters{part}", color=colour)
    panel.set_xlim(-0.5, max(lanes) + 0.5)
    panel.set_axis_off()
    boxes = []
    for block, rank, lane in zip(blocks, ranks, lanes, strict=True):
        lines = [*block.lines, "→ " + (" × ".join(map(str, block.shape)) or "1")]
        lines += [f"{block.parameters:,} parameters"] if block.parameters else []
        face, edge = ("white", colour) if block.is_layer else ("#f1f1f1", GREY)
        style = {"boxstyle": "round", "facecolor": face, "edgecolor": edge}
        box = panel.text(lane, rank, "\n".join(lines), ha="center", va="center", size=9, color=INK, bbox=style)
        boxes.append(box.get_bbox_patch())
    for index, block in enumerate(blocks):
        for source in block.before:
            between = range(ranks[source] + 1, ranks[index])
            passes = any(lane == lanes[source] and rank in between for lane, rank in zip(lanes, ranks, strict=True))
            way = {
                "arrowstyle": "-|>",
                "color": GREY,
                "patchA": boxes[source],
                "patchB": boxes[index],
                # Past the boxes between.
                "connectionstyle": f"arc3,rad={-0.5 if passes else 0}",
            }
            panel.annotate("", (lanes[index], ranks[index]), (lanes[source], ranks[source]), arrowprops=way)


def _places(blocks: list[Block]) -> tuple[list[int], list[int]]:
    """Returns the row and the lane of each block: below all its inputs, and just above the first block that uses it."""
    ranks = [0] * len(blocks)
    for index, block in enumerate(blocks):
        ranks[index] = max((ranks[source] + 1 for source in block.before), default=0)
    for index in reversed(range(len(blocks))):
        after = [ranks[later] - 1 for later, block in enumerate(blocks) if index in block.before]
        ranks[index] = min(after, default=max(ranks))
    lanes: list[int] = []
    for index, block in enumerate(blocks):
        wanted = min((lanes[source] for source in block.before), default=0)
        taken = {lanes[other] for other in range(index) if ranks[other] == ranks[index]}
        # An input other than the first has its own lane, down to where it joins.
        if not block.before and index:
            wanted = max(lanes) + 1
        lanes.append(next(lane for lane in range(wanted, len(blocks) + 1) if lane not in taken))
    return ranks, lanes
