"""The pair of Wan 2.2 transformers: which checkpoint is which, who holds the weights, what is applied to them."""
