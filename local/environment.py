"""The environments of the programs that we start: nothing of the developer's AWS set-up may reach them."""

import os
from pathlib import Path

from local.paths import TOOLS

REGION = "ap-northeast-1"

DEPLOYER_KEY_ID = "test"
"""ministack's root key (its only choice of name that needs no further set-up)."""

DEPLOYER_SECRET = "local-deployer"

_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}


def bare(home: Path, *, venv: Path) -> dict[str, str]:
    """A new environment for a server of ours; `home` is its HOME and holds its temporary files."""
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.defpath}",
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def sam(*, endpoint: str | None = None) -> dict[str, str]:
    """The environment of `sam`: the developer's, without AWS and SAM settings.

    `sam build` fetches packages and so keeps the proxies; with an `endpoint` (deploying) they go too, because
    everything is on the loopback address.
    """
    dropped = _PROXIES if endpoint else set()
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "SAM_", "PYTHON")) and name.lower() not in dropped
    }
    env |= {
        "PATH": f"{TOOLS / 'bin'}{os.pathsep}{env.get('PATH', os.defpath)}",
        "SAM_CLI_TELEMETRY": "0",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if endpoint:
        env |= {
            # Seconds between two looks at the deployment: 5 is for AWS, which limits calls.
            "SAM_CLI_POLL_DELAY": "0.3",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": DEPLOYER_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": DEPLOYER_SECRET,
        }
    return env
