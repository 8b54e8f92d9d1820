#!/usr/bin/env bash
# Installs Chromium, its driver and a Japanese font for the browser tests: as root, where apt-get has them (Debian).
# Never fails: without a browser those tests are skipped, and in CI they fail, both with the reason.
#   local/browser.sh
set -uo pipefail
log=build/browser.log

have_browser() {
    command -v chromedriver && { command -v chromium || command -v chromium-browser || command -v google-chrome; }
} >/dev/null

if have_browser; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "No Chromium with chromedriver here, and only root on Debian gets them by itself: the browser tests cannot run."
    echo "By hand, on Debian: sudo apt-get install chromium chromium-driver fonts-ipafont-gothic"
    exit 0
fi

mkdir -p build
begun=$SECONDS
printf 'Installing chromium, chromium-driver and fonts-ipafont-gothic with apt-get (once; a minute or two) ... '
export DEBIAN_FRONTEND=noninteractive
if { apt-get update && apt-get install --yes --no-install-recommends chromium chromium-driver fonts-ipafont-gothic; } \
    >"$log" 2>&1 </dev/null && have_browser; then
    printf 'done in %d s\n' $((SECONDS - begun))
else
    # Ubuntu, for one, has Chromium as a snap only.
    printf '\napt-get could not install them (read %s): the browser tests cannot run.\n' "$log"
fi
exit 0
