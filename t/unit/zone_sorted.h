/* The records of a zone file in the order of the store. */
#include "libcommon/dns/zonesort.h"

static void on_error(void *arg, const char *line)
{
	(void)arg;
	fail_msg("%s", line);
}

static bool on_rr(void *arg, const struct zone_rr *rr)
{
	zone_sort_add(arg, rr);
	return true;
}

/* zone_sort_free() afterwards. */
static struct zone_sort *sorted(const uint8_t *zone, const char *text)
{
	struct zone_sort *s = zone_sort_new(zone);
	struct zonetext z = {
	    .origin = zone, .ttl = 60, .on_rr = on_rr, .on_error = on_error, .arg = s};
	assert_int_equal(zonetext_memory(&z, "test", slice_of(text)), 0);
	zone_sort_run(s);
	return s;
}
