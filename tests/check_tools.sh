#!/bin/sh
# Names in one line what this machine lacks to build and test: sh check_tools.sh PYTHON
python=$1
missing=
command -v gcc >/dev/null || missing="$missing gcc"
command -v make >/dev/null || missing="$missing make"
if ! command -v "$python" >/dev/null; then
    missing="$missing python3"
else
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || missing="$missing python3>=3.11"
    "$python" -c 'import venv, ensurepip' 2>/dev/null || missing="$missing python3-venv"
    header=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include") + "/Python.h")')
    [ -f "$header" ] || missing="$missing python3-dev"
fi
[ -z "$missing" ] || { echo "missing:$missing; on Debian: apt-get install gcc make python3-venv python3-dev" >&2; exit 1; }
