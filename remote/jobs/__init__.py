"""Jobs from request to result: a journal written before money is spent, one submit each, polling, collection."""
