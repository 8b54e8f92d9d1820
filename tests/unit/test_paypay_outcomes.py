"""`honnin.paypay.outcomes`: the code tables of the base document, one line each, and codes that it does not know."""

import pytest

from honnin.errors import (
    MaintenanceError,
    NotUnderstoodError,
    PassportNotCompletedError,
    ProviderConfigurationError,
    ProviderError,
    ProviderRefusedError,
    ProviderUnavailableError,
    RateLimitedError,
    SessionNotFoundError,
    UserAnswerError,
)
from honnin.paypay import outcomes
from honnin.status import RESULT_CODES, CallOutcome

# Base document, "Response code list" and the tables under it; the last one is from docs/providers.md §1.2.
TABLE: tuple[tuple[int, str, type[ProviderError]], ...] = (
    (400, "INVALID_REQUEST_PARAMS", ProviderRefusedError),
    (400, "MISSING_REQUEST_PARAMS", ProviderRefusedError),
    (400, "INVALID_PARAMS", ProviderRefusedError),
    (400, "CANCELED_USER", UserAnswerError),
    (401, "UNAUTHORIZED", ProviderConfigurationError),
    (401, "OP_OUT_OF_SCOPE", ProviderConfigurationError),
    (401, "INVALID_USER_AUTHORIZATION_ID", UserAnswerError),
    (401, "EXPIRED_USER_AUTHORIZATION_ID", UserAnswerError),
    (401, "USER_STATE_IS_NOT_ACTIVE", UserAnswerError),
    (429, "RATE_LIMIT", RateLimitedError),
    (500, "SERVICE_ERROR", ProviderUnavailableError),
    (500, "INTERNAL_SERVER_ERROR", ProviderUnavailableError),
    (503, "MAINTENANCE_MODE", MaintenanceError),
    (202, "REQUEST_ACCEPTED", ProviderUnavailableError),
    (400, "KYC_NOT_COMPLETED", UserAnswerError),
    (400, "NON_EKYC_USER", UserAnswerError),
    (400, "UNACCEPTABLE_OP", UserAnswerError),
    (400, "KYC_UPDATE_REQUIRED", UserAnswerError),
    (404, "SESSION_NOT_FOUND", SessionNotFoundError),
    (400, "KYC_PASSPORT_NOT_COMPLETED", PassportNotCompletedError),
    (400, "EXPECTATION_FAILED", ProviderConfigurationError),
)
BY_CLASS: tuple[tuple[int, type[ProviderError]], ...] = (
    (400, ProviderRefusedError),
    (401, ProviderConfigurationError),
    (409, ProviderRefusedError),
    (408, ProviderUnavailableError),
    (429, RateLimitedError),
    (500, ProviderUnavailableError),
    (502, ProviderUnavailableError),
    (503, ProviderUnavailableError),
    (504, ProviderUnavailableError),
    (302, NotUnderstoodError),
    (200, NotUnderstoodError),
    (204, NotUnderstoodError),
    (202, ProviderUnavailableError),
)


def made(http_status: int, code: str | None) -> ProviderError:
    return outcomes.error(http_status=http_status, code=code, message="sorry", request_id="OPA1")


@pytest.mark.parametrize(("http_status", "code", "kind"), TABLE, ids=[code for _, code, _ in TABLE])
def test_every_code_of_the_document_has_its_type(http_status: int, code: str, kind: type[ProviderError]) -> None:
    error = made(http_status, code)

    assert type(error) is kind
    assert (error.http_status, error.code, error.request_id) == (http_status, code, "OPA1")
    assert error.retryable is issubclass(kind, ProviderUnavailableError)


@pytest.mark.parametrize(("http_status", "code", "kind"), TABLE, ids=[code for _, code, _ in TABLE])
def test_a_known_code_wins_over_the_http_status(http_status: int, code: str, kind: type[ProviderError]) -> None:
    assert type(made(418, code)) is kind


@pytest.mark.parametrize("code", ["A_NEW_CODE", "unauthorized", None])
@pytest.mark.parametrize(("http_status", "kind"), BY_CLASS)
def test_an_unknown_code_is_kept_and_goes_by_its_http_class(
    http_status: int, kind: type[ProviderError], code: str | None
) -> None:
    error = made(http_status, code)

    assert type(error) is kind
    assert error.code == code


def test_the_one_table_has_exactly_the_codes_of_the_document() -> None:
    assert set(RESULT_CODES) == {code for _, code, _ in TABLE}
    assert set(CallOutcome) == {meaning for meaning in RESULT_CODES.values() if isinstance(meaning, CallOutcome)}


def test_every_answer_about_the_user_says_a_facet_and_only_those() -> None:
    about_users = {code for code, meaning in RESULT_CODES.items() if not isinstance(meaning, CallOutcome)}
    assert about_users == {code for _, code, kind in TABLE if kind is UserAnswerError}


@pytest.mark.parametrize(
    ("http_status", "code", "is_answer"),
    [
        (200, "SUCCESS", True),
        (201, "SUCCESS", True),
        (200, "KYC_UNDER_REVIEW", True),
        (204, "A_NEW_CODE", True),
        (202, "SUCCESS", False),
        (202, "REQUEST_ACCEPTED", False),
        (200, "REQUEST_ACCEPTED", False),
        (200, "KYC_NOT_COMPLETED", False),
        (200, None, False),
        (302, "SUCCESS", False),
        (400, "A_NEW_CODE", False),
    ],
)
def test_what_a_kyc_read_takes_for_an_answer(http_status: int, code: str | None, is_answer: bool) -> None:
    assert outcomes.is_kyc_answer(http_status, code) is is_answer


@pytest.mark.parametrize("code", [code for _, code, _ in TABLE] + ["SUCCESS", None])
def test_too_many_requests_is_that_whatever_the_code(code: str | None) -> None:
    assert type(made(429, code)) is RateLimitedError


@pytest.mark.parametrize("code", [code for _, code, _ in TABLE] + ["SUCCESS", "A_NEW_CODE", None])
def test_a_202_waits_whatever_the_code(code: str | None) -> None:
    assert type(made(202, code)) is ProviderUnavailableError
    assert not outcomes.is_success(202, code)


@pytest.mark.parametrize("http_status", [302, 400, 401, 403, 404, 409])
def test_a_refusal_that_says_success_contradicts_itself(http_status: int) -> None:
    assert type(made(http_status, "SUCCESS")) is NotUnderstoodError
