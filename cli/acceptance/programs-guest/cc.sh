#!/opt/tools/bin/bash
# gcc where it was copied to, against the musl beside it: what musl-gcc -static is on the host.
gcc=$(echo /opt/tools/gcc/lib/gcc/*/*)
musl=/opt/tools/gcc/musl
headers=(-nostdinc -isystem "$musl/include" -isystem "$gcc/include")
case " $* " in
*" -c "*) exec /opt/tools/gcc/bin/gcc "${headers[@]}" "$@" ;;
*) exec /opt/tools/gcc/bin/gcc "${headers[@]}" -static -nostdlib "$musl/lib/crt1.o" "$musl/lib/crti.o" "$@" "$musl/lib/libc.a" "$gcc/libgcc.a" "$musl/lib/crtn.o" ;;
esac
