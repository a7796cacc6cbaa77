"""The demonstration: clips rendered from two public-domain portraits, and questions asked of them."""
