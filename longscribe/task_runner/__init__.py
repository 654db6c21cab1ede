"""A process-pool task runner for Prefect whose runs survive their workers.

    runner = SurvivingTaskRunner(max_workers=4)
    with runner:
        futures = crunch.map(pieces)
        for future in as_completed(futures):
            ...

Prefect's ProcessPoolTaskRunner gives up all tasks with any of its processes: one that the kernel
kills for its memory takes the run along. Here only the task that the dead worker was at runs again.
"""

from longscribe.task_runner.effort import Patience
from longscribe.task_runner.inside import halvings, leave_pool
from longscribe.task_runner.job import LostTask, TaskTraits, UnderWay
from longscribe.task_runner.kept_workers import Staff, keeping_workers, kept_bytes, start_early
from longscribe.task_runner.runner import SurvivingTaskRunner
from longscribe.task_runner.worker import Setup
from longscribe.task_runner.worker_ends import GPU_LOST

__all__ = [
    "GPU_LOST",
    "LostTask",
    "Patience",
    "Setup",
    "Staff",
    "SurvivingTaskRunner",
    "TaskTraits",
    "UnderWay",
    "halvings",
    "keeping_workers",
    "kept_bytes",
    "leave_pool",
    "start_early",
]
