# Where Chromium is, or can be had; to be sourced by the scripts that drive it. They set `work` before, a directory for the log.

# Finds Chromium; sets `CHROMIUM`.
find_chromium() {
  local name
  for name in "${CHROMIUM:-}" chromium-headless-shell chromium chromium-browser google-chrome google-chrome-stable; do
    [ -n "$name" ] && CHROMIUM=$(command -v "$name") && export CHROMIUM && return
  done
  return 1
}

# Installs it, and with it the packages that are named.
install_chromium() {
  local sudo=()
  [ "$(id -u)" = 0 ] || sudo=(sudo -n)
  command -v apt-get >/dev/null || return 1
  echo "installing Chromium"
  {
    "${sudo[@]}" apt-get update
    "${sudo[@]}" apt-get install -y --no-install-recommends chromium-headless-shell "$@" \
      || "${sudo[@]}" apt-get install -y --no-install-recommends chromium "$@"
  } >"$work/chromium.log" 2>&1 </dev/null
}
