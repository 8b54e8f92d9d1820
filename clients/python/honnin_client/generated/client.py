from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from .api.overview import count_users, list_changes, list_expiring, list_users, look_up_users
from .api.pay_pay import complete_kyc_passport_qr, create_account_link, get_kyc, get_kyc_passport
from .api.recon import get_recon_report
from .api.users import cancel_contract_end, erase_user, get_contract_end, get_timeline, get_user, report_contract_end
from .api.vexora import submit_to_vexora
from .models.account_link_answer import AccountLinkAnswer
from .models.account_link_request import AccountLinkRequest
from .models.certificate_view import CertificateView
from .models.changes_view import ChangesView
from .models.contract_end_body import ContractEndBody
from .models.contract_end_view import ContractEndView
from .models.counts_view import CountsView
from .models.erasure_body import ErasureBody
from .models.expiring_view import ExpiringView
from .models.get_kyc_required_kyc_type import GetKycRequiredKycType
from .models.kyc_view import KycView
from .models.lookup_request import LookupRequest
from .models.lookup_view import LookupView
from .models.provider_name import ProviderName
from .models.recon_report_view import ReconReportView
from .models.submission_answer import SubmissionAnswer
from .models.submission_request import SubmissionRequest
from .models.timeline_view import TimelineView
from .models.user_view import UserView
from .models.users_view import UsersView
from .types import UNSET, Unset

Answer = TypeVar("Answer")


class Operations(ABC):
    """A method for each operation of the merchant API. How a request is made is in `_call`."""

    @abstractmethod
    def _call(self, operation: str, request: dict[str, Any], parse: Callable[[Any], Answer]) -> Answer: ...

    def list_changes(
        self,
        *,
        from_: str | Unset = UNSET,
        to: str | Unset = UNSET,
        provider: ProviderName | Unset = UNSET,
        to_status: str | Unset = UNSET,
        limit: int | Unset = 50,
        cursor: str | Unset = UNSET,
    ) -> ChangesView:
        """List the changes of one or more days in Japan, the latest first, in pages."""
        request = list_changes.request(
            from_=from_,
            to=to,
            provider=provider,
            to_status=to_status,
            limit=limit,
            cursor=cursor,
        )
        return self._call("list_changes", request, list_changes.parse)

    def count_users(
        self,
    ) -> CountsView:
        """Count the users with each status at each provider."""
        request = count_users.request()
        return self._call("count_users", request, count_users.parse)

    def list_expiring(
        self,
        *,
        within: str | Unset = "30d",
        limit: int | Unset = 50,
        cursor: str | Unset = UNSET,
    ) -> ExpiringView:
        """List the account links (and residence periods) that end within some days, the earliest first, in pages."""
        request = list_expiring.request(
            within=within,
            limit=limit,
            cursor=cursor,
        )
        return self._call("list_expiring", request, list_expiring.parse)

    def look_up_users(
        self,
        *,
        body: LookupRequest,
    ) -> LookupView:
        """Get the status of up to 100 users at both providers. It changes nothing, although it is a POST."""
        request = look_up_users.request(
            body=body,
        )
        return self._call("look_up_users", request, look_up_users.parse)

    def list_users(
        self,
        *,
        provider: ProviderName,
        status: str,
        since: str | Unset = UNSET,
        limit: int | Unset = 50,
        cursor: str | Unset = UNSET,
    ) -> UsersView:
        """List the users who have a status at a provider now, the latest change first, in pages."""
        request = list_users.request(
            provider=provider,
            status=status,
            since=since,
            limit=limit,
            cursor=cursor,
        )
        return self._call("list_users", request, list_users.parse)

    def create_account_link(
        self,
        *,
        body: AccountLinkRequest,
    ) -> AccountLinkAnswer:
        """Create a QR with which the user links a PayPay account."""
        request = create_account_link.request(
            body=body,
        )
        return self._call("create_account_link", request, create_account_link.parse)

    def complete_kyc_passport_qr(
        self,
        code_id: str,
    ) -> KycView:
        """Fetch the KYC information of a completed KYC Passport QR."""
        request = complete_kyc_passport_qr.request(
            code_id=code_id,
        )
        return self._call("complete_kyc_passport_qr", request, complete_kyc_passport_qr.parse)

    def get_kyc(
        self,
        user_id: str,
        *,
        required_kyc_type: GetKycRequiredKycType | Unset = UNSET,
    ) -> KycView:
        """Retrieve the user's KYC information."""
        request = get_kyc.request(
            user_id=user_id,
            required_kyc_type=required_kyc_type,
        )
        return self._call("get_kyc", request, get_kyc.parse)

    def get_kyc_passport(
        self,
        user_id: str,
    ) -> KycView:
        """Retrieve the user's KYC information for KYC Passport clients."""
        request = get_kyc_passport.request(
            user_id=user_id,
        )
        return self._call("get_kyc_passport", request, get_kyc_passport.parse)

    def get_recon_report(
        self,
        date: str,
    ) -> ReconReportView:
        """Get the recon files of a day in Japan: their contents, the missed webhooks, and the statuses corrected so far."""
        request = get_recon_report.request(
            date=date,
        )
        return self._call("get_recon_report", request, get_recon_report.parse)

    def get_user(
        self,
        user_id: str,
    ) -> UserView:
        """Get a user's status at each provider."""
        request = get_user.request(
            user_id=user_id,
        )
        return self._call("get_user", request, get_user.parse)

    def get_contract_end(
        self,
        user_id: str,
    ) -> ContractEndView:
        """Whether the end of a user's contract was reported, and until when the user's data is kept."""
        request = get_contract_end.request(
            user_id=user_id,
        )
        return self._call("get_contract_end", request, get_contract_end.parse)

    def report_contract_end(
        self,
        user_id: str,
        *,
        body: ContractEndBody,
    ) -> ContractEndView:
        """Report when a user's contract ended. The latest report counts."""
        request = report_contract_end.request(
            user_id=user_id,
            body=body,
        )
        return self._call("report_contract_end", request, report_contract_end.parse)

    def cancel_contract_end(
        self,
        user_id: str,
    ) -> ContractEndView:
        """Report that a user's contract goes on."""
        request = cancel_contract_end.request(
            user_id=user_id,
        )
        return self._call("cancel_contract_end", request, cancel_contract_end.parse)

    def erase_user(
        self,
        user_id: str,
        *,
        body: ErasureBody | Unset = UNSET,
        unlink: bool | Unset = False,
    ) -> CertificateView:
        """Erase a user's personal data. A repeated call returns the same certificate."""
        request = erase_user.request(
            user_id=user_id,
            body=body,
            unlink=unlink,
        )
        return self._call("erase_user", request, erase_user.parse)

    def get_timeline(
        self,
        user_id: str,
        *,
        limit: int | Unset = 50,
        cursor: str | Unset = UNSET,
    ) -> TimelineView:
        """Get a user's timeline, newest first, in pages."""
        request = get_timeline.request(
            user_id=user_id,
            limit=limit,
            cursor=cursor,
        )
        return self._call("get_timeline", request, get_timeline.parse)

    def submit_to_vexora(
        self,
        *,
        body: SubmissionRequest,
        idempotency_key: str | Unset = UNSET,
    ) -> SubmissionAnswer:
        """Submit a user to Vexora. The answer is 201, or 202 if Vexora did not answer in time."""
        request = submit_to_vexora.request(
            body=body,
            idempotency_key=idempotency_key,
        )
        return self._call("submit_to_vexora", request, submit_to_vexora.parse)


class AsyncOperations(ABC):
    """A method for each operation of the merchant API. How a request is made is in `_call`."""

    @abstractmethod
    async def _call(self, operation: str, request: dict[str, Any], parse: Callable[[Any], Answer]) -> Answer: ...

    async def list_changes(
        self,
        *,
        from_: str | Unset = UNSET,
        to: str | Unset = UNSET,
        provider: ProviderName | Unset = UNSET,
        to_status: str | Unset = UNSET,
        limit: int | Unset = 50,
        cursor: str | Unset = UNSET,
    ) -> ChangesView:
        """List the changes of one or more days in Japan, the latest first, in pages."""
        request = list_changes.request(
            from_=from_,
            to=to,
            provider=provider,
            to_status=to_status,
            limit=limit,
            cursor=cursor,
        )
        return await self._call("list_changes", request, list_changes.parse)

    async def count_users(
        self,
    ) -> CountsView:
        """Count the users with each status at each provider."""
        request = count_users.request()
        return await self._call("count_users", request, count_users.parse)

    async def list_expiring(
        self,
        *,
        within: str | Unset = "30d",
        limit: int | Unset = 50,
        cursor: str | Unset = UNSET,
    ) -> ExpiringView:
        """List the account links (and residence periods) that end within some days, the earliest first, in pages."""
        request = list_expiring.request(
            within=within,
            limit=limit,
            cursor=cursor,
        )
        return await self._call("list_expiring", request, list_expiring.parse)

    async def look_up_users(
        self,
        *,
        body: LookupRequest,
    ) -> LookupView:
        """Get the status of up to 100 users at both providers. It changes nothing, although it is a POST."""
        request = look_up_users.request(
            body=body,
        )
        return await self._call("look_up_users", request, look_up_users.parse)

    async def list_users(
        self,
        *,
        provider: ProviderName,
        status: str,
        since: str | Unset = UNSET,
        limit: int | Unset = 50,
        cursor: str | Unset = UNSET,
    ) -> UsersView:
        """List the users who have a status at a provider now, the latest change first, in pages."""
        request = list_users.request(
            provider=provider,
            status=status,
            since=since,
            limit=limit,
            cursor=cursor,
        )
        return await self._call("list_users", request, list_users.parse)

    async def create_account_link(
        self,
        *,
        body: AccountLinkRequest,
    ) -> AccountLinkAnswer:
        """Create a QR with which the user links a PayPay account."""
        request = create_account_link.request(
            body=body,
        )
        return await self._call("create_account_link", request, create_account_link.parse)

    async def complete_kyc_passport_qr(
        self,
        code_id: str,
    ) -> KycView:
        """Fetch the KYC information of a completed KYC Passport QR."""
        request = complete_kyc_passport_qr.request(
            code_id=code_id,
        )
        return await self._call("complete_kyc_passport_qr", request, complete_kyc_passport_qr.parse)

    async def get_kyc(
        self,
        user_id: str,
        *,
        required_kyc_type: GetKycRequiredKycType | Unset = UNSET,
    ) -> KycView:
        """Retrieve the user's KYC information."""
        request = get_kyc.request(
            user_id=user_id,
            required_kyc_type=required_kyc_type,
        )
        return await self._call("get_kyc", request, get_kyc.parse)

    async def get_kyc_passport(
        self,
        user_id: str,
    ) -> KycView:
        """Retrieve the user's KYC information for KYC Passport clients."""
        request = get_kyc_passport.request(
            user_id=user_id,
        )
        return await self._call("get_kyc_passport", request, get_kyc_passport.parse)

    async def get_recon_report(
        self,
        date: str,
    ) -> ReconReportView:
        """Get the recon files of a day in Japan: their contents, the missed webhooks, and the statuses corrected so far."""
        request = get_recon_report.request(
            date=date,
        )
        return await self._call("get_recon_report", request, get_recon_report.parse)

    async def get_user(
        self,
        user_id: str,
    ) -> UserView:
        """Get a user's status at each provider."""
        request = get_user.request(
            user_id=user_id,
        )
        return await self._call("get_user", request, get_user.parse)

    async def get_contract_end(
        self,
        user_id: str,
    ) -> ContractEndView:
        """Whether the end of a user's contract was reported, and until when the user's data is kept."""
        request = get_contract_end.request(
            user_id=user_id,
        )
        return await self._call("get_contract_end", request, get_contract_end.parse)

    async def report_contract_end(
        self,
        user_id: str,
        *,
        body: ContractEndBody,
    ) -> ContractEndView:
        """Report when a user's contract ended. The latest report counts."""
        request = report_contract_end.request(
            user_id=user_id,
            body=body,
        )
        return await self._call("report_contract_end", request, report_contract_end.parse)

    async def cancel_contract_end(
        self,
        user_id: str,
    ) -> ContractEndView:
        """Report that a user's contract goes on."""
        request = cancel_contract_end.request(
            user_id=user_id,
        )
        return await self._call("cancel_contract_end", request, cancel_contract_end.parse)

    async def erase_user(
        self,
        user_id: str,
        *,
        body: ErasureBody | Unset = UNSET,
        unlink: bool | Unset = False,
    ) -> CertificateView:
        """Erase a user's personal data. A repeated call returns the same certificate."""
        request = erase_user.request(
            user_id=user_id,
            body=body,
            unlink=unlink,
        )
        return await self._call("erase_user", request, erase_user.parse)

    async def get_timeline(
        self,
        user_id: str,
        *,
        limit: int | Unset = 50,
        cursor: str | Unset = UNSET,
    ) -> TimelineView:
        """Get a user's timeline, newest first, in pages."""
        request = get_timeline.request(
            user_id=user_id,
            limit=limit,
            cursor=cursor,
        )
        return await self._call("get_timeline", request, get_timeline.parse)

    async def submit_to_vexora(
        self,
        *,
        body: SubmissionRequest,
        idempotency_key: str | Unset = UNSET,
    ) -> SubmissionAnswer:
        """Submit a user to Vexora. The answer is 201, or 202 if Vexora did not answer in time."""
        request = submit_to_vexora.request(
            body=body,
            idempotency_key=idempotency_key,
        )
        return await self._call("submit_to_vexora", request, submit_to_vexora.parse)
