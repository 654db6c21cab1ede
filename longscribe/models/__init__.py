"""The forms people hold Whisper models in, and the places where models are found."""
