"""The shelf "Animate": find people, and draw what Wan 2.2 Animate takes."""
