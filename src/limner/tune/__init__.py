"""Adapting a pre-trained model to one's own subject or style with a LoRA (Hu et al. 2021, arXiv:2106.09685).

``tune`` plans and trains; ``pictures`` and ``words`` read what it trains on; ``file`` writes what other programs read.
Only ``settings``, ``pictures``, ``words``, ``told`` and ``plot`` are torch-free.
"""
