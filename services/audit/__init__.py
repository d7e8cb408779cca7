"""The append-only, publicly verifiable log: every act has its entry, and anybody can check that."""
