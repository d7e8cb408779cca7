"""What the world learns of each error."""

from typing import Final

from libs.host.problems import ProblemRow, ProblemTable
from services.identity.domain import errors

_NOT_FOUND: Final = "urn:problem:not-found"

PROBLEMS: Final[ProblemTable] = {
    errors.NotFound: ProblemRow(404, _NOT_FOUND, "Not found"),
    errors.SignInRefused: ProblemRow(401, "urn:problem:sign-in-refused", "The sign-in was refused"),
    errors.SignInThrottled: ProblemRow(429, "urn:problem:sign-in-throttled", "Too many tries"),
    errors.SessionEnded: ProblemRow(401, "urn:problem:session-ended", "Sign in again"),
    errors.SigningUnavailable: ProblemRow(503, "urn:problem:unavailable", "Try again later"),
    errors.ScimTokenRefused: ProblemRow(401, "urn:problem:unauthenticated", "Sign in"),
    errors.SlugTaken: ProblemRow(409, "urn:problem:slug-taken", "Another tenant has this slug"),
    errors.SlugRefused: ProblemRow(
        422,
        "urn:problem:slug-refused",
        "This is no slug",
        "A slug is 2 to 40 characters of a-z, 0-9 and inner hyphens.",
    ),
    errors.RoleUnknown: ProblemRow(422, "urn:problem:role-unknown", "There is no such role"),
    errors.PasswordRefused: ProblemRow(
        422,
        "urn:problem:password-refused",
        "This password cannot be set",
        "A password has 8 to 1,024 characters, and its tenant must allow signing in by password.",
    ),
    errors.InvalidSyntax: ProblemRow(400, "urn:problem:scim-invalid-syntax", "Invalid syntax", "{detail}"),
    errors.InvalidValue: ProblemRow(400, "urn:problem:scim-invalid-value", "Invalid value", "{detail}"),
    errors.InvalidFilter: ProblemRow(400, "urn:problem:scim-invalid-filter", "Invalid filter", "{detail}"),
    errors.InvalidPath: ProblemRow(400, "urn:problem:scim-invalid-path", "Invalid path", "{detail}"),
    errors.NoTarget: ProblemRow(400, "urn:problem:scim-no-target", "No target", "{detail}"),
    errors.NotMutable: ProblemRow(400, "urn:problem:scim-mutability", "Not mutable", "{detail}"),
    errors.NotUnique: ProblemRow(
        409, "urn:problem:scim-uniqueness", "Not unique", "Another user has this {attribute}."
    ),
    errors.VersionMismatch: ProblemRow(
        412, "urn:problem:version-mismatch", "The resource has changed", "The version does not match."
    ),
}
