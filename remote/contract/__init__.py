"""The providers' documents as data: parameters, rules, prices, and a check of requests against them."""
