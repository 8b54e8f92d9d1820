"""Which of the stack's managed policies allow a command (docs/security.md, "Roles")."""

from collections.abc import Mapping

from honninctl.language import _

READER, OFFICER, OPERATOR, MAINTENANCE = "ReaderPolicy", "OfficerPolicy", "OperatorPolicy", "MaintenancePolicy"

# By command, with whatever options. tests/template/test_roles.py compares this with the policies themselves. A command
# that is not here is for administrators.
ALLOWED_BY: Mapping[str, tuple[str, ...]] = {
    "status": (READER, OFFICER, OPERATOR),
    "timeline": (READER, OFFICER, OPERATOR),
    "access": (OFFICER, MAINTENANCE),
    "users": (OFFICER,),
    "counts": (OFFICER,),
    "changes": (OFFICER,),
    "expiring": (OFFICER,),
    "register": (OFFICER,),
    "registers list": (OFFICER,),
    "registers get": (OFFICER,),
    "submissions": (OFFICER,),
    "export": (OFFICER,),
    "contract-end": (OFFICER,),
    "contract-ends": (OFFICER, OPERATOR),
    "erase": (OFFICER,),
    "reread": (OPERATOR,),
    "rereads list": (OPERATOR,),
    "rereads show": (OPERATOR,),
    "rereads pause": (OPERATOR,),
    "rereads resume": (OPERATOR,),
    "repairs status": (OPERATOR,),
    "repairs stop": (OPERATOR,),
    "repairs resume": (OPERATOR,),
    "recon DAY": (OPERATOR,),
    "recon compare": (OPERATOR,),
    "recon calendar": (OFFICER, OPERATOR, MAINTENANCE),
    "deadletters list": (OPERATOR,),
    "deadletters show": (OPERATOR,),
    "deadletters redrive": (OPERATOR,),
    "webhooks test": (OPERATOR,),
    "webhooks list": (OPERATOR,),
    "webhooks redrive": (OPERATOR,),
    "webhooks rotate": (MAINTENANCE,),
    "events replay": (OPERATOR,),
    "reindex": (MAINTENANCE,),
    "restore": (MAINTENANCE,),
    "rotate-callback-key": (MAINTENANCE,),
    "doctor": (OPERATOR,),
    # Of AWS it asks for the stack's description only, and of the local stack alone.
    **dict.fromkeys(
        (f"trigger {each}" for each in ("kyc", "risk", "account-status", "vexora-result", "recon-night")),
        (READER, OFFICER, OPERATOR, MAINTENANCE),
    ),
    "console": (OPERATOR,),
}


def advice(command: str) -> str:
    """What somebody does about it whom AWS does not let do this."""
    if allowed := ALLOWED_BY.get(command):
        policies = _(" or ").join(allowed)
        return _("the stack's {policies} allows this command (docs/security.md#roles)").format(policies=policies)
    return _("no policy of the stack allows this command, it is for administrators (docs/security.md#roles)")
