"""Whisper's official sizes, as its model card has them."""

from typing import NamedTuple

AUDIO_POSITIONS = 1500
TEXT_POSITIONS = 448


class Size(NamedTuple):
    """Width, heads, encoder layers, decoder layers, mels, vocabulary."""

    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    mels: int
    vocabulary: int

    @property
    def dims(self) -> dict[str, int]:
        """The dimensions as a checkpoint holds them."""
        return {
            "n_mels": self.mels,
            "n_audio_ctx": AUDIO_POSITIONS,
            "n_audio_state": self.width,
            "n_audio_head": self.heads,
            "n_audio_layer": self.encoder_layers,
            "n_vocab": self.vocabulary,
            "n_text_ctx": TEXT_POSITIONS,
            "n_text_state": self.width,
            "n_text_head": self.heads,
            "n_text_layer": self.decoder_layers,
        }


SIZES = {
    "tiny": Size(384, 6, 4, 4, 80, 51865),
    "base": Size(512, 8, 6, 6, 80, 51865),
    "small": Size(768, 12, 12, 12, 80, 51865),
    "medium": Size(1024, 16, 24, 24, 80, 51865),
    "turbo": Size(1280, 20, 32, 4, 128, 51866),
    # The demo model computes the same in it; 80 mels instead of 128 are less than a thousandth of
    # the operations.
    "turbo-80": Size(1280, 20, 32, 4, 80, 51865),
    "large-v2": Size(1280, 20, 32, 32, 80, 51865),
    "large-v3": Size(1280, 20, 32, 32, 128, 51866),
    "distil-large-v3": Size(1280, 20, 32, 2, 128, 51866),
}
