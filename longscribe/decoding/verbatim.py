"""What makes Whisper write down what it leaves out by habit: "um", words begun twice.

It was taught by subtitles, which are tidied, and follows the style of the text that it believes to
come before (https://platform.openai.com/docs/guides/speech-to-text#prompting).
"""

from typing import Final

from longscribe.options import DecodingOptions

_STYLES: Final = {
    "en": "Um, uh, I-I mean, it's, it's like, hmm, you know, er, well.",
    "pt": "Hum, é, é... eu, eu acho que, ã, né, é tipo, ahn, bom.",
    "es": "Eh, este, yo, yo creo que, mmm, o sea, es, es como, em, bueno.",
    "fr": "Euh, ben, je, je crois que, hum, c'est, c'est comme, enfin, bah.",
    "de": "Äh, ähm, ich, ich meine, hm, das, das ist so, also, na ja.",
}


def prompt_of(options: DecodingOptions, language: str | None) -> str:
    """The text before every window: the user's own, or one with hesitations if all is to be told.

    Args:
        options: of the run.
        language: that is spoken; None for a model that knows only English.
    """
    if options.initial_prompt or not options.verbatim:
        return options.initial_prompt
    told = "en" if options.task == "translate" else language or "en"
    return _STYLES.get(told, "")
