/* Chunks of a zone, from anywhere: what is taken is in order, and written again it reads the same;
 * nothing is read beyond. */
#include <stdlib.h>
#include "libcommon/dns/zonecheck.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const uint8_t zone[] = "\7example\3org";

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void written_again(struct slice data, uint32_t records)
{
	struct zone_chunk_out out = {0};
	struct zone_chunk_in a, b;
	struct zone_rr x, y;
	zone_chunk_open(&a, data);
	while (zone_chunk_next(&a, &x))
		zone_chunk_add(&out, &x);
	check(!a.bad && out.records == records);
	zone_chunk_open(&a, data);
	zone_chunk_open(&b, buf_slice(&out.data));
	while (zone_chunk_next(&a, &x)) {
		check(zone_chunk_next(&b, &y));
		check(zone_rr_cmp(&x, &y) == 0 && x.ttl == y.ttl && x.rdlen == y.rdlen);
	}
	check(!zone_chunk_next(&b, &y) && !b.bad);
	buf_free(&out.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice s = {(const char *)data, len};
	struct zone_run run = {.zone = zone, .zone_len = sizeof(zone)};
	struct zone_check whole;
	struct zone_fault fault;
	uint8_t first[ZONE_KEY_MAX];
	size_t first_len = 0;
	uint32_t records;
	char text[2000];
	zone_check_init(&whole, zone, true);
	if (zone_chunk_check(&run, s, &whole, &records, &first_len, first, &fault)) {
		check(records > 0 && first_len <= run.last_len + ZONE_KEY_MAX);
		written_again(s, records);
	} else {
		zone_fault_text(&fault, text, sizeof(text));
	}
	return 0;
}
