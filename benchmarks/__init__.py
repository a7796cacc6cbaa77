"""Measurements of what this project claims, one script a claim."""
