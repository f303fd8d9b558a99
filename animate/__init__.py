"""People in pictures: found, followed, drawn as Wan 2.2 Animate wants to see them."""
