#include "net_dns_refusal.h"

#include <string.h>

#include "protocol.h"

/* RFC 1035, 4.1.1. */
#define HEADER_BYTES 12
#define IS_ANSWER 0x80
#define KEPT_FLAGS 0x79
#define RECURSION_AVAILABLE 0x80
enum rcode { FORMAT_ERROR = 1, SERVER_FAILURE = 2, NO_SUCH_NAME = 3, NOT_IMPLEMENTED = 4, REFUSED = 5 };

static enum rcode rcode_of(uint64_t code)
{
	switch (code) {
	case AUTHORITY_E_POLICY_DENY:
	case AUTHORITY_E_CAP_MISSING:
	case AUTHORITY_E_CAP_SCOPE:
	case AUTHORITY_E_NOT_FOUND:
		return NO_SUCH_NAME;
	case AUTHORITY_E_CONFLICT:
		return FORMAT_ERROR;
	case AUTHORITY_E_UNSUPPORTED:
		return NOT_IMPLEMENTED;
	case AUTHORITY_E_RATE_LIMIT:
	case AUTHORITY_E_BUDGET_EXCEEDED:
	case AUTHORITY_E_APPROVAL_REQUIRED:
	case AUTHORITY_E_APPROVAL_DENIED:
		return REFUSED;
	default:
		return SERVER_FAILURE;
	}
}

bool net_dns_refuse(uint8_t *packet, size_t length, uint64_t error_code)
{
	if (length < HEADER_BYTES || (packet[2] & IS_ANSWER) != 0)
		return false;
	packet[2] = (uint8_t)((packet[2] & KEPT_FLAGS) | IS_ANSWER);
	packet[3] = (uint8_t)(RECURSION_AVAILABLE | rcode_of(error_code));
	/* No answers and no authorities. */
	memset(packet + 6, 0, 4);
	return true;
}
