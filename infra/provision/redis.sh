#!/bin/sh
# Provisions a real Redis under DIR/redis, so that the suites can be run against it: redis.sh DIR
#
# A redis-server on PATH is taken as it is. On Debian and its relatives the packages are downloaded and
# unpacked into DIR, without root and without installing or starting anything. Elsewhere the reason is
# written to DIR/redis/missing, and the suites say that they were skipped.
set -eu

mkdir -p "$1/redis"
folder=$(cd "$1/redis" && pwd)
program=$folder/redis-server
packages="redis-server redis-tools libatomic1 libjemalloc2 liblzf1"

give_up() {
    printf '%s\n' "$1" >"$folder/missing"
    echo "No Redis here: $1" >&2
    exit 0
}

if [ -x "$program" ] && "$program" --version >/dev/null 2>&1; then
    exit 0
fi
rm -rf "$program" "$folder/missing" "$folder/root" "$folder/packages"

if found=$(command -v redis-server); then
    ln -s "$found" "$program"
    exit 0
fi
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    give_up "there is no redis-server on PATH, and this is no Debian whose package could be unpacked"

mkdir -p "$folder/packages" "$folder/root"
cd "$folder"
fetch() {
    # shellcheck disable=SC2086 # several package names on purpose
    (cd packages && apt-get download -o APT::Sandbox::User=root $packages) >fetch.log 2>&1 </dev/null
}
if ! fetch; then
    # Old or missing package lists: only root can renew them.
    [ "$(id -u)" = 0 ] && apt-get update >update.log 2>&1 </dev/null || true
    fetch || give_up "its package could not be downloaded (see $folder/fetch.log)"
fi
for package in packages/*.deb; do
    dpkg-deb -x "$package" root
done
libraries=$(dirname "$(find "$folder/root/usr/lib" -name 'liblzf.so.*' | head -n 1)")
cat >redis-server <<END
#!/bin/sh
LD_LIBRARY_PATH=$libraries exec $folder/root/usr/bin/redis-server "\$@"
END
chmod +x redis-server
./redis-server --version >version 2>&1 || give_up "the unpacked program does not start: $(head -n 1 version)"
cat version
