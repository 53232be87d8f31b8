"""Stands for the chapters of `_toc.yml`; conftest.py beside it collects them."""
