"""Plotting: one style for the whole book, and figures whose content can be compared as text."""
