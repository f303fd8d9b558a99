"""LoRAs on the pair: which file goes to which expert, what it will change, and the change itself."""
