#!/bin/sh
# A Docker daemon of one's own, for root on a machine without one: sh tests/docker/daemon.sh DIR, until it is terminated.
#
# It has a network and a mount namespace of its own, no bridge and no packet filter, for the harness's containers use
# none of it: the machine's network is not touched. It listens at unix://DIR/docker.sock. DIR is made, and deleted at the
# end with all images and containers; its control groups go as well.
set -eu
dir=${1:?name a directory that does not exist: it is made, and deleted at the end}
mkdir "$dir"
group=rmq-dockerd-$$

# All containers together would get as much of a busy machine as one process of it, and brokers would seem to stand still.
for place in /sys/fs/cgroup/cpu /sys/fs/cgroup; do
    [ -e "$place/cpu.shares" ] || [ -e "$place/cgroup.controllers" ] || continue
    mkdir "$place/$group"
    echo 20480 >"$place/$group/cpu.shares" || echo 2000 >"$place/$group/cpu.weight" || :
    break
done 2>/dev/null

unshare --net --mount dockerd --host "unix://$dir/docker.sock" --data-root "$dir/data" --exec-root "$dir/exec" \
    --pidfile "$dir/dockerd.pid" --bridge none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false \
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$group" --log-level warn >"$dir/log" 2>&1 &
daemon=$!

ended() {
    kill "$daemon" 2>/dev/null || :
    # A signal interrupts a wait: until it is really gone.
    while kill -0 "$daemon" 2>/dev/null; do wait "$daemon" || :; done
    rm -rf "$dir"
    find /sys/fs/cgroup -maxdepth 3 -type d -name "$group" -exec rmdir {} + 2>/dev/null || :
}
trap 'ended; exit 0' TERM INT HUP
code=0
wait "$daemon" || code=$?
cat "$dir/log" >&2
ended
exit "$code"
