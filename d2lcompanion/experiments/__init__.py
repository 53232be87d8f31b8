"""Experiments that scale: each composes algorithms of the topics with data and the runner."""
