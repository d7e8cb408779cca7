"""Where messaging is asked: HTTP, WebSocket, and the streams of other services."""
