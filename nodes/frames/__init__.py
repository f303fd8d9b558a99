"""The shelf "Frames": sizes, frame images, and videos to start from."""
