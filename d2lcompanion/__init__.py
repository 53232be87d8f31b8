"""The tested code behind a bilingual course on deep learning: one module for one idea.

`optimization`, `text` and `vision` hold the algorithms, on torch and numpy alone. `data`,
`training` and `plotting` support them; `experiments` puts both together; `cli` is the
`d2lc` command.
"""
