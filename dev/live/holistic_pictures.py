"""Detections of MediaPipe's Holistic in single pictures, as JSON: holistic_pictures.py PICTURE…

For each picture its parts, every one with its points as x, y in pixels, or null where nothing was found.
"""

from __future__ import annotations

import json
import sys

import mediapipe
import numpy as np
from holistic import PARTS, places
from PIL import Image

if __name__ == "__main__":
    detector = mediapipe.solutions.holistic.Holistic(static_image_mode=True, model_complexity=1)
    found = []
    for path in sys.argv[1:]:
        image = np.array(Image.open(path).convert("RGB"))
        seen, (height, width) = detector.process(image), image.shape[:2]
        found.append({part: places(getattr(seen, f"{part}_landmarks"), width, height) for part in PARTS})
    print(json.dumps(found))
