"""Which weights a Whisper model has and how large they are, by openai-whisper's names.

A checkpoint that says one thing of itself and holds another is so told from a complete one before
torch, or any worker, is started.
"""

from collections.abc import Mapping

from longscribe.models.checkpoint import ModelDims
from longscribe.wording.catalog import translated

Shape = tuple[int, ...]

# What the engine's kernels are made for; every published Whisper has these.
HEAD_DIM = 64
_AUDIO_CONTEXT, _TEXT_CONTEXT = 1500, 448
# English only; 99 languages; 100 languages (large-v3 and its descendants).
VOCABULARIES = (51864, 51865, 51866)


def expected_shapes(dims: ModelDims) -> dict[str, Shape]:
    """The shape of every weight of a model of these dimensions, as whisper/model.py names them."""
    audio, text = dims.n_audio_state, dims.n_text_state
    shapes: dict[str, Shape] = {
        "encoder.conv1.weight": (audio, dims.n_mels, 3),
        "encoder.conv1.bias": (audio,),
        "encoder.conv2.weight": (audio, audio, 3),
        "encoder.conv2.bias": (audio,),
        "encoder.positional_embedding": (dims.n_audio_ctx, audio),
        **_norm("encoder.ln_post", audio),
        "decoder.token_embedding.weight": (dims.n_vocab, text),
        "decoder.positional_embedding": (dims.n_text_ctx, text),
        **_norm("decoder.ln", text),
    }
    for i in range(dims.n_audio_layer):
        shapes |= _block(f"encoder.blocks.{i}", audio, ("attn",))
    for i in range(dims.n_text_layer):
        shapes |= _block(f"decoder.blocks.{i}", text, ("attn", "cross_attn"))
    return shapes


def contradiction(dims: ModelDims, shapes: Mapping[str, Shape]) -> str | None:
    """What is wrong with a model that says `dims` and holds `shapes`, in a few words; or None."""
    for width, heads in (
        (dims.n_audio_state, dims.n_audio_head),
        (dims.n_text_state, dims.n_text_head),
    ):
        if width != HEAD_DIM * heads:
            return translated(
                "it has {heads} heads in a width of {width}, where Whisper's heads have 64"
            ).format(heads=heads, width=width)
    if (dims.n_audio_ctx, dims.n_text_ctx) != (_AUDIO_CONTEXT, _TEXT_CONTEXT):
        return translated("its contexts are {audio} and {text}, not 1500 and 448").format(
            audio=dims.n_audio_ctx, text=dims.n_text_ctx
        )
    if dims.n_vocab not in VOCABULARIES:
        return translated("its vocabulary has {tokens} tokens, not 51864, 51865 or 51866").format(
            tokens=dims.n_vocab
        )
    for name, wanted in expected_shapes(dims).items():
        if name not in shapes:
            return translated("{name} is missing").format(name=name)
        if shapes[name] != wanted:
            return translated("{name} is of shape {found}, where {wanted} was announced").format(
                name=name, found=list(shapes[name]), wanted=list(wanted)
            )
    return None


def _block(block: str, width: int, attentions: tuple[str, ...]) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for attention in attentions:
        for part in ("query", "key", "value", "out"):
            shapes[f"{block}.{attention}.{part}.weight"] = (width, width)
            if part != "key":  # Whisper's keys have no bias
                shapes[f"{block}.{attention}.{part}.bias"] = (width,)
        shapes |= _norm(f"{block}.{attention}_ln", width)
    shapes[f"{block}.mlp.0.weight"] = (4 * width, width)
    shapes[f"{block}.mlp.0.bias"] = (4 * width,)
    shapes[f"{block}.mlp.2.weight"] = (width, 4 * width)
    shapes[f"{block}.mlp.2.bias"] = (width,)
    return shapes | _norm(f"{block}.mlp_ln", width)


def _norm(name: str, width: int) -> dict[str, Shape]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
