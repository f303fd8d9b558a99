"""Wan Duet: the entry point ComfyUI loads."""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    """The pack's extension; imported here so that importing this file needs no host."""
    from .nodes import WanDuetExtension

    return WanDuetExtension()
