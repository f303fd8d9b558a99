"""What each provider documents: parameters, rules, prices, and whether a request keeps to them."""
