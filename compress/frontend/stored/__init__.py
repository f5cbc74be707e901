"""Checkpoint files as data: what is in one is read without importing, calling or allocating
anything that the file asks for.

Tensors are only described (`StoredTensor`) until a network takes them, classes are only named
(`Name`), and objects keep what was stored of them (`Instance`). Every size is checked before
anything of it is read.
"""
