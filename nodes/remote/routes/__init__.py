"""Routes behind the settings page: keys and budgets, which no graph may set."""
