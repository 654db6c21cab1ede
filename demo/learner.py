"""The network under training: Whisper's own blocks around compact embeddings, plus helper losses.

Three things learn much faster than plain cross-entropy on the text, because the synthesizer tells
where each word lies: linear heads on the encoder name the word of every 20 ms frame, one attention
head of the later decoder layers is pulled to the word it is about to write, and time stamps share
the encoder's sinusoids. The heads are dropped when saving; the rest is an ordinary Whisper.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from whisper.model import ModelDimensions, MultiHeadAttention, Whisper, sinusoids

from demo.tokens import TIMESTAMPS, UNUSED, VOCABULARY_SIZE, TokenMap
from demo.windows import FULL_POSITIONS, IGNORED, LETTERS, MAX_WORD_NUMBER

WIDTH, HEADS, ENCODER_LAYERS, DECODER_LAYERS = 128, 2, 4, 3
GUIDED_LAYERS = (1, 2)
_GUIDE_MARGIN = 3.0  # positions of 20 ms
_STAMP_SCALE = 0.3
# Whisper's sinusoids are five times as strong as what the fresh convolutions say about the sound;
# the encoder then learns to hear only slowly. The checkpoint carries its own grid, so scale it.
_GRID_SCALE, _CONVOLUTION_GAIN = 0.25, 2.0
_DISTANCES = ((-3, 3), (-8, 8), (-16, 16))  # positions, by layer and head
_LOCAL_GAIN, _WAVE_CHANNEL_GAIN = 1.7, 0.2
_LETTER_LAYER = 1  # its output names the letter of a frame


def dimensions() -> ModelDimensions:
    """Whisper's dims of the demo model."""
    return ModelDimensions(
        n_mels=80,
        n_audio_ctx=FULL_POSITIONS,
        n_audio_state=WIDTH,
        n_audio_head=HEADS,
        n_audio_layer=ENCODER_LAYERS,
        n_vocab=VOCABULARY_SIZE,
        n_text_ctx=448,
        n_text_state=WIDTH,
        n_text_head=HEADS,
        n_text_layer=DECODER_LAYERS,
    )


class Learner(nn.Module):
    """Trainable form of the demo model."""

    stamp_grid: Tensor
    text_grid: Tensor

    def __init__(self, tokens: TokenMap) -> None:
        super().__init__()
        self.map = tokens
        dims = dimensions()
        self.whisper = Whisper(dims)
        # Built from compact parts below; kept out of the optimizer.
        del self.whisper.decoder.token_embedding, self.whisper.decoder.positional_embedding
        self.text_rows = nn.Parameter(torch.randn(tokens.first_timestamp, WIDTH) * 0.1)
        self.stamp_map = nn.Parameter(torch.eye(WIDTH) * _STAMP_SCALE)
        self.stamp_shift = nn.Parameter(torch.randn(WIDTH) * 0.1)
        self.position_map = nn.Parameter(torch.eye(WIDTH) * 0.1)
        self.position_rows = nn.Parameter(torch.zeros(dims.n_text_ctx, WIDTH))
        self.register_buffer("stamp_grid", sinusoids(TIMESTAMPS, WIDTH), persistent=False)
        self.register_buffer("text_grid", sinusoids(dims.n_text_ctx, WIDTH), persistent=False)
        with torch.no_grad():
            self.whisper.encoder.positional_embedding.mul_(_GRID_SCALE)
            for convolution in (self.whisper.encoder.conv1, self.whisper.encoder.conv2):
                convolution.weight.mul_(_CONVOLUTION_GAIN)
        self._look_around()
        words = len(tokens.word_ids) + 1
        self.frame_heads = nn.ModuleList(
            [nn.Linear(WIDTH, n) for n in (words, words, MAX_WORD_NUMBER + 1, LETTERS)]
        )

    @torch.no_grad()
    def _look_around(self) -> None:
        """Start the first encoder layers with heads that look a fixed distance to either side.

        Query and key read the grid's fast sinusoids, the query turned by the distance. Otherwise
        attention needs thousands of steps to discover that speech is local.
        """
        half = WIDTH // 2
        count = half // 2
        speeds = torch.exp(-math.log(10000.0) / (half - 1) * torch.arange(count))
        waves = torch.cat([torch.arange(count), half + torch.arange(count)])
        self.whisper.encoder.conv2.weight[waves] *= _WAVE_CHANNEL_GAIN
        for layer, distances in enumerate(_DISTANCES):
            block = self.whisper.encoder.blocks[layer]
            attention = block.attn
            attention.query.bias.zero_()
            for output in (attention.out, block.mlp[2]):  # leave the grid readable for the next
                output.weight[waves] *= _WAVE_CHANNEL_GAIN
                output.bias[waves] = 0.0
            for head, distance in enumerate(distances):
                rows = torch.arange(head * half, (head + 1) * half)
                sines, cosines = rows[:count], rows[count:]
                turn_cos, turn_sin = (speeds * distance).cos(), (speeds * distance).sin()
                for weight in (attention.query.weight, attention.key.weight):
                    weight[rows] = 0.0
                attention.key.weight[rows, waves] = _LOCAL_GAIN
                at, beside = torch.arange(count), half + torch.arange(count)
                attention.query.weight[sines, at] = turn_cos * _LOCAL_GAIN
                attention.query.weight[sines, beside] = turn_sin * _LOCAL_GAIN
                attention.query.weight[cosines, beside] = turn_cos * _LOCAL_GAIN
                attention.query.weight[cosines, at] = -turn_sin * _LOCAL_GAIN

    def embedding(self) -> Tensor:
        """Rows of all compact ids; time stamps are a linear map of the encoder's sinusoids."""
        stamps = self.stamp_grid @ self.stamp_map + self.stamp_shift
        return torch.cat([self.text_rows, stamps])

    def positions(self) -> Tensor:
        """The decoder's positional embedding, n_text_ctx x width."""
        return self.text_grid @ self.position_map + self.position_rows

    def encode(self, mel: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        """B x 80 x frames at any offset (positions) of the grid -> B x positions x width.

        Second: the same from the layer that names letters.
        """
        encoder = self.whisper.encoder
        x = F.gelu(encoder.conv1(mel))
        x = F.gelu(encoder.conv2(x)).transpose(1, 2)
        grid = offset[:, None] + torch.arange(x.shape[1])
        x = x.float() + encoder.positional_embedding[grid]
        middle = x
        for index, block in enumerate(encoder.blocks):
            x = x + _attend(block.attn, _norm(block.attn_ln, x))
            x = x + block.mlp(_norm(block.mlp_ln, x))
            middle = x if index == _LETTER_LAYER else middle
        return _norm(encoder.ln_post, x), F.layer_norm(middle, (WIDTH,))

    def decode(self, tokens: Tensor, audio: Tensor, kept: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits of the kept tokens; the guided heads' attention, B x tokens x positions."""
        embedding = self.embedding()
        x = F.embedding(tokens, embedding) + self.positions()[: tokens.shape[1]]
        guided: list[Tensor] = []
        for index, block in enumerate(self.whisper.decoder.blocks):
            x = x + _attend(block.attn, _norm(block.attn_ln, x), causal=True)
            query = _norm(block.cross_attn_ln, x)
            if index in GUIDED_LAYERS:
                mixed, weights = _attend_visibly(block.cross_attn, query, audio)
                guided.append(weights)
                x = x + mixed
            else:
                x = x + _attend(block.cross_attn, query, audio)
            x = x + block.mlp(_norm(block.mlp_ln, x))
        x = _norm(self.whisper.decoder.ln, x)[kept]
        return F.linear(x, embedding), guided

    def losses(self, batch: dict[str, Tensor], with_text: bool = True) -> dict[str, Tensor]:
        """Scalars: text, frames, guide (to minimize), and accuracies to watch."""
        audio, middle = self.encode(batch["mel"], batch["offset"])
        frames = batch["frames"].long()
        # Silence is most of a window and easy: a fifth of its frames is enough.
        kept = (frames[:, 0] > 0) | (torch.rand(frames[:, 0].shape) < 0.2)
        shares = (0.55, 0.15, 0.1, 0.4)
        frame_loss = torch.zeros(())
        accuracy: dict[int, Tensor] = {}
        for i, (share, head) in enumerate(zip(shares, self.frame_heads, strict=True)):
            wanted = frames[:, i][kept]
            logits = head((middle if i == 3 else audio)[kept]).float()
            frame_loss = frame_loss + share * F.cross_entropy(logits, wanted)
            if i in (0, 3):
                accuracy[i] = (logits.argmax(-1) == wanted)[wanted > 0].float().mean().detach()
        found = {
            "frames": frame_loss,
            "frame_accuracy": accuracy[0],
            "letter_accuracy": accuracy[3],
        }
        if not with_text:
            return found
        kept = batch["targets"] != IGNORED
        wanted = batch["targets"][kept]
        logits, guided = self.decode(batch["tokens"], audio, kept)
        chosen = logits.float()
        multiplicity = torch.zeros(chosen.shape[-1])
        multiplicity[UNUSED] = math.log(self.map.unused_count)
        found["text"] = self._soft_cross_entropy(chosen + multiplicity, wanted)
        found["guide"] = _guide_loss(guided, batch)
        found["token_accuracy"] = (chosen.argmax(-1) == wanted).float().mean().detach()
        return found

    def _soft_cross_entropy(self, logits: Tensor, wanted: Tensor) -> Tensor:
        """Cross-entropy; a time stamp's neighbours 20 ms away are nearly as right as itself."""
        log_p = logits.log_softmax(-1)
        picked = log_p.gather(1, wanted[:, None])[:, 0]
        first, last = self.map.first_timestamp, self.map.first_timestamp + TIMESTAMPS - 1
        stamp = wanted >= first
        around = [
            log_p.gather(1, (wanted + step).clamp(first, last)[:, None])[:, 0]
            for step in (-2, -1, 1, 2)
        ]
        soft = 0.4 * picked + 0.2 * (around[1] + around[2]) + 0.1 * (around[0] + around[3])
        return -torch.where(stamp, soft, picked).mean()


def checkpoint(learner: Learner, weights: dict[str, Tensor]) -> dict[str, Any]:
    """What whisper.load_model opens: dims and float16 weights (of `weights`, e.g. an average)."""
    tokens = learner.map
    with torch.no_grad():
        stamps = learner.stamp_grid @ weights["stamp_map"] + weights["stamp_shift"]
        rows = torch.cat([weights["text_rows"], stamps]).half()
        embedding = rows[UNUSED].repeat(VOCABULARY_SIZE, 1)
        embedding[torch.tensor(tokens.official[1:])] = rows[1:]
        positions = learner.text_grid @ weights["position_map"] + weights["position_rows"]
    state = {
        name.removeprefix("whisper."): value.half()
        for name, value in weights.items()
        if name.startswith("whisper.")
    }
    state["encoder.positional_embedding"] = learner.whisper.encoder.positional_embedding.half()
    state["decoder.token_embedding.weight"] = embedding
    state["decoder.positional_embedding"] = positions.half()
    return {"dims": asdict(dimensions()), "model_state_dict": state}


def _norm(layer: nn.LayerNorm, x: Tensor) -> Tensor:
    return F.layer_norm(x, layer.normalized_shape, layer.weight, layer.bias, layer.eps)


def _heads(x: Tensor) -> Tensor:
    batch, length, width = x.shape
    return x.reshape(batch, length, HEADS, width // HEADS).transpose(1, 2)


def _attend(
    layer: MultiHeadAttention, x: Tensor, source: Tensor | None = None, causal: bool = False
) -> Tensor:
    source = x if source is None else source
    query, key, value = layer.query(x), layer.key(source), layer.value(source)
    mixed = F.scaled_dot_product_attention(
        _heads(query), _heads(key), _heads(value), is_causal=causal
    )
    result: Tensor = layer.out(mixed.transpose(1, 2).flatten(2))
    return result


def _attend_visibly(layer: MultiHeadAttention, x: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """As `_attend`, and the first head's weights."""
    query, key, value = (
        _heads(layer.query(x)),
        _heads(layer.key(source)),
        _heads(layer.value(source)),
    )
    scores = (query @ key.transpose(-1, -2)).float() * (WIDTH // HEADS) ** -0.5
    weights = scores.softmax(-1)
    mixed = weights.to(value.dtype) @ value
    return layer.out(mixed.transpose(1, 2).flatten(2)), weights[:, 0]


def _guide_loss(guided: list[Tensor], batch: dict[str, Tensor]) -> Tensor:
    spans = batch["spans"] - batch["offset"][:, None, None] * (batch["spans"] >= 0)
    timed = batch["spans"][..., 1] >= 0
    grid = torch.arange(guided[0].shape[-1])
    inside = (grid >= spans[..., :1] - _GUIDE_MARGIN) & (grid <= spans[..., 1:] + _GUIDE_MARGIN)
    total = torch.zeros(())
    for weights in guided:
        mass = (weights * inside).sum(-1)[timed]
        total = total - (mass + 1e-4).log().mean()
    return total / len(guided)
