# shellcheck shell=bash
# What examples/run, tests/run and benchmarks/run share: packages, builds, timings. Sourced, not run.

levee_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
levee_jobs=$(nproc 2>/dev/null || echo 2)
# What the library, all adapters included, and its examples are built with.
levee_packages=(g++ cmake ninja-build ccache libboost1.81-dev libsqlite3-dev libhiredis-dev libpq-dev libssl-dev libzstd-dev
                redis-tools zlib1g-dev libcli11-dev)
readonly levee_root levee_jobs levee_packages

say() { printf '== %s\n' "$*" >&2; }

# need_packages NAME...: installs the Debian packages that are missing; with all there, touches nothing.
need_packages() {
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        say "not a Debian system: going on with what is installed; Debian would need: $*"
        return 0
    fi
    local package missing=()
    for package in "$@"; do
        [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
            missing+=("$package")
    done
    ((${#missing[@]})) || return 0

    local as_root=()
    if ((EUID != 0)); then
        if ! command -v sudo >/dev/null; then
            say "missing packages and no sudo; as root: apt-get install ${missing[*]}"
            return 1
        fi
        as_root=(sudo)
    fi
    say "installing ${missing[*]}"
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y
               -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0)
    local log
    log=$(mktemp)
    # A broken third-party list must not stop us while Debian's own lists are good.
    "${apt[@]}" update >"$log" 2>&1 || say "apt-get update complained; trying to install all the same"
    if ! "${apt[@]}" install --no-install-recommends "${missing[@]}" >>"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        say "could not install: ${missing[*]}"
        return 1
    fi
    rm -f "$log"
    phase_done "packages"
}

# without_cluster COMMAND...: runs COMMAND, during which no newly installed PostgreSQL makes and starts a
# database cluster of the machine's own, as Debian's packages do otherwise; there already: nothing changes.
without_cluster() {
    local as_root=() folder=/etc/postgresql-common/createcluster.d status=0 made=
    if command -v dpkg-query >/dev/null && { ((EUID == 0)) || command -v sudo >/dev/null; } &&
        ! dpkg-query -W postgresql-15 >/dev/null 2>&1; then
        ((EUID == 0)) || as_root=(sudo)
        "${as_root[@]}" mkdir -p "$folder" || return
        echo 'create_main_cluster = false' | "${as_root[@]}" tee "$folder/levee.conf" >/dev/null || return
        made=1
    fi
    "$@" || status=$?
    if [[ $made ]]; then
        "${as_root[@]}" rm -f "$folder/levee.conf"
        "${as_root[@]}" rmdir --ignore-fail-on-non-empty "$folder"
    fi
    return "$status"
}

# unpacked_program PACKAGE PROGRAM: makes PROGRAM of a Debian package callable without installing the package,
# for packages that would start a server. Without a Debian, or its archive, nothing happens.
unpacked_program() {
    local package=$1 program=$2 folder=$levee_root/build/tools/$1
    if command -v "$program" >/dev/null || ! command -v apt-get >/dev/null; then
        return 0
    fi
    if [[ ! -x $folder/usr/bin/$program ]]; then
        say "unpacking $program of the package $package"
        mkdir -p "$folder"
        (cd "$folder" && apt-get -q download "$package" && dpkg-deb -x ./"$package"_*.deb . && rm -f ./*.deb) \
            >"$folder/log" 2>&1 || say "could not unpack $package; see $folder/log"
    fi
    PATH=$PATH:$folder/usr/bin
}

# phase_done NAME: prints the seconds since the last phase ended, so that the time budget can be seen.
levee_phase_start=$SECONDS
phase_done() {
    say "$1: $((SECONDS - levee_phase_start)) s"
    levee_phase_start=$SECONDS
}

# quietly LOG COMMAND...: a terminal sees the command at work; otherwise only a failure is shown, whole.
quietly() {
    local log=$1
    shift
    if [[ -t 1 ]]; then
        "$@"
    elif ! "$@" >"$log" 2>&1; then
        cat "$log" >&2
        say "failed: $*"
        return 1
    fi
}

# build KIND TARGET -DOPTION...: configures build/KIND and builds TARGET in it.
build() {
    local kind=$1 target=$2
    shift 2
    local folder=$levee_root/build/$kind arguments=(-DCMAKE_EXPORT_COMPILE_COMMANDS=ON)
    mkdir -p "$folder"
    # An existing folder keeps its generator; a new one gets Ninja where there is one.
    if [[ ! -f $folder/CMakeCache.txt ]] && command -v ninja >/dev/null; then
        arguments+=(-G Ninja)
    fi
    if command -v ccache >/dev/null; then
        arguments+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
        # What ccache needs to reuse objects built with a precompiled header.
        export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros,include_file_mtime,include_file_ctime}
    fi
    say "building $target in build/$kind"
    quietly "$folder/configure.log" cmake -S "$levee_root" -B "$folder" "${arguments[@]}" "$@"
    quietly "$folder/build.log" cmake --build "$folder" --target "$target" -j "$levee_jobs"
}

# build_release TARGET -DOPTION=ON...: the optimised tree that the three commands share. Parts that the
# caller does not name are off in a new tree, and stay as they are in one that another command made.
build_release() {
    local target=$1 parts=()
    shift
    [[ -f $levee_root/build/release/CMakeCache.txt ]] ||
        parts=(-DLEVEE_TESTS=OFF -DLEVEE_BENCHMARKS=OFF -DLEVEE_EXAMPLES=OFF)
    build release "$target" -DCMAKE_BUILD_TYPE=Release "${parts[@]}" "$@"
}
