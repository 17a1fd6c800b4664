"""The tiny model of the model tests."""

from tests.larimar.conftest import tiny, tiny_checkpoint, tiny_model

__all__ = ["tiny", "tiny_checkpoint", "tiny_model"]
