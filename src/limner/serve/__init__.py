"""The server: a durable queue, one worker process that draws, and the dialects and the studio in front of them.

The server's own process never imports torch. ``service.Service`` is what every dialect talks to.
"""
