"""Every socket type of the pack."""

from comfy_api.latest import io

WanExperts = io.Custom("WAN_EXPERTS")
WanPlan = io.Custom("WAN_PLAN")
WanLoras = io.Custom("WAN_LORAS")
WanFrames = io.Custom("WAN_FRAMES")
WanPose = io.Custom("WAN_POSE")
WanDetector = io.Custom("WAN_DETECTOR")
PoseKeypoint = io.Custom("POSE_KEYPOINT")
BoundingBox = io.Custom("BOUNDING_BOX")
