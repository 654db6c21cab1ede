"""The live view of a run on a terminal: stages, a bar for the recording, a line for each worker."""

import time
from typing import Final, Literal, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from longscribe.monitoring.events import (
    Live,
    RunBegan,
    RunOver,
    RunStatus,
    StageBegan,
    StageOver,
    WorkerStatus,
)
from longscribe.transcript import format_time
from longscribe.wording.catalog import translatable, translated

_STAGES: Final = {
    "load_model": translatable("load model"),
    "accelerate": translatable("accelerate"),
    "split": translatable("split"),
    "transcribe": translatable("transcribe"),
    "merge": translatable("merge"),
    "postprocess": translatable("postprocess"),
    "write": translatable("write"),
}
_REFRESH_PER_S: Final = 4
_MOST_WORKERS: Final = 24  # lines; the others are counted


class _Column(NamedTuple):
    """Of the table of workers; shown on terminals of at least so many characters."""

    name: str
    head: str
    justify: Literal["left", "right"] = "right"
    from_width: int = 0


_COLUMNS: Final = (
    _Column("worker", translatable("worker"), "left"),
    _Column("chunk", translatable("chunk"), "left"),
    _Column("span", translatable("span"), "left", 76),
    _Column("bar", "", "left", 94),
    _Column("time", translatable("time")),
    _Column("pace", translatable("x real time")),
    _Column("cpu", translatable("CPU")),
    _Column("memory", translatable("memory")),
)


class LiveView:
    """What is below the log while a run lasts.

    Args:
        console: whose terminal it is on; lines printed to it scroll above the view.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: RichLive | None = None
        self._name = ""
        self._began_s = 0.0
        self._stages: dict[str, str] = {}
        self._status: RunStatus | None = None
        self._status_at_s = 0.0
        self._spinner = Spinner("dots", style="cyan")

    def take(self, what: Live) -> None:
        """Show a fact."""
        match what:
            case RunBegan():
                self.close()
                self._name, self._status = what.name, None
                self._began_s = time.monotonic()
                self._stages = dict.fromkeys(_STAGES, "to come")
                self._live = RichLive(
                    get_renderable=self.picture,
                    console=self._console,
                    refresh_per_second=_REFRESH_PER_S,
                    transient=True,
                    # Lines come through the console; a redirection would take stderr's along.
                    redirect_stdout=False,
                    redirect_stderr=False,
                )
                self._live.start()
            case StageBegan():
                self._stages[what.stage] = "under way"
            case StageOver():
                self._stages[what.stage] = "over"
            case RunStatus():
                self._status, self._status_at_s = what, time.monotonic()
            case RunOver():
                self.close()

    def close(self) -> None:
        """Take the view away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def picture(self) -> RenderableType:
        """The view as it is now."""
        parts: list[RenderableType] = [Text(""), self._heading(), self._stage_line()]
        if self._status is not None:
            parts += [self._bar(self._status), self._workers(self._status)]
        return Group(*parts)

    def _heading(self) -> RenderableType:
        line = Table.grid(padding=(0, 1), expand=True)
        line.add_column(width=1)
        line.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        line.add_column(justify="right", no_wrap=True)
        elapsed = format_time(time.monotonic() - self._began_s)
        line.add_row(self._spinner, Text(self._name, "bold"), Text(elapsed, "dim"))
        return line

    def _stage_line(self) -> Text:
        line = Text("  ", no_wrap=True, overflow="ellipsis")
        for stage, state in self._stages.items():
            mark, style = {
                "over": ("✓", "green"),
                "under way": ("●", "bold cyan"),
                "to come": ("·", "dim"),
            }[state]
            name = translated(_STAGES.get(stage, stage.replace("_", " ")))
            line.append(f"{mark} {name}  ", style)
        return line

    def _bar(self, status: RunStatus) -> RenderableType:
        # Between two facts the clock goes on.
        since_s = time.monotonic() - self._status_at_s
        left = Text(translated("learning how fast it goes"), "dim")
        if status.done == status.total:
            left = Text()
        elif status.left_s is not None:
            left_s = max(0.0, status.left_s - since_s)
            before, _, after = translated("about {time} left").partition("{time}")
            left = Text.assemble(before, (format_time(left_s), "bold"), after)
        pace = ""
        if status.x_real_time is not None:
            pace = translated("{pace:.1f} x real time").format(pace=status.x_real_time)
        line = Table.grid(padding=(0, 1))
        line.add_column(width=1)
        line.add_column(width=min(48, max(10, self._console.width // 3)))
        line.add_row(
            "",
            ProgressBar(total=100.0, completed=status.percent, complete_style="cyan"),
            Text(f"{min(status.percent, 100.0):3.0f} %", "bold"),
            left,
        )
        cores = status.cpu_percent / 100.0
        figures = [
            translated("{done} of {total} chunks").format(done=status.done, total=status.total),
            pace,
            translated("{cores:.1f} cores busy").format(cores=cores),
            f"{status.memory_bytes / 1e9:.2f} GB",
        ]
        return Group(line, Text("  " + " · ".join(f for f in figures if f), style="dim"))

    def _workers(self, status: RunStatus) -> RenderableType:
        table = Table.grid(padding=(0, 2), pad_edge=False)
        table.add_column(width=1)
        fitting = [column for column in _COLUMNS if self._console.width >= column.from_width]
        for column in fitting:
            table.add_column(justify=column.justify, no_wrap=True)
        if status.workers:
            table.add_row("", *(Text(translated(column.head), "dim") for column in fitting))
        for worker in status.workers[:_MOST_WORKERS]:
            cells = zip(_COLUMNS, self._worker(worker), strict=True)
            table.add_row("", *(cell for column, cell in cells if column in fitting))
        if len(status.workers) > _MOST_WORKERS:
            left_out = len(status.workers) - _MOST_WORKERS
            and_more = translated("and {count} more").format(count=left_out)
            table.add_row("", Text(and_more, "dim"))
        return table

    def _worker(self, worker: WorkerStatus) -> list[RenderableType]:
        figures: list[RenderableType] = [
            "" if worker.x_real_time is None else f"{worker.x_real_time:.1f}",
            f"{worker.cpu_percent:.0f} %",
            f"{worker.rss_bytes / 1e9:.2f} GB",
        ]
        if not worker.chunk:
            return [str(worker.pid), Text(translated("idle"), "dim"), "", "", "", *figures]
        return [
            str(worker.pid),
            worker.chunk,
            Text(worker.span, "dim"),
            ProgressBar(
                total=1.0,
                completed=worker.fraction or 0.0,
                width=12,
                complete_style="green",
                finished_style="green",
            ),
            format_time(worker.running_s),
            *figures,
        ]
