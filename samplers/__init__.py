"""One continuous sampling run over two experts: the plan, the guider, and how sigmas are spaced."""
