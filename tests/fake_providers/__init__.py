"""Stand-ins for Runware, fal and Rivya that speak their wires; written from the documents, not from the pack."""
