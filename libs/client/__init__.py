"""The Python SDK: sign in, hold a socket that survives any cut, send, receive and sync.

Start at `libs.client.client.Client`; the rules alone, without I/O, are `libs.client.state`.
"""
