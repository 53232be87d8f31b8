"""Optimization: test functions and update rules, pure functions of tensors."""
