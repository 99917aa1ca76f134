"""What an attack sees of a model: one `Target` per call, so that nothing is left on the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from rsc_snn.coding import Coding, has_noise
from rsc_snn.device import has_fast_bfloat16
from rsc_snn.errors import Cancelled

if TYPE_CHECKING:
    from rsc_snn.attacks.adaptive_surrogate import AdaptiveSharpness
    from rsc_snn.classifier import SpikingClassifier
    from rsc_snn.neurons import Sharpness

# Coded pixels (draws x time steps x images x height x width) of one forward pass. A small
# spiking VGG keeps about 4 kB of activations for each, so about 0.5 GB and 16 GB. Fixed, not
# measured, because the noise of a seed depends on how a batch is cut.
_PIXEL_BUDGET = {"cuda": 2**22}
_PIXEL_BUDGET_CPU = 2**17
_BYTES_A_PIXEL = 4096


class Meter:
    """Counts an attack's work, reports its progress and stops it when it is cancelled.

    queries and gradients are forward and backward passes of single images, draws included.
    """

    def __init__(
        self,
        expected_calls: int,
        report: Callable[[float], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self.queries = 0
        self.gradients = 0
        self._calls = 0
        self._expected = max(expected_calls, 1)
        self._report = report
        self._cancelled = cancelled

    def check(self) -> None:
        """Raise Cancelled if the user asked for it."""
        if self._cancelled is not None and self._cancelled():
            raise Cancelled("The attack was cancelled.")

    def finish_call(self, passes: int) -> None:
        """Count one call of `passes` single-image forward passes; report the share done."""
        self.queries += passes
        self._calls += 1
        if self._report is not None:
            self._report(min(self._calls / self._expected, 1.0))


class _InputGradient(torch.autograd.Function):
    """Logits `[D, N, K]` with a graph of its own inside and an input gradient outside.

    Attacks that call `backward()` (CW, DeepFool) would otherwise add to `.grad` of the shared
    model's parameters, from every thread at once; here only the input's gradient is computed,
    whatever the parameters require. Where the graphs of draws that take several passes do not fit
    into memory together, each part is computed again, with the same noise, when its gradient is
    asked for. The gradient is contiguous, as torchattacks' `view` needs.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, target: Target, parts: list[int]) -> Tensor:
        ctx.x, ctx.target, ctx.parts = x.detach(), target, parts
        ctx.states, ctx.graphs, outputs = [], [], []
        # A pass that is made anyway costs no more memory if its graph stays.
        keeps = len(parts) == 1 or target.holds(ctx.x, sum(parts))
        for index, count in enumerate(parts):
            if keeps:
                ctx.graphs.append(target.graph(ctx.x, count, target.generator, first=index == 0))
                outputs.append(ctx.graphs[-1][1].detach())
            else:
                ctx.states.append(target.generator.get_state())
                outputs.append(target.draw_logits(ctx.x, count, target.generator, leads=True))
        return torch.cat(outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        ctx.target.meter.gradients += grads[0].shape[0] * grads[0].shape[1]
        gradient = torch.zeros_like(ctx.x, memory_format=torch.contiguous_format)
        for index, grad in enumerate(grads[0].split(ctx.parts)):
            x, logits = ctx.graphs[index] if ctx.graphs else _again(ctx, index)
            # Kept graphs stay, for DeepFool asks once for each class; they go with ctx.
            gradient += torch.autograd.grad(logits, x, grad, retain_graph=bool(ctx.graphs))[0]
        return gradient, None, None


def _again(ctx: Any, index: int) -> tuple[Tensor, Tensor]:
    """The graph of part `index`, with the noise that it met."""
    generator = torch.Generator(ctx.x.device)
    generator.set_state(ctx.states[index])
    found: tuple[Tensor, Tensor] = ctx.target.graph(
        ctx.x, ctx.parts[index], generator, first=index == 0
    )
    return found


class Target(nn.Module):
    """The module that an attack library calls: images `[N, C, H, W]` to mean logits `[N, K]`.

    Every call draws fresh noise, `draws` times, folded into one batch, and returns the mean of
    the draws' logits. The draws' own logits stay at hand for `per_draw`, which gives losses that
    are averaged over the draws (EOT) instead of the loss of averaged logits. Draws collapse to 1
    where the model has no noise. `low_precision` lets passes that lead to a gradient run in
    bfloat16 on processors made for it (see `has_fast_bfloat16`); on GPUs, where that was not
    measured, they keep float32. `surrogate` is one that passes with a gradient use in place of the
    model's (see `rsc_snn.attacks.adaptive_surrogate`). `coding` is one that the attack looks
    through in place of the model's own (at `sigma`). The classifier is not registered as a
    submodule, and `train()` and `eval()` do nothing: attack libraries switch modes, and other
    threads use the same model.
    """

    def __init__(
        self,
        model: SpikingClassifier,
        generator: torch.Generator,
        meter: Meter,
        *,
        draws: int = 1,
        time_steps: int | None = None,
        sigma: float | None = None,
        coding: Coding | None = None,
    ) -> None:
        super().__init__()
        self.training = False
        self.generator = generator
        self.meter = meter
        self.stochastic = is_stochastic(model, sigma, coding)
        self.draws = draws if self.stochastic else 1
        self.low_precision = False
        self.surrogate: AdaptiveSharpness | None = None
        self._shared = (model,)
        self._time_steps = model.time_steps if time_steps is None else time_steps
        self._sigma = sigma if coding is None else None
        self._coding = coding
        self._last: tuple[Tensor, Tensor] | None = None

    @property
    def classifier(self) -> SpikingClassifier:
        """The shared model."""
        return self._shared[0]

    def forward(self, x: Tensor) -> Tensor:
        """Mean logits `[N, K]` over fresh draws. Raises Cancelled."""
        self.meter.check()
        parts = split_draws(x, self._time_steps, self.draws)
        if torch.is_grad_enabled() and x.requires_grad:
            logits: Tensor = _InputGradient.apply(x, self, parts)
        else:
            logits = torch.cat([self.draw_logits(x, count, self.generator) for count in parts])
        mean = logits.mean(dim=0)
        self._last = (mean, logits)
        self.meter.finish_call(x.shape[0] * self.draws)
        return mean

    def holds(self, x: Tensor, draws: int) -> bool:
        """True if the graphs of `draws` draws of `x` take no more memory than a pass may.

        The first convolution's stride divides all that a network keeps.
        """
        stride = self.classifier.config.stem_stride
        pixels = draws * self._time_steps * len(x) * x.shape[-2] * x.shape[-1]
        return pixels <= _budget(x.device) * stride**2

    def draw_logits(
        self, x: Tensor, count: int, generator: torch.Generator, *, leads: bool = False
    ) -> Tensor:
        """Logits `[count, N, K]` of `count` draws from `generator`, without gradients.

        leads: in the numbers of a pass that leads to a gradient.
        """
        with torch.no_grad(), self._precision(x, leads):
            return self._run(x, count, generator)

    def graph(
        self, x: Tensor, count: int, generator: torch.Generator, *, first: bool = True
    ) -> tuple[Tensor, Tensor]:
        """A new leaf with the pixels of `x`, and its logits `[count, N, K]` with their graph.

        first: the first part of a call, from which an adaptive surrogate learns.
        """
        surrogate = None if self.surrogate is None else self.surrogate.of_pass(count, learn=first)
        with torch.enable_grad(), self._precision(x, leads=True):
            leaf = x.detach().requires_grad_()
            return leaf, self._run(leaf, count, generator, surrogate)

    def _precision(self, x: Tensor, leads: bool) -> torch.autocast:
        low = leads and self.low_precision and has_fast_bfloat16(x.device)
        return torch.autocast(x.device.type, torch.bfloat16, enabled=low)

    def _run(
        self,
        x: Tensor,
        count: int,
        generator: torch.Generator,
        surrogate: Sharpness | None = None,
    ) -> Tensor:
        # The model names its generator: its thousands of small calls need not pass the modes
        # that watch over an attack library's own (see `seeded_draws`, `ExpectedLoss`).
        with torch._C.DisableTorchFunction():
            return self.classifier(
                x,
                time_steps=self._time_steps,
                sigma=self._sigma,
                coding=self._coding,
                draws=count,
                generator=generator,
                sharpness=surrogate,
            )

    def per_draw(self, logits: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
        """`loss`, a function from logits `[N, K]` to losses `[N]`, averaged over the draws.

        `logits` is what the latest call returned. Its gradient is the mean of the draws'
        gradients, which is EOT; the loss of the mean logits would be another attack. Logits from
        elsewhere are taken as they are.
        """
        if self._last is None or logits is not self._last[0]:
            return loss(logits)
        return torch.stack([loss(draw) for draw in self._last[1]]).mean(dim=0)

    def release(self) -> None:
        """Forget the latest call. Its logits' graph holds this target, which held the logits: a
        circle that leads through the autograd engine, where no garbage collector sees it."""
        self._last = None

    def train(self, mode: bool = True) -> Target:
        """Does nothing: the model is shared."""
        return self

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """The classifier's parameters, from which attack libraries read the device."""
        return self.classifier.parameters(recurse)

    def __repr__(self) -> str:
        return f"Target(draws={self.draws})"


class ExpectedLoss(TorchFunctionMode):
    """Makes the cross-entropy of a target's logits the mean over draws of each draw's own.

    torchattacks calls `CrossEntropyLoss()(logits, labels)` on what the target returned, and no
    `[N, K]` tensor has, for all labels at once, the mean of the draws' cross-entropies as its own
    (the normaliser of a softmax is not linear). So the call itself is replaced, in this thread
    and inside this context alone.
    """

    def __init__(self, target: Target) -> None:
        super().__init__()
        self.target = target

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is not F.cross_entropy or self.target.draws == 1:
            return func(*args, **kwargs)
        logits, labels = args
        options = {**kwargs, "reduction": "none"}
        losses = self.target.per_draw(logits, lambda z: func(z, labels, **options))
        reduction = kwargs.get("reduction", "mean")
        return losses if reduction == "none" else getattr(losses, reduction)()


def is_stochastic(
    model: SpikingClassifier, sigma: float | None = None, coding: Coding | None = None
) -> bool:
    """True if two calls of `model` may differ, at noise level `sigma` or through `coding`.

    Raises ConfigError if `sigma` is given to a model without it.
    """
    own = model.resolve_coding(sigma)
    return has_noise(own if coding is None else coding)


def split_images(x: Tensor, time_steps: int, draws: int) -> list[slice]:
    """Slices of the batch `x` whose coded pixels fit the budget, at least one image each."""
    size = _fitting(x, draws * time_steps)
    return [slice(at, min(at + size, len(x))) for at in range(0, len(x), size)]


def split_draws(x: Tensor, time_steps: int, draws: int) -> list[int]:
    """Numbers of draws that add up to `draws` and whose coded pixels fit the budget."""
    size = _fitting(x, len(x) * time_steps)
    return [min(size, draws - at) for at in range(0, draws, size)]


def pass_memory(device: torch.device) -> float:
    """GB that one pass with its gradient takes at most, about, by the small networks of the zoo."""
    return _budget(device) * _BYTES_A_PIXEL / 2**30


def _budget(device: torch.device) -> int:
    return _PIXEL_BUDGET.get(device.type, _PIXEL_BUDGET_CPU)


def _fitting(x: Tensor, copies: int) -> int:
    """How often `copies` coded copies of one image of `x` fit into one pass, at least 1."""
    return max(_budget(x.device) // (copies * x.shape[-2] * x.shape[-1]), 1)
