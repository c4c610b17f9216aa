"""How the settings of a served model are searched: pure decisions, measured by others.

A setting is max_batch_size x instances x queue delay x threads. The search is a pattern search on the grid
of powers of two (Hooke and Jeeves, Journal of the ACM 8, 1961; Triton's Model Analyzer too, as "quick"): it
starts where `start` computes, steps to the better neighbour, skips what cannot be better (`pruning`), and
measures its finalists again for longer (successive halving: Jamieson and Talwalkar, AISTATS 2016).
"""
