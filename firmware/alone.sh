# To be read by scripts that change the checkout or the machine: one of them at a time. Another
# waits and says for whom. The lock is the kernel's and ends with its process.
alone=.setup.lock
if command -v flock >/dev/null 2>&1 && exec 9>>"$alone"; then
    if ! flock -n 9; then
        echo "waiting until set-up ends, process $(cat "$alone.by" 2>/dev/null)" >&2
        flock 9
    fi
    echo "$$ since $(date '+%F %T')" >"$alone.by"
fi
