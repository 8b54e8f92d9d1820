"""Contains all the data models used in inputs/outputs"""

from .account_link_answer import AccountLinkAnswer
from .account_link_request import AccountLinkRequest
from .account_link_request_kyc_data_type_0 import AccountLinkRequestKycDataType0
from .account_link_request_kyc_passport_type_0 import AccountLinkRequestKycPassportType0
from .account_link_request_redirect_type_type_0 import AccountLinkRequestRedirectTypeType0
from .authorization_expired import AuthorizationExpired
from .authorization_expired_provider import AuthorizationExpiredProvider
from .authorization_expired_webhook import AuthorizationExpiredWebhook
from .authorization_expired_webhook_data import AuthorizationExpiredWebhookData
from .authorization_expired_webhook_data_provider import AuthorizationExpiredWebhookDataProvider
from .authorization_expiring import AuthorizationExpiring
from .authorization_expiring_provider import AuthorizationExpiringProvider
from .authorization_expiring_webhook import AuthorizationExpiringWebhook
from .authorization_expiring_webhook_data import AuthorizationExpiringWebhookData
from .authorization_expiring_webhook_data_provider import AuthorizationExpiringWebhookDataProvider
from .certificate_view import CertificateView
from .certificate_view_erased import CertificateViewErased
from .change_view import ChangeView
from .changed_view import ChangedView
from .changes_view import ChangesView
from .contract_end_body import ContractEndBody
from .contract_end_view import ContractEndView
from .counts_view import CountsView
from .end_view import EndView
from .end_view_what import EndViewWhat
from .entry_view import EntryView
from .entry_view_detail import EntryViewDetail
from .erasure_body import ErasureBody
from .expiring_view import ExpiringView
from .facets_view import FacetsView
from .field_error import FieldError
from .flag import Flag
from .get_kyc_required_kyc_type import GetKycRequiredKycType
from .kyc import Kyc
from .kyc_status_changed import KycStatusChanged
from .kyc_status_changed_webhook import KycStatusChangedWebhook
from .kyc_status_changed_webhook_data import KycStatusChangedWebhookData
from .kyc_view import KycView
from .kyc_view_kyc import KycViewKyc
from .link import Link
from .lookup_request import LookupRequest
from .lookup_view import LookupView
from .malformed_row_view import MalformedRowView
from .pay_pay_status import PayPayStatus
from .pay_pay_view import PayPayView
from .problem import Problem
from .problem_code import ProblemCode
from .problem_type import ProblemType
from .provider_counts_view import ProviderCountsView
from .provider_counts_view_paypay import ProviderCountsViewPaypay
from .provider_counts_view_vexora import ProviderCountsViewVexora
from .provider_name import ProviderName
from .providers_view import ProvidersView
from .recon_completed import ReconCompleted
from .recon_completed_counts import ReconCompletedCounts
from .recon_completed_webhook import ReconCompletedWebhook
from .recon_completed_webhook_data import ReconCompletedWebhookData
from .recon_completed_webhook_data_counts import ReconCompletedWebhookDataCounts
from .recon_counts import ReconCounts
from .recon_day_view import ReconDayView
from .recon_file_view import ReconFileView
from .recon_report_view import ReconReportView
from .recon_type_view import ReconTypeView
from .resend_request_view import ResendRequestView
from .residence_period_expiring import ResidencePeriodExpiring
from .residence_period_expiring_provider import ResidencePeriodExpiringProvider
from .residence_period_expiring_webhook import ResidencePeriodExpiringWebhook
from .residence_period_expiring_webhook_data import ResidencePeriodExpiringWebhookData
from .residence_period_expiring_webhook_data_provider import ResidencePeriodExpiringWebhookDataProvider
from .standing_view import StandingView
from .status import Status
from .submission_answer import SubmissionAnswer
from .submission_request import SubmissionRequest
from .submission_stale import SubmissionStale
from .submission_stale_webhook import SubmissionStaleWebhook
from .submission_stale_webhook_data import SubmissionStaleWebhookData
from .test_webhook import TestWebhook
from .test_webhook_data import TestWebhookData
from .timeline_view import TimelineView
from .user_erased import UserErased
from .user_erased_webhook import UserErasedWebhook
from .user_erased_webhook_data import UserErasedWebhookData
from .user_view import UserView
from .users_view import UsersView
from .verified_reason import VerifiedReason
from .vexora_status import VexoraStatus
from .vexora_view import VexoraView

__all__ = (
    "AccountLinkAnswer",
    "AccountLinkRequest",
    "AccountLinkRequestKycDataType0",
    "AccountLinkRequestKycPassportType0",
    "AccountLinkRequestRedirectTypeType0",
    "AuthorizationExpired",
    "AuthorizationExpiredProvider",
    "AuthorizationExpiredWebhook",
    "AuthorizationExpiredWebhookData",
    "AuthorizationExpiredWebhookDataProvider",
    "AuthorizationExpiring",
    "AuthorizationExpiringProvider",
    "AuthorizationExpiringWebhook",
    "AuthorizationExpiringWebhookData",
    "AuthorizationExpiringWebhookDataProvider",
    "CertificateView",
    "CertificateViewErased",
    "ChangedView",
    "ChangesView",
    "ChangeView",
    "ContractEndBody",
    "ContractEndView",
    "CountsView",
    "EndView",
    "EndViewWhat",
    "EntryView",
    "EntryViewDetail",
    "ErasureBody",
    "ExpiringView",
    "FacetsView",
    "FieldError",
    "Flag",
    "GetKycRequiredKycType",
    "Kyc",
    "KycStatusChanged",
    "KycStatusChangedWebhook",
    "KycStatusChangedWebhookData",
    "KycView",
    "KycViewKyc",
    "Link",
    "LookupRequest",
    "LookupView",
    "MalformedRowView",
    "PayPayStatus",
    "PayPayView",
    "Problem",
    "ProblemCode",
    "ProblemType",
    "ProviderCountsView",
    "ProviderCountsViewPaypay",
    "ProviderCountsViewVexora",
    "ProviderName",
    "ProvidersView",
    "ReconCompleted",
    "ReconCompletedCounts",
    "ReconCompletedWebhook",
    "ReconCompletedWebhookData",
    "ReconCompletedWebhookDataCounts",
    "ReconCounts",
    "ReconDayView",
    "ReconFileView",
    "ReconReportView",
    "ReconTypeView",
    "ResendRequestView",
    "ResidencePeriodExpiring",
    "ResidencePeriodExpiringProvider",
    "ResidencePeriodExpiringWebhook",
    "ResidencePeriodExpiringWebhookData",
    "ResidencePeriodExpiringWebhookDataProvider",
    "StandingView",
    "Status",
    "SubmissionAnswer",
    "SubmissionRequest",
    "SubmissionStale",
    "SubmissionStaleWebhook",
    "SubmissionStaleWebhookData",
    "TestWebhook",
    "TestWebhookData",
    "TimelineView",
    "UserErased",
    "UserErasedWebhook",
    "UserErasedWebhookData",
    "UsersView",
    "UserView",
    "VerifiedReason",
    "VexoraStatus",
    "VexoraView",
)
