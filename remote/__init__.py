"""Paid generations at Runware, fal and Rivya: contracts, one submit for each job, a journal, safe downloads."""
