#!/bin/bash
# A cell that the guest took over: what stands between its devices and the gate (cell/file_pump.c) is the guest itself. The gate's socket for host mounts becomes one more
# port of the serial bus, so that a script says there what it wants. Otherwise the cell is the product's, which lies beside this file.
set -euo pipefail
line=() fd=
while [ "$1" != -- ]; do
    case $1 in
    --gate) fd=$2 line+=(--connect "$2" "$3") && shift 3 ;;
    --shared) shift 2 ;;
    --files) shift 3 ;;
    --parent | --keep | --dev) line+=("$1" "$2") && shift 2 ;;
    *) line+=("$1" "$2" "$3") && shift 3 ;;
    esac
done
while [ $# -gt 0 ]; do
    case ${1-} in
    -object) shift 2 ;;
    socket,id=files*) unset 'line[-1]' && shift ;;
    vhost-user-fs*) unset 'line[-1]' && shift ;;
    *) line+=("${1/,memory-backend=memory/}") && shift ;;
    esac
done
if [ -n "$fd" ]; then
    line=("${line[@]/max_ports=4/max_ports=5}")
    line+=(-chardev "socket,id=fuse,fd=$fd" -device virtserialport,bus=bus.0,nr=4,chardev=fuse,name=authority.fuse)
fi
exec "$(dirname "$0")/authority-cell" "${line[@]}"
