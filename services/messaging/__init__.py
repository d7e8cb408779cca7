"""Messaging: conversations, the conversation log, sockets, receipts and sync."""
