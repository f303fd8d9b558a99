"""HTTP to strangers: public addresses only, capped sizes and times, checked content."""
