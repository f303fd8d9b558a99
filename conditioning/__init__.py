"""Conditioning besides text: sizes, lengths, frame images, a source video."""
