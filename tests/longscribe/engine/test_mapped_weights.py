"""One converted copy of the weights: right, made once, mended, and shared."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from longscribe.cache.folder import CACHE_VARIABLE, cache_folder
from longscribe.engine import mapped_weights, packed_linear
from longscribe.engine.kernels import ZERO_CODE
from longscribe.engine.mapped_weights import PairLinear, Stored, TiledLinear, cache_file, mapped
from longscribe.engine.packed_linear import PackedLinear, has_int8_products
from longscribe.engine.processor import has_byte_products, has_vectors_of_pairs
from longscribe.errors import ModelError
from longscribe.models.weights import ModelSpec

needs_int8 = pytest.mark.skipif(
    not has_int8_products(), reason="no int8 products on this processor"
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, empty."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "own"))
    return tmp_path / "own"


def test_float32_weights_are_the_checkpoint_s(demo: ModelSpec) -> None:
    stored = torch.load(demo.path, weights_only=True)["model_state_dict"]
    weights = mapped(demo, "float32")
    assert set(weights) == set(stored)
    for name, weight in weights.items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, stored[name].float())


JOINED = {
    "encoder.blocks.0.attn.qkv": ("attn.query", "attn.key", "attn.value"),
    "decoder.blocks.2.cross_attn.kv": ("cross_attn.key", "cross_attn.value"),
    "decoder.blocks.1.cross_attn.query": ("cross_attn.query",),
    "decoder.blocks.1.attn.out": ("attn.out",),
    "encoder.blocks.3.mlp.0": ("mlp.0",),
    "decoder.blocks.0.mlp.2": ("mlp.2",),
}


@needs_int8
@pytest.mark.parametrize("name", JOINED)
@pytest.mark.parametrize("rows", [1, 7, 200])
@pytest.mark.parametrize("in_pairs", [False, True])
def test_int8_products_are_those_of_rounded_weights(
    demo: ModelSpec, monkeypatch: pytest.MonkeyPatch, name: str, rows: int, in_pairs: bool
) -> None:
    if in_pairs and not has_vectors_of_pairs():
        pytest.skip("no AVX2 on this processor")
    monkeypatch.setattr(mapped_weights, "lacks_byte_products", lambda: in_pairs)
    floats = mapped(demo, "float32")
    block = ".".join(name.split(".")[:3])
    weights, biases = [], []
    for part in JOINED[name]:
        weight = floats[f"{block}.{part}.weight"]
        bias = floats.get(f"{block}.{part}.bias", torch.zeros(len(weight)))
        share = 8.0 if part.endswith("query") else 1.0  # 1 / sqrt(64) of attention
        weights.append(weight / share)
        biases.append(bias / share)
    weight = torch.cat(weights)
    layer = mapped(demo, "int8")[name]
    assert isinstance(layer, PairLinear if in_pairs else (PackedLinear, TiledLinear))
    assert torch.equal(layer.bias, torch.cat(biases))
    codes = torch.randint(1, 256, (rows, weight.shape[1]), generator=torch.manual_seed(0))
    if in_pairs:
        codes -= ZERO_CODE
        found = layer.product(codes.to(torch.int16))
    else:
        found = layer.product(codes.to(torch.uint8))
        codes -= ZERO_CODE
    wanted = codes.float() @ weight.T
    # Each weight is at most half a step off, and a step is a 127th of its output's largest weight
    # (a 63rd where the processor could overflow).
    steps = weight.abs().amax(dim=1) / 63
    bound = 0.5 * codes.abs().float().sum(dim=1, keepdim=True) * steps
    assert torch.all((found - wanted).abs() <= bound)
    assert (found - wanted).norm() <= 0.03 * wanted.norm()


@needs_int8
@pytest.mark.skipif(not has_byte_products(), reason="no VNNI on this processor")
@pytest.mark.parametrize("rows", [1, 5, 24])
def test_both_layouts_give_the_same_product(rows: int) -> None:
    weight, bias = torch.randn(200, 512, generator=torch.manual_seed(0)), torch.zeros(200)
    codes = torch.randint(1, 256, (rows, 512), generator=torch.manual_seed(1)).to(torch.uint8)
    products = [
        mapped_weights._restored(form(weight, bias)).product(codes)
        for form in (mapped_weights._tiled, packed_linear.packed)
    ]
    assert torch.equal(*products)


@needs_int8
@pytest.mark.parametrize("pays", [True, False])
def test_only_what_a_step_multiplies_is_in_tiles_and_only_where_that_pays(
    demo: ModelSpec, cache: Path, monkeypatch: pytest.MonkeyPatch, pays: bool
) -> None:
    monkeypatch.setattr(mapped_weights, "has_byte_products", lambda: pays)
    monkeypatch.setattr(mapped_weights, "has_vectors_of_pairs", lambda: False)
    monkeypatch.setattr(mapped_weights, "lacks_byte_products", lambda: False)
    layers = mapped(demo, "int8")
    in_tiles = {name for name, layer in layers.items() if isinstance(layer, TiledLinear)}
    block = ("attn.qkv", "attn.out", "cross_attn.query", "cross_attn.out", "mlp.0", "mlp.2")
    wanted = {f"decoder.blocks.{i}.{part}" for i in range(demo.dims.n_text_layer) for part in block}
    assert in_tiles == ({*wanted, "logits"} if pays else set())
    assert isinstance(layers["decoder.blocks.0.cross_attn.kv"], PackedLinear)


@needs_int8
@pytest.mark.parametrize("instruction_set", ["", "AVX512_CORE_VNNI", "AVX512_CORE", "AVX2"])
def test_int8_products_are_fast_with_any_instructions(instruction_set: str) -> None:
    """oneDNN has kernels for unsigned activations everywhere; its reference loop takes seconds."""
    code = (
        "import time, torch; from longscribe.engine.packed_linear import packed, unpacked;"
        "layer = unpacked(packed(torch.randn(512, 512), torch.zeros(512)));"
        "codes = torch.ones(64, 512, dtype=torch.uint8); layer.product(codes);"
        # Of this process alone: a clock also shows what else the machine is at.
        "started_s = time.process_time(); layer.product(codes);"
        "print(time.process_time() - started_s)"
    )
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": instruction_set or "DEFAULT"}
    command = [sys.executable, "-c", code]
    took = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert float(took.stdout) < 0.05


@needs_int8
def test_the_logits_matrix_is_packed_and_the_embedding_kept(demo: ModelSpec) -> None:
    weights = mapped(demo, "int8")
    embedding = mapped(demo, "float32")["decoder.token_embedding.weight"]
    assert torch.equal(weights["decoder.token_embedding.weight"].float(), embedding)
    codes = torch.full((1, demo.dims.n_text_state), ZERO_CODE + 1, dtype=torch.uint8)
    product = weights["logits"].product(codes)
    assert product.shape == (1, demo.dims.n_vocab)
    assert torch.allclose(product[0], embedding.sum(dim=1), atol=0.2)


def test_the_file_is_named_by_all_that_its_content_depends_on(
    demo: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = demo.model_copy(update={"sha256": "ab" * 32})
    names = {
        cache_file(spec, stored).name for spec in (demo, other) for stored in ("float32", "int8")
    }
    assert len(names) == 4
    renamed = demo.model_copy(update={"name": "mine", "path": Path("elsewhere.pt")})
    assert cache_file(renamed, "int8") == cache_file(demo, "int8")
    before = cache_file(demo, "int8")
    monkeypatch.setattr(torch, "__version__", "9.9.9+cpu")
    assert cache_file(demo, "int8") != before


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, "~/somewhere")
    assert cache_folder() == Path.home() / "somewhere"
    monkeypatch.delenv(CACHE_VARIABLE)
    assert cache_folder() == tmp_path / "cache" / "longscribe"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "longscribe"


@pytest.mark.parametrize("content", [b"", b"no weights at all", None])
def test_a_damaged_file_is_made_again(demo: ModelSpec, cache: Path, content: bytes | None) -> None:
    mapped(demo, "float32")
    path = cache_file(demo, "float32")
    good = path.read_bytes()
    # None: cut short, as by a full disk.
    path.unlink()
    path.write_bytes(good[: len(good) // 2] if content is None else content)
    weights = mapped(demo, "float32")
    assert weights["encoder.ln_post.weight"].shape == (demo.dims.n_audio_state,)
    assert path.read_bytes() == good
    assert [p for p in cache.rglob("*") if p.suffix == ".part"] == []


def test_a_good_file_is_not_made_again(
    demo: ModelSpec, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped(demo, "float32")
    monkeypatch.setattr(mapped_weights, "_convert", lambda *_: pytest.fail("converted again"))
    mapped(demo.model_copy(update={"path": Path("gone.pt")}), "float32")


MAP = """
import sys
from pathlib import Path
from longscribe.engine import mapped_weights, packed_linear
from longscribe.models.weights import ModelSpec
convert = mapped_weights._convert
mapped_weights._convert = lambda *given: (print("converted"), convert(*given))
spec = ModelSpec.model_validate_json(sys.argv[1])
input()
print(len(mapped_weights.mapped(spec, sys.argv[2])))
"""


@pytest.mark.parametrize("stored", ["float32", pytest.param("int8", marks=needs_int8)])
def test_two_processes_at_once_make_one_file(demo: ModelSpec, cache: Path, stored: Stored) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MAP, demo.model_dump_json(), stored],
            env={**os.environ, "PYTHONPATH": str(Path(mapped_weights.__file__).parents[2])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:  # both are past their imports, or will be soon
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = sorted(process.communicate(timeout=200)[0].split() for process in processes)
    assert [process.returncode for process in processes] == [0, 0]
    tensors = str(len(mapped(demo, stored)))
    assert said == [[tensors], ["converted", tensors]]
    assert [path for path in cache.rglob("*.pt")] == [cache_file(demo, stored)]
    assert not list(cache.rglob("*.part"))


def test_a_cache_that_cannot_be_written(
    demo: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "below"))
    with pytest.raises(ModelError, match=rf"cannot be kept in .*set {CACHE_VARIABLE} to") as caught:
        mapped(demo, "float32")
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_nothing_behind(
    demo: ModelSpec, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(content: object, path: Path) -> None:
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(ModelError, match="No space left on device"):
        mapped(demo, "float32")
    assert [path.suffix for path in cache.rglob("*") if path.is_file()] == [".lock"]


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param("int8", marks=needs_int8),
        "float32",
    ],
)
def test_a_checkpoint_without_its_weights(
    demo: ModelSpec, cache: Path, tmp_path: Path, stored: Stored
) -> None:
    broken = tmp_path / "broken.pt"
    torch.save({"dims": demo.dims.model_dump(), "model_state_dict": {}}, broken)
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        mapped(demo.model_copy(update={"path": broken}), stored)
    assert str(broken) in str(caught.value)
    assert not list(cache.rglob("*.pt"))


def test_a_checkpoint_that_is_gone(demo: ModelSpec, cache: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pt"
    with pytest.raises(ModelError, match=r"missing\.pt' cannot be loaded"):
        mapped(demo.model_copy(update={"path": missing}), "float32")


class Mapping:
    """What the kernel says of this process's mappings of a file, in bytes."""

    def __init__(self, path: Path) -> None:
        sums = dict.fromkeys(("Size", "Rss", "Anonymous"), 0)
        inside = False
        for line in Path("/proc/self/smaps").read_text().splitlines():
            key, _, rest = line.partition(":")
            if key in sums and inside:
                sums[key] += 1024 * int(rest.split()[0])
            elif "-" in key.split(" ")[0]:
                inside = line.endswith(str(path))
        # Private_Dirty would count pages that are only not on the disk yet.
        self.size, self.resident, self.copied = sums.values()


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="Linux tells by smaps")
@pytest.mark.parametrize("stored", ["float32", pytest.param("int8", marks=needs_int8)])
def test_weights_stay_in_the_file_s_pages(demo: ModelSpec, cache: Path, stored: Stored) -> None:
    """Clean pages of a mapped file are one memory for all processes that map it."""
    mapped(demo, stored)
    weights = mapped(demo, stored)  # as the second worker, and every later run, finds it
    path = cache_file(demo, stored)
    assert Mapping(path).size >= 0.99 * path.stat().st_size
    for weight in weights.values():
        if isinstance(weight, PackedLinear):
            weight.product(torch.ones(1, len(weight.weight), dtype=torch.uint8))
        elif isinstance(weight, TiledLinear):
            inputs = 4 * weight.tiles.weights.shape[1]
            weight.product(torch.ones(1, inputs, dtype=torch.uint8))
        else:
            weight.float().sum()
    read = Mapping(path)
    assert read.resident > 0.9 * path.stat().st_size  # it was read here, not somewhere else
    assert read.copied < 0.01 * read.size
