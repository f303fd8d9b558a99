"""What a run is made from besides words: sizes, lengths, frame images, another video."""
