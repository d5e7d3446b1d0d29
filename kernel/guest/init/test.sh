#!/bin/bash
# Compiles the parts of init that eat bytes, with the sanitizers, and runs their tests: prints `N passed, M failed`.
set -euo pipefail
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
gcc -std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -Wshadow -Wconversion -fsanitize=address,undefined -fno-sanitize-recover=all \
	-I. -o "$folder/tests" tests/*.c cbor.c frame.c queue.c look_again.c setup.c start.c client.c mountpoint.c fault.c net_packet.c net_index.c net_dns_refusal.c \
	net_flow.c net_table.c net_link.c net_ask.c net_accept.c system.c
"$folder/tests" "${1:-20000}"
