"""The shelf "Experts": load the pair, put LoRAs on it."""
