#include "fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

bool fault_set(struct fault *fault, const char *stage, const char *format, ...)
{
	fault->error = errno;
	fault->stage = stage;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(fault->detail, sizeof fault->detail, format, arguments);
	va_end(arguments);
	return false;
}
