#include "net_program.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SOURCE_PORTS 65536
#define DNS_PORT 53
#define MAX_INSTRUCTIONS 64
/* A jump of this name is patched when its target is known. */
#define MAX_JUMPS 16
/* Stack slot of a map's key. */
#define KEY (-4)

enum slot { SLOT_LISTENER, SLOT_PARKING, SLOTS };
enum label { STEER, PASS, LABELS };

struct assembler {
	struct bpf_insn code[MAX_INSTRUCTIONS];
	struct {
		int at;
		enum label to;
	} jumps[MAX_JUMPS];
	int targets[LABELS];
	int length, jump_count;
};

static void emit(struct assembler *to, uint8_t code, uint8_t destination, uint8_t source, int16_t offset, int32_t value)
{
	if (to->length < MAX_INSTRUCTIONS)
		to->code[to->length++] = (struct bpf_insn){.code = code, .dst_reg = destination & 15u, .src_reg = source & 15u, .off = offset, .imm = value};
}

static void load(struct assembler *to, uint8_t size, uint8_t destination, uint8_t from, size_t offset)
{
	emit(to, (uint8_t)(BPF_LDX | size | BPF_MEM), destination, from, (int16_t)offset, 0);
}

static void move(struct assembler *to, uint8_t destination, uint8_t source)
{
	emit(to, BPF_ALU64 | BPF_MOV | BPF_X, destination, source, 0, 0);
}

static void set(struct assembler *to, uint8_t destination, int32_t value)
{
	emit(to, BPF_ALU64 | BPF_MOV | BPF_K, destination, 0, 0, value);
}

static void jump(struct assembler *to, uint8_t code, uint8_t left, uint8_t right, int32_t value, enum label target)
{
	if (to->jump_count == MAX_JUMPS)
		return;
	to->jumps[to->jump_count].at = to->length;
	to->jumps[to->jump_count++].to = target;
	emit(to, code, left, right, 0, value);
}

static void jump_if_equal(struct assembler *to, uint8_t left, int32_t value, enum label target)
{
	jump(to, BPF_JMP | BPF_JEQ | BPF_K, left, 0, value, target);
}

static void jump_unless_equal(struct assembler *to, uint8_t left, int32_t value, enum label target)
{
	jump(to, BPF_JMP | BPF_JNE | BPF_K, left, 0, value, target);
}

static void jump_unless_same(struct assembler *to, uint8_t left, uint8_t right, enum label target)
{
	jump(to, BPF_JMP | BPF_JNE | BPF_X, left, right, 0, target);
}

static void label(struct assembler *to, enum label name)
{
	to->targets[name] = to->length;
}

/* Register 0 becomes the element of the map whose key is in `key`, or 0. */
static void look_up(struct assembler *to, int map, uint8_t key)
{
	emit(to, BPF_STX | BPF_W | BPF_MEM, BPF_REG_10, key, KEY, 0);
	emit(to, BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map);
	emit(to, 0, 0, 0, 0, 0);
	move(to, BPF_REG_2, BPF_REG_10);
	emit(to, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, KEY);
	emit(to, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem);
}

static void finish(struct assembler *to, int32_t verdict)
{
	set(to, BPF_REG_0, verdict);
	emit(to, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* Registers: 6 the context, 7 the slot, 8 the destination address, 9 its port. */
static void ordinary_traffic(struct assembler *to)
{
	move(to, BPF_REG_6, BPF_REG_1);
	load(to, BPF_W, BPF_REG_2, BPF_REG_6, offsetof(struct bpf_sk_lookup, family));
	jump_unless_equal(to, BPF_REG_2, AF_INET, PASS);
	load(to, BPF_W, BPF_REG_2, BPF_REG_6, offsetof(struct bpf_sk_lookup, protocol));
	jump_unless_equal(to, BPF_REG_2, IPPROTO_TCP, PASS);
	load(to, BPF_W, BPF_REG_8, BPF_REG_6, offsetof(struct bpf_sk_lookup, local_ip4));
	move(to, BPF_REG_2, BPF_REG_8);
	/* Both architectures are little-endian: the lowest byte is the first octet. */
	emit(to, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xff);
	jump_if_equal(to, BPF_REG_2, IN_LOOPBACKNET, PASS);
	load(to, BPF_W, BPF_REG_9, BPF_REG_6, offsetof(struct bpf_sk_lookup, local_port));
	jump_if_equal(to, BPF_REG_9, DNS_PORT, PASS);
}

static void captured_traffic(struct assembler *to, int sockets, int verdicts)
{
	set(to, BPF_REG_7, SLOT_PARKING);
	load(to, BPF_H, BPF_REG_3, BPF_REG_6, offsetof(struct bpf_sk_lookup, remote_port));
	emit(to, BPF_ALU | BPF_END | BPF_TO_BE, BPF_REG_3, 0, 0, 16);
	look_up(to, verdicts, BPF_REG_3);
	jump_if_equal(to, BPF_REG_0, 0, STEER);
	load(to, BPF_W, BPF_REG_2, BPF_REG_0, offsetof(struct net_verdict, allowed));
	jump_if_equal(to, BPF_REG_2, 0, STEER);
	load(to, BPF_W, BPF_REG_2, BPF_REG_0, offsetof(struct net_verdict, destination));
	jump_unless_same(to, BPF_REG_2, BPF_REG_8, STEER);
	load(to, BPF_W, BPF_REG_2, BPF_REG_0, offsetof(struct net_verdict, destination_port));
	jump_unless_same(to, BPF_REG_2, BPF_REG_9, STEER);
	load(to, BPF_W, BPF_REG_2, BPF_REG_0, offsetof(struct net_verdict, source));
	load(to, BPF_W, BPF_REG_3, BPF_REG_6, offsetof(struct bpf_sk_lookup, remote_ip4));
	jump_unless_same(to, BPF_REG_2, BPF_REG_3, STEER);
	set(to, BPF_REG_7, SLOT_LISTENER);
	label(to, STEER);
	look_up(to, sockets, BPF_REG_7);
}

static void assign(struct assembler *to)
{
	/* Both sockets are there for ever; the verifier wants the question all the same, and the answer refuses. */
	emit(to, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 2, 0);
	finish(to, SK_DROP);
	move(to, BPF_REG_7, BPF_REG_0);
	move(to, BPF_REG_1, BPF_REG_6);
	move(to, BPF_REG_2, BPF_REG_7);
	set(to, BPF_REG_3, 0);
	emit(to, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_sk_assign);
	move(to, BPF_REG_1, BPF_REG_7);
	emit(to, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_sk_release);
	label(to, PASS);
	finish(to, SK_PASS);
}

static int bpf(enum bpf_cmd command, union bpf_attr *attributes)
{
	return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

static int new_map(enum bpf_map_type type, size_t value_size, uint32_t entries, uint32_t flags)
{
	union bpf_attr attributes = {.map_type = type, .key_size = 4, .value_size = (uint32_t)value_size, .max_entries = entries, .map_flags = flags};
	return bpf(BPF_MAP_CREATE, &attributes);
}

static int put_socket(int map, uint32_t slot, int fd)
{
	uint64_t value = (uint64_t)fd;
	union bpf_attr attributes = {.map_fd = (uint32_t)map, .key = (uintptr_t)&slot, .value = (uintptr_t)&value};
	return bpf(BPF_MAP_UPDATE_ELEM, &attributes);
}

static int load_program(int sockets, int verdicts)
{
	static struct assembler program;
	ordinary_traffic(&program);
	captured_traffic(&program, sockets, verdicts);
	assign(&program);
	for (int i = 0; i < program.jump_count; i++)
		program.code[program.jumps[i].at].off = (int16_t)(program.targets[program.jumps[i].to] - program.jumps[i].at - 1);
	union bpf_attr attributes = {.prog_type = BPF_PROG_TYPE_SK_LOOKUP, .expected_attach_type = BPF_SK_LOOKUP};
	attributes.insns = (uintptr_t)program.code;
	attributes.insn_cnt = (uint32_t)program.length;
	/* sk_lookup's helpers are open to programs of any licence. */
	attributes.license = (uintptr_t)"Proprietary";
	return bpf(BPF_PROG_LOAD, &attributes);
}

static int attach(int program)
{
	int network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	union bpf_attr attributes = {0};
	attributes.link_create.prog_fd = (uint32_t)program;
	attributes.link_create.target_fd = (uint32_t)network;
	attributes.link_create.attach_type = BPF_SK_LOOKUP;
	int link = network < 0 ? -1 : bpf(BPF_LINK_CREATE, &attributes);
	if (network >= 0)
		close(network);
	return link;
}

volatile struct net_verdict *net_program_attach(int listener, int parking, struct fault *fault)
{
	size_t size = SOURCE_PORTS * sizeof(struct net_verdict);
	int sockets = new_map(BPF_MAP_TYPE_SOCKMAP, sizeof(uint64_t), SLOTS, 0);
	int verdicts = new_map(BPF_MAP_TYPE_ARRAY, sizeof(struct net_verdict), SOURCE_PORTS, BPF_F_MMAPABLE);
	if (sockets < 0 || verdicts < 0)
		return fault_set(fault, "net", "the tables of the kernel program"), NULL;
	if (put_socket(sockets, SLOT_LISTENER, listener) != 0 || put_socket(sockets, SLOT_PARKING, parking) != 0)
		return fault_set(fault, "net", "the table of listeners"), NULL;
	int program = load_program(sockets, verdicts);
	if (program < 0)
		return fault_set(fault, "net", "the kernel takes no sk_lookup program"), NULL;
	/* The link is never closed: PID 1 keeps it, so that no death of the net process lets a connection go another way. */
	if (attach(program) < 0)
		return fault_set(fault, "net", "the sk_lookup program cannot be attached"), NULL;
	close(program);
	void *table = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, verdicts, 0);
	close(sockets);
	close(verdicts);
	if (table == MAP_FAILED)
		return fault_set(fault, "net", "the table of verdicts"), NULL;
	return table;
}
