#include "cbor.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

/* The bytes in a block of exactly their size, so that the sanitizer sees a read of one byte too many. */
#define READ(name, ...)                                                             \
	static const uint8_t name##_bytes[] = {__VA_ARGS__};                        \
	uint8_t *name##_copy = malloc(sizeof name##_bytes);                         \
	memcpy(name##_copy, name##_bytes, sizeof name##_bytes);                     \
	struct cbor_reader name = cbor_read(name##_copy, sizeof name##_bytes)

static void reads_minimal_numbers(void)
{
	READ(small, 0x17);
	CHECK(cbor_uint(&small, UINT64_MAX) == 23 && cbor_end(&small));
	READ(byte, 0x18, 0x18);
	CHECK(cbor_uint(&byte, UINT64_MAX) == 24 && cbor_end(&byte));
	READ(largest, 0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
	CHECK(cbor_uint(&largest, UINT64_MAX) == UINT64_MAX && cbor_end(&largest));
	free(small_copy);
	free(byte_copy);
	free(largest_copy);
}

static void refuses_other_numbers(void)
{
	READ(padded8, 0x18, 0x17);
	READ(padded16, 0x19, 0x00, 0xff);
	READ(padded32, 0x1a, 0x00, 0x00, 0xff, 0xff);
	READ(padded64, 0x1b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff);
	READ(cut, 0x19, 0x01);
	READ(negative, 0x20);
	READ(indefinite, 0x1f);
	READ(beyond, 0x18, 0x65);
	struct cbor_reader *bad[] = {&padded8, &padded16, &padded32, &padded64, &cut, &negative, &indefinite};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		CHECK(cbor_uint(bad[i], UINT64_MAX) == 0);
		CHECK(bad[i]->bad && !cbor_end(bad[i]));
	}
	CHECK(cbor_uint(&beyond, 100) == 0 && beyond.bad);
	uint8_t *copies[] = {padded8_copy, padded16_copy, padded32_copy, padded64_copy, cut_copy, negative_copy, indefinite_copy, beyond_copy};
	for (size_t i = 0; i < sizeof copies / sizeof *copies; i++)
		free(copies[i]);
}

static void reads_strings(void)
{
	READ(bytes, 0x43, 1, 2, 3);
	struct span found = cbor_bytes(&bytes, 3);
	CHECK(found.length == 3 && found.bytes[2] == 3 && cbor_end(&bytes));
	READ(cut, 0x43, 1, 2);
	CHECK(cbor_bytes(&cut, 3).length == 0 && cut.bad);
	READ(huge, 0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
	CHECK(cbor_bytes(&huge, SIZE_MAX).length == 0 && huge.bad);
	READ(long_one, 0x43, 1, 2, 3);
	CHECK(cbor_bytes(&long_one, 2).length == 0 && long_one.bad);
	READ(nul, 0x62, 'a', 0);
	CHECK(cbor_text(&nul, 9).length == 0 && nul.bad);
	READ(overlong, 0x62, 0xc0, 0xaf);
	CHECK(cbor_text(&overlong, 9).length == 0 && overlong.bad);
	char small[3];
	READ(fits, 0x62, 'o', 'k');
	CHECK(cbor_text_into(&fits, small, sizeof small) && strcmp(small, "ok") == 0);
	READ(fits_not, 0x63, 'o', 'k', '!');
	CHECK(!cbor_text_into(&fits_not, small, sizeof small) && small[0] == 0);
	uint8_t *copies[] = {bytes_copy, cut_copy, huge_copy, long_one_copy, nul_copy, overlong_copy, fits_copy, fits_not_copy};
	for (size_t i = 0; i < sizeof copies / sizeof *copies; i++)
		free(copies[i]);
}

static void errors_stick(void)
{
	READ(item, 0x82, 0x60, 0x01);
	CHECK(cbor_array(&item, 2) == 2 && cbor_uint(&item, 9) == 0 && item.bad);
	CHECK(cbor_text(&item, 9).length == 0 && !cbor_bool(&item) && cbor_array(&item, 9) == 0 && !cbor_end(&item));
	READ(trailing, 0x01, 0x01);
	CHECK(cbor_uint(&trailing, 9) == 1 && !cbor_end(&trailing));
	struct cbor_reader empty = cbor_read((const uint8_t *)"", 0);
	CHECK(!cbor_bool(&empty) && empty.bad);
	free(item_copy);
	free(trailing_copy);
}

static void knows_utf8(void)
{
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{"", true},		 {"a\xc3\xa9", true},	       {"\xe2\x82\xac", true},	   {"\xf0\x9f\x98\x80", true}, {"\xf4\x8f\xbf\xbf", true},
		{"\x80", false},	 {"\xc3", false},	       {"\xc1\xbf", false},	   {"\xe0\x9f\xbf", false},    {"\xed\xa0\x80", false},
		{"\xf4\x90\x80\x80", false}, {"\xf5\x80\x80\x80", false}, {"\xf0\x8f\xbf\xbf", false}, {"\xe2\x82", false},	       {"\xe2\x28\xa1", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		CHECK(utf8_valid((const uint8_t *)cases[i].text, strlen(cases[i].text)) == cases[i].valid);
}

static void writes_what_it_reads(void)
{
	uint8_t bytes[64];
	static const uint64_t values[] = {0, 23, 24, 255, 256, 65535, 65536, 4294967295, 4294967296, UINT64_MAX};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct cbor_writer out = cbor_write(bytes, sizeof bytes);
		cbor_put_uint(&out, values[i]);
		struct cbor_reader in = cbor_read(bytes, out.length);
		CHECK(cbor_uint(&in, UINT64_MAX) == values[i] && cbor_end(&in));
	}
	struct cbor_writer out = cbor_write(bytes, sizeof bytes);
	cbor_put_array(&out, 3);
	cbor_put_bool(&out, true);
	cbor_put_text(&out, "caf\xc3\xa9\n/and more", 6);
	cbor_put_bytes(&out, "xyz", 3);
	struct cbor_reader in = cbor_read(bytes, out.length);
	char text[16];
	CHECK(cbor_array(&in, 3) == 3 && cbor_bool(&in) && cbor_text_into(&in, text, sizeof text) && strcmp(text, "caf???") == 0);
	CHECK(cbor_bytes(&in, 3).length == 3 && cbor_end(&in));
	struct cbor_writer tiny = cbor_write(bytes, 3);
	cbor_put_bytes(&tiny, "xyz", 3);
	CHECK(tiny.full);
	cbor_put_uint(&tiny, 1);
	CHECK(tiny.full && tiny.length <= 3);
}

void test_cbor(void)
{
	TEST(reads_minimal_numbers);
	TEST(refuses_other_numbers);
	TEST(reads_strings);
	TEST(errors_stick);
	TEST(knows_utf8);
	TEST(writes_what_it_reads);
}
