"""A training run that can be stopped at any time: its state is on disk every few minutes, its log beside it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

SAVE_SECONDS = 120
LOG_STEPS = 50


@dataclass(frozen=True)
class Schedule:
    """AdamW for `steps` steps: a linear warm-up, a constant rate, and a linear decay over the last quarter."""

    steps: int
    learning_rate: float = 1e-3
    warm_up: int = 100
    averaged_over: int = 500  # steps that the exponential moving average looks back

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        return self.learning_rate * min((step + 1) / self.warm_up, 1, 4 * (self.steps - step) / self.steps)


class Training:
    """One network's training, continued from `folder` if it began there before."""

    def __init__(self, net: torch.nn.Module, schedule: Schedule, folder: Path, title: str) -> None:
        self.net, self.schedule, self.title = net, schedule, title
        self.step = 0
        self.file, self.log = folder / f"{title}.pt", folder / f"{title}.log"
        folder.mkdir(parents=True, exist_ok=True)
        self.parameters = {name: p for name, p in net.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(self.parameters.values(), betas=(0.9, 0.99), weight_decay=0.01, fused=True)
        self.average = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.resumed = self._load()

    @property
    def done(self) -> bool:
        """Say whether all steps of the schedule have been taken."""
        return self.step >= self.schedule.steps

    def run(self, loss: Callable[[int], Tensor], steps: int | None = None) -> None:
        """Take the next `steps` steps (all that are left); `loss` gets the step, which seeds all that is random."""
        end = self.schedule.steps if steps is None else min(self.step + steps, self.schedule.steps)
        saved, begin, first, total = time.monotonic(), time.monotonic(), self.step, 0.0
        while self.step < end:
            total += self._take(loss)
            if self.step % LOG_STEPS == 0 or self.step == end:
                seconds = (time.monotonic() - begin) / (self.step - first)
                self._write(f"step {self.step} loss {total / LOG_STEPS:.5f} {seconds:.3f} s/step")
                total = 0.0
            if time.monotonic() - saved > SAVE_SECONDS:
                self.save()
                saved = time.monotonic()
        self.save()

    def save(self) -> None:
        """Write weights, average, optimizer and step, all or nothing."""
        partial = self.file.with_suffix(".partial")
        torch.save(self._state(), partial)
        os.replace(partial, self.file)

    def averaged(self) -> dict[str, Tensor]:
        """Return a copy of the exponential moving average of the trained weights."""
        return {name: value.clone() for name, value in self.average.items()}

    def _take(self, loss: Callable[[int], Tensor]) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        value = loss(self.step)
        value.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), 1.0)
        self.optimizer.step()
        # While few steps have been taken, an average over fewer of them.
        kept = 1 - 1 / min(self.schedule.averaged_over, self.step / 4 + 1)
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                self.average[name].lerp_(parameter, 1 - kept)
        self.step += 1
        return value.item()

    def _state(self) -> dict[str, Any]:
        weights = {name: parameter.detach() for name, parameter in self.parameters.items()}
        optimizer = self.optimizer.state_dict()
        return {"step": self.step, "weights": weights, "average": self.average, "optimizer": optimizer}

    def _load(self) -> bool:
        if not self.file.exists():
            return False
        state = torch.load(self.file, map_location=next(iter(self.parameters.values())).device)
        self.step, self.average = state["step"], state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(state["weights"][name])
        self._write(f"continued at step {self.step}")
        return True

    def _write(self, line: str) -> None:
        line = f"{time.strftime('%H:%M:%S')} {self.title}: {line}"
        print(line, flush=True)
        with self.log.open("a") as log:
            log.write(line + "\n")
