"""Model packs: what weights there are, where they come from, whether they are whole, and who may use them."""
