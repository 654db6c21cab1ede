"""A chunk's samples where its worker is."""

from pathlib import Path

import numpy as np
import pytest

from longscribe.audio.chunks import OwnTempo
from longscribe.audio.recording import read_samples
from longscribe.models.weights import resolve_model
from longscribe.task_runner import cluster_inside
from longscribe.tasks.chunk_site import have_model, on_site, packed
from tests.chunks import chunk


def test_at_home_a_chunk_stays_as_it_is() -> None:
    spec = resolve_model("demo")
    with on_site(chunk(), spec) as (here, model):
        assert (here, model) == (chunk(), spec)


def test_elsewhere_it_has_the_samples_that_came_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = np.arange(1000, dtype=np.int16)
    samples.tofile(tmp_path / "all.pcm")
    (-samples).tofile(tmp_path / "own.pcm")
    own = OwnTempo(pcm_path=tmp_path / "own.pcm", start_sample=300, stop_sample=700)
    sent = chunk(
        pcm_path=tmp_path / "all.pcm", start_sample=200, stop_sample=600, own_tempo=own, index=3
    )
    content = packed(sent)
    (tmp_path / "all.pcm").unlink()
    (tmp_path / "own.pcm").unlink()
    monkeypatch.setattr(cluster_inside, "_attachments", content)
    spec = resolve_model("demo")
    there = spec.model_copy(update={"path": Path("/elsewhere/demo.pt")})
    have_model(there)
    try:
        with on_site(sent, spec) as (here, model):
            found = read_samples(here.pcm_path, here.start_sample, here.stop_sample)
            assert (found == samples[200:600]).all()
            assert here.own_tempo is not None
            own = here.own_tempo
            found = read_samples(own.pcm_path, own.start_sample, own.stop_sample)
            assert (found == -samples[300:700]).all()
            assert model == there
            assert here.label == sent.label
            assert here.duration_s == sent.duration_s
        assert not here.pcm_path.exists()
    finally:
        have_model(spec)
