#!/bin/bash
# Compiles what takes the guest's requests apart, with the sanitizers, and runs its tests: prints `N passed, M failed`.
set -euo pipefail
cd "$(dirname "$0")"
link=../../../kernel/guest/init
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
gcc -std=gnu17 -O1 -g -Wall -Wextra -Werror -Wshadow -fsanitize=address,undefined -fno-sanitize-recover=all \
    -I. -I"$link" -I"$link/tests" -o "$folder/tests" tests/*.c "$link/tests/check.c" virtqueue.c guest_memory.c vhost_user.c file_pump.c "$link/frame.c" "$link/cbor.c"
"$folder/tests" "${1:-20000}"
