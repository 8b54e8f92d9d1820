from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..models.problem_code import ProblemCode
from ..models.problem_type import ProblemType
from ..models.provider_name import ProviderName
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.field_error import FieldError


T = TypeVar("T", bound="Problem")


@_attrs_define
class Problem:
    """A problem of RFC 9457. Decide by `code`: it does not change. A problem names fields and rules, but never repeats a
    value, because it may be personal.

        Attributes:
            type_ (ProblemType): `urn:honnin:problem:` and the code
            code (ProblemCode): The kind of problem; docs/api.md lists all codes. More may be added.
            title (str): A short sentence, always the same for a code
            status (int | Unset): The HTTP status
            detail (str | Unset): What is wrong in this case
            errors (list[FieldError] | Unset): For 422: each field that breaks a rule. The name of an unknown field is shown
                as `?`
            state (str | Unset): The user's present status at the provider
            submission_id (str | Unset): The id of the submission that prevents the request
            provider (ProviderName | Unset): A provider.
            provider_code (str | Unset): The code in the provider's answer
            provider_message (str | Unset): The text in the provider's answer. Each value of your request in it is replaced
                by `***`
            provider_request_id (str | Unset): The X-REQUEST-ID of PayPay's answer, for questions to PayPay's support
    """

    type_: ProblemType
    code: ProblemCode
    title: str
    status: int | Unset = UNSET
    detail: str | Unset = UNSET
    errors: list[FieldError] | Unset = UNSET
    state: str | Unset = UNSET
    submission_id: str | Unset = UNSET
    provider: ProviderName | Unset = UNSET
    provider_code: str | Unset = UNSET
    provider_message: str | Unset = UNSET
    provider_request_id: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        type_ = self.type_.value

        code = self.code.value

        title = self.title

        status = self.status

        detail = self.detail

        errors: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.errors, Unset):
            errors = []
            for errors_item_data in self.errors:
                errors_item = errors_item_data.to_dict()
                errors.append(errors_item)

        state = self.state

        submission_id = self.submission_id

        provider: str | Unset = UNSET
        if not isinstance(self.provider, Unset):
            provider = self.provider.value

        provider_code = self.provider_code

        provider_message = self.provider_message

        provider_request_id = self.provider_request_id

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "type": type_,
                "code": code,
                "title": title,
            }
        )
        if status is not UNSET:
            field_dict["status"] = status
        if detail is not UNSET:
            field_dict["detail"] = detail
        if errors is not UNSET:
            field_dict["errors"] = errors
        if state is not UNSET:
            field_dict["state"] = state
        if submission_id is not UNSET:
            field_dict["submissionId"] = submission_id
        if provider is not UNSET:
            field_dict["provider"] = provider
        if provider_code is not UNSET:
            field_dict["providerCode"] = provider_code
        if provider_message is not UNSET:
            field_dict["providerMessage"] = provider_message
        if provider_request_id is not UNSET:
            field_dict["providerRequestId"] = provider_request_id

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.field_error import FieldError  # noqa: PLC0415

        d = dict(src_dict)
        type_ = ProblemType(d.pop("type"))

        code = ProblemCode(d.pop("code"))

        title = d.pop("title")

        status = d.pop("status", UNSET)

        detail = d.pop("detail", UNSET)

        _errors = d.pop("errors", UNSET)
        errors: list[FieldError] | Unset = UNSET
        if _errors is not UNSET:
            errors = []
            for errors_item_data in _errors:
                errors_item = FieldError.from_dict(errors_item_data)

                errors.append(errors_item)

        state = d.pop("state", UNSET)

        submission_id = d.pop("submissionId", UNSET)

        _provider = d.pop("provider", UNSET)
        provider: ProviderName | Unset
        if isinstance(_provider, Unset):
            provider = UNSET
        else:
            provider = ProviderName(_provider)

        provider_code = d.pop("providerCode", UNSET)

        provider_message = d.pop("providerMessage", UNSET)

        provider_request_id = d.pop("providerRequestId", UNSET)

        problem = cls(
            type_=type_,
            code=code,
            title=title,
            status=status,
            detail=detail,
            errors=errors,
            state=state,
            submission_id=submission_id,
            provider=provider,
            provider_code=provider_code,
            provider_message=provider_message,
            provider_request_id=provider_request_id,
        )

        return problem
