"""From nothing to longscribe/models/demo.pt: `python -m demo.train --minutes 85`; it resumes.

Builds the corpus first when it is missing. The learning rate and the mix of window lengths follow
the share of the time budget that is used up, so a run lands at its end whatever the machine.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed
import torch.multiprocessing
from torch import Tensor

from demo.batches import BatchStream, MixStage
from demo.corpus import build_corpus
from demo.learner import Learner, checkpoint
from demo.tokens import TokenMap

PEAK_RATE, WARM_UP_STEPS, CLIP_NORM = 2e-3, 200, 1.0
# At first the encoder alone learns to hear, with the text only now and then: it is twice as fast.
HEARING_SHARE, TEXT_EVERY_STEPS = 0.12, 4
SAVE_EVERY_S, LOG_EVERY_STEPS = 180.0, 50
# (positions of 20 ms, windows per batch) for each of two processes.
_FIRST = [(320, 16), (640, 7), (1500, 3)]  # small steps while the encoder learns to hear
_LARGE = [(320, 24), (640, 12), (1500, 5)]
MIXES = [
    MixStage(0.12, _FIRST, (0.8, 0.15, 0.05)),
    MixStage(0.16, _FIRST, (0.6, 0.25, 0.15)),
    MixStage(0.5, _FIRST, (0.35, 0.4, 0.25)),
    MixStage(0.7, _FIRST, (0.2, 0.3, 0.5)),
    MixStage(0.85, _LARGE, (0.15, 0.25, 0.6)),
    MixStage(math.inf, _LARGE, (0.1, 0.15, 0.75)),
]


class Trainer:
    """Learner, optimizer, running average and their state on disk."""

    def __init__(self, folder: Path, budget_s: float) -> None:
        self.folder, self.budget_s = folder, budget_s
        torch.manual_seed(0)
        self.learner = Learner(TokenMap())
        decayed = [p for p in self.learner.parameters() if p.requires_grad and p.ndim > 1]
        others = [p for p in self.learner.parameters() if p.requires_grad and p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": 0.02},
            {"params": others, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.98), fused=True)
        self.average = {k: v.clone() for k, v in self.learner.state_dict().items()}
        self.step, self.elapsed_s = 0, 0.0
        self.progress = torch.zeros(1).share_memory_()

    def resume(self) -> None:
        """Load the state of an earlier, interrupted run."""
        path = self.folder / "state.pt"
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        self.learner.load_state_dict(state["learner"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = state["average"]
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]

    def save(self) -> None:
        """Write state and averaged checkpoint, each in one step."""
        state = {
            "learner": self.learner.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "step": self.step,
            "elapsed_s": self.elapsed_s,
        }
        _write(state, self.folder / "state.pt")
        _write(checkpoint(self.learner, self.average), self.folder / "model.pt")

    def rate(self) -> float:
        """Learning rate: linear warm-up, then a cosine of the used share of the budget to zero."""
        cosine = 0.5 * (1 + math.cos(math.pi * min(self.elapsed_s / self.budget_s, 1.0)))
        return PEAK_RATE * min(1.0, (self.step + 1) / WARM_UP_STEPS) * max(cosine, 1e-3)

    def gradients(self, batch: dict[str, Tensor]) -> dict[str, float]:
        """Forward and backward of one batch; returns the losses' values."""
        hearing = self.elapsed_s / self.budget_s < HEARING_SHARE
        with_text = not hearing or self.step % TEXT_EVERY_STEPS == 0
        with torch.autocast("cpu", dtype=torch.bfloat16):
            losses = self.learner.losses(batch, with_text)
        # The helpers fade out: at the end only the text counts.
        fade = min(1.0, max(0.0, (1.0 - self.elapsed_s / self.budget_s) / 0.3))
        total = fade * losses["frames"]
        if with_text:
            total = total + losses["text"] + fade * 0.5 * losses["guide"]
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        return {name: float(value.detach()) for name, value in losses.items()}

    def update(self, elapsed_s: float) -> None:
        """One optimizer step with the gradients that are there, and the running average."""
        self.elapsed_s = elapsed_s
        self.progress[0] = elapsed_s / self.budget_s
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        torch.nn.utils.clip_grad_norm_(self.learner.parameters(), CLIP_NORM)
        self.optimizer.step()
        self.step += 1
        keep = min(0.999, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for name, value in self.learner.state_dict().items():
                self.average[name].lerp_(value, 1 - keep)


def _write(value: dict[str, Any], path: Path) -> None:
    partial = path.with_suffix(".part")
    torch.save(value, partial)
    os.replace(partial, path)


def _average_gradients(learner: Learner, extra: list[float]) -> list[float]:
    """Mean over all processes of the gradients, in place, and of a few numbers."""
    gradients = [p.grad for p in learner.parameters() if p.grad is not None]
    flat = torch.cat([*(g.flatten() for g in gradients), torch.tensor(extra)])
    torch.distributed.all_reduce(flat)
    flat /= torch.distributed.get_world_size()
    at = 0
    for gradient in gradients:
        gradient.copy_(flat[at : at + gradient.numel()].view_as(gradient))
        at += gradient.numel()
    return [float(value) for value in flat[at:]]


def _train_process(rank: int, count: int, corpus: Path, folder: Path, budget_s: float) -> None:
    """One of `count` one-thread processes with the same weights and different windows.

    Threads of one process wait for each other at every operation, so anything else on the machine
    slows all of them; processes meet once per step.
    """
    torch.set_num_threads(1)
    rendezvous = f"file://{(folder / 'rendezvous').resolve()}"
    torch.distributed.init_process_group("gloo", rendezvous, rank=rank, world_size=count)
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    trainer = Trainer(folder, budget_s)
    trainer.resume()
    trainer.progress[0] = trainer.elapsed_s / budget_s
    stream = BatchStream(corpus, 1 + trainer.step, rank, trainer.progress, MIXES)
    batches = iter(
        torch.utils.data.DataLoader(stream, batch_size=None, num_workers=1, prefetch_factor=6)
    )
    batch = next(batches)
    torch.distributed.barrier()
    before_s = trainer.elapsed_s
    started = last_save = since = time.monotonic()
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    audio_s = 0.0
    while trainer.elapsed_s < budget_s:
        audio_s += count * batch["frames"].shape[0] * batch["frames"].shape[2] * 0.02
        losses = trainer.gradients(batch)
        now = time.monotonic()
        elapsed_s, stop = _average_gradients(
            trainer.learner, [before_s + now - started, float(bool(stopping))]
        )
        trainer.update(elapsed_s)
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value
            counts[name] = counts.get(name, 0) + 1
        if trainer.step % LOG_EVERY_STEPS == 0 and rank == 0:
            means = " ".join(f"{k} {v / counts[k]:.3f}" for k, v in sums.items())
            print(
                f"{time.strftime('%H:%M:%S')} step {trainer.step} {trainer.elapsed_s / 60:.1f} min "
                f"rate {trainer.rate():.5f} {means} {audio_s / (now - since):.0f}x",
                flush=True,
            )
            sums, counts, audio_s, since = {}, {}, 0.0, now
        if rank == 0 and now - last_save > SAVE_EVERY_S:
            trainer.save()
            last_save = now
        if stop:
            break
        batch = next(batches)
    if rank == 0:
        trainer.save()
        if trainer.elapsed_s >= budget_s:
            (folder / "done").touch()


def train(corpus: Path, folder: Path, minutes: float, processes: int) -> bool:
    """Train until the budget is used up (true) or SIGTERM (false); saves the state."""
    for name in ("rendezvous", "done"):
        (folder / name).unlink(missing_ok=True)
    context = torch.multiprocessing.get_context("spawn")
    arguments = (processes, corpus, folder, minutes * 60)
    workers = [
        context.Process(target=_train_process, args=(rank, *arguments)) for rank in range(processes)
    ]
    for worker in workers:
        worker.start()

    def pass_on(*_: object) -> None:
        for worker in workers:
            worker.terminate()

    signal.signal(signal.SIGTERM, pass_on)
    for worker in workers:
        worker.join()
    return (folder / "done").exists()


def main() -> None:
    """Build the corpus, train, and put the averaged checkpoint in place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=90.0, help="training time, corpus apart")
    parser.add_argument("--build", type=Path, default=Path("demo/build"), help="working folder")
    parser.add_argument("--out", type=Path, default=Path("longscribe/models/demo.pt"))
    parser.add_argument("--processes", type=int, default=2, help="one per core")
    parser.add_argument("--no-corpus", action="store_true", help="use the shards that are there")
    args = parser.parse_args()
    if not args.no_corpus:
        build_corpus(args.build / "corpus")
    if train(args.build / "corpus", args.build, args.minutes, args.processes):
        shutil.copyfile(args.build / "model.pt", args.out)


if __name__ == "__main__":
    main()
