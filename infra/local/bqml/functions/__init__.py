"""The ML.* table functions, grouped by what they tell."""
