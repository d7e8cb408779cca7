"""What can go wrong between an application and the platform."""

from libs.contracts.problems import Problem


class ClientError(Exception):
    """Any refusal or failure that the SDK reports; its text is one sentence."""


class Unreachable(ClientError):
    """The platform did not answer, or what answered was not the platform."""


class Refused(ClientError):
    """The platform answered with a problem document."""

    def __init__(self, problem: Problem) -> None:
        """Carry the whole `problem`; the text is its title and detail."""
        super().__init__(f"{problem.title}: {problem.detail}" if problem.detail else problem.title)
        self.problem = problem


class SendRefused(Refused):
    """A message will never be accepted as it is; nothing of it was stored."""


class SignedOut(ClientError):
    """The session is over (revoked, expired or never there): sign in again."""
