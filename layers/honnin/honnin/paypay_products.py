"""Which KYC read of PayPay's fits what a user agreed to."""

from collections.abc import Collection, Mapping

from honnin.status import KycProduct

# Base document: the scope that each read requires.
SCOPE_OF: Mapping[KycProduct, str] = {
    KycProduct.KYC_INFO: "get_kyc_info",
    KycProduct.KYC_PASSPORT: "mini_app_kyc_passport",
    KycProduct.KYC_PASSPORT_QR: "kyc_passport_qr",
}


def product_for(scopes: Collection[str], *, has_code: bool, passport_only: bool = False) -> KycProduct | None:
    """The KYC read that fits these scopes, or None. A risk is told by the KYC Passport reads only.

    `has_code`: a KYC Passport QR led to the link, and its code and PKCE verifier are there.
    """
    if SCOPE_OF[KycProduct.KYC_PASSPORT] in scopes:
        return KycProduct.KYC_PASSPORT
    if SCOPE_OF[KycProduct.KYC_PASSPORT_QR] in scopes and has_code:
        return KycProduct.KYC_PASSPORT_QR
    if SCOPE_OF[KycProduct.KYC_INFO] in scopes and not passport_only:
        return KycProduct.KYC_INFO
    return None
