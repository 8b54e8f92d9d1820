"""Which KYC reads of PayPay's fit what a user agreed to."""

from collections.abc import Collection, Mapping

from honnin.status import KycProduct

# Base document: the scope that each read requires.
SCOPE_OF: Mapping[KycProduct, str] = {
    KycProduct.KYC_INFO: "get_kyc_info",
    KycProduct.KYC_PASSPORT: "mini_app_kyc_passport",
    KycProduct.KYC_PASSPORT_QR: "kyc_passport_qr",
}


def products_for(scopes: Collection[str], *, has_code: bool, passport_only: bool = False) -> list[KycProduct]:
    """The KYC reads that fit these scopes, the best one first. Only the KYC Passport reads can answer about a risk.

    `has_code`: the link came from a KYC Passport QR, and its code and PKCE verifier are known.
    """
    possible = {
        KycProduct.KYC_PASSPORT: True,
        KycProduct.KYC_PASSPORT_QR: has_code,
        KycProduct.KYC_INFO: not passport_only,
    }
    return [each for each, fits in possible.items() if fits and SCOPE_OF[each] in scopes]
