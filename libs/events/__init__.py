"""Events between services: outbox, publisher, projector, worker and replay."""
