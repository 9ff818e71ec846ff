/* A journal of anybody: the input is what stands behind its head, its sums are made right. */
#include <stdlib.h>
#include "dnsd/image/journal_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void right_chunks(uint8_t *p, size_t at, size_t end)
{
	struct chunk_head c;
	while (end - at >= sizeof(c)) {
		memcpy(&c, p + at, sizeof(c));
		size_t left = end - at - sizeof(c);
		if (c.size > left)
			return;
		c.sum = journal_sum(p + at + sizeof(c), (size_t)c.size);
		memcpy(p + at, &c, sizeof(c));
		at += sizeof(c) + (size_t)c.size;
	}
}

static void right_sums(uint8_t *p, size_t at, size_t len)
{
	struct step_head h;
	while (len - at >= sizeof(h)) {
		memcpy(&h, p + at, sizeof(h));
		h.sum = journal_sum(&h.from, sizeof(h) - sizeof(h.sum));
		memcpy(p + at, &h, sizeof(h));
		at += sizeof(h);
		if (h.size > len - at)
			return;
		right_chunks(p, at, at + (size_t)h.size);
		at += (size_t)h.size;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t zone[] = "\1a\4test";
	struct journal_head h = {.version = JOURNAL_VERSION, .order = JOURNAL_ORDER};
	size_t size = sizeof(h) + len;
	uint8_t *file = malloc(size);
	memcpy(h.magic, JOURNAL_MAGIC, sizeof(h.magic));
	memcpy(h.zone, zone, sizeof(zone));
	memcpy(file, &h, sizeof(h));
	if (len)
		memcpy(file + sizeof(h), data, len);
	right_sums(file, sizeof(h), size);
	struct journal *j = journal_from(file, size, zone);
	for (uint32_t from = 0; from < 4; from++) {
		for (uint32_t to = from; to < 4; to++) {
			struct journal_steps s;
			struct zone_rr rr;
			if (!journal_find(j, from, to, &s))
				continue;
			struct journal_diff *d = journal_condense(&s);
			while (journal_next(&s, &rr))
				if (!dns_name_check(rr.owner, DNS_NAME_MAX) ||
				    !dns_rdata_check(rr.type, rr.rdata, rr.rdlen))
					abort();
			while (d && journal_diff_next(d, &rr))
				if (!dns_name_check(rr.owner, DNS_NAME_MAX) ||
				    !dns_rdata_check(rr.type, rr.rdata, rr.rdlen))
					abort();
			journal_diff_free(&d);
		}
	}
	journal_close(&j);
	free(file);
	return 0;
}
