/* What a zone's key signs is one rrset of its zone, read here a second time, from its end to its
 * start where that can be: by what the records are, not by how the check reads them. */
#include <stdlib.h>
#include <string.h>
#include "keyd/keyd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { NOW = 1800000000, NAME_LEN = 4 };
static const char NAME[NAME_LEN + 1] = "\2ab\0";

static void expect(bool yes)
{
	if (!yes)
		abort();
}

static uint32_t number(const uint8_t *p, int n)
{
	uint32_t v = 0;
	while (n--)
		v = v << 8 | *p++;
	return v;
}

/* The owner's octets when it is in the zone; each label counted, but a '*' at the front. */
static size_t owner(const uint8_t *p, const uint8_t *end, unsigned labels)
{
	const uint8_t *at = p;
	unsigned n = 0;
	for (; at < end && *at; at += 1 + *at) {
		expect(*at < 64);
		n += !(at == p && at[0] == 1 && at[1] == '*');
	}
	expect(at < end && n == labels);
	size_t size = (size_t)(at - p) + 1;
	expect(size >= NAME_LEN && memcmp(at + 1 - NAME_LEN, NAME, NAME_LEN) == 0);
	for (size_t i = 0; i < size; i++)
		expect(!(p[i] >= 'A' && p[i] <= 'Z'));
	return size;
}

static void signed_well(const uint8_t *p, size_t len, const struct zone_key *k)
{
	const uint8_t *end = p + len, *rr = p + 18 + NAME_LEN;
	uint32_t type = number(p, 2), lasts = number(p + 8, 4) - number(p + 12, 4);
	expect(len > 18 + NAME_LEN && type != 46 && type != 41 && type != 0);
	expect(type < 128 || type > 255);
	expect(p[2] == k->dnskey[3] && number(p + 16, 2) == k->tag);
	expect(memcmp(p + 18, NAME, NAME_LEN) == 0);
	expect(lasts > 0 && lasts < 0x80000000u);
	size_t name = owner(rr, end, p[3]);
	expect(rr < end);
	for (const uint8_t *first = rr; rr < end;) {
		expect((size_t)(end - rr) >= name + 10 && memcmp(rr, first, name) == 0);
		expect(number(rr + name, 2) == type && number(rr + name + 2, 2) == 1);
		expect(memcmp(rr + name + 4, p + 4, 4) == 0);
		size_t n = number(rr + name + 8, 2);
		expect((size_t)(end - rr) - name - 10 >= n);
		if (type == 48)
			expect(n == k->dnskey_len && memcmp(rr + name + 10, k->dnskey, n) == 0);
		rr += name + 10 + n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct zone_key key = {.id = 1, .dnskey = {1, 1, 3, ZONE_ED25519}, .dnskey_len = 36};
	struct zone zone = {.name_len = NAME_LEN, .key = &key, .n = 1};
	memcpy(zone.name, NAME, NAME_LEN);
	key.tag = zone_key_tag(key.dnskey, key.dnskey_len);
	uint8_t *own = malloc(len ? len : 1); /* so that a step behind the end is seen */
	memcpy(own, data, len);
	if (!zone_shape(&zone, &key, (struct slice){(const char *)own, len}, NOW))
		signed_well(own, len, &key);
	free(own);
	return 0;
}
