/* A zone file from anybody: what is read can be written, and is then read the same; mistakes are
 * counted as they are told, in printable lines. */
#include <stdlib.h>
#include "libcommon/dns/zonetext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { RECORDS = 2000 }; /* $GENERATE makes very many */

struct state {
	struct buf out;
	unsigned records, errors;
};

static void check(bool ok)
{
	if (!ok)
		abort();
}

static bool on_rr(void *arg, const struct zone_rr *rr)
{
	struct state *s = arg;
	check(dns_rdata_check(rr->type, rr->rdata, rr->rdlen));
	check(dns_name_under(rr->owner, (const uint8_t *)"\1o") && rr->ttl <= INT32_MAX);
	check(!dns_type_is_meta(rr->type));
	zonetext_write(&s->out, rr);
	return ++s->records < RECORDS;
}

static void on_error(void *arg, const char *line)
{
	struct state *s = arg;
	check(str_print(slice_of(line)) && strlen(line) > 3);
	s->errors++;
}

static unsigned read_zone(struct state *s, struct slice text)
{
	struct zonetext z = {.origin = (const uint8_t *)"\1o",
			     .no_include = true,
			     .on_rr = on_rr,
			     .on_error = on_error,
			     .arg = s};
	buf_init(&s->out, 0);
	unsigned errors = zonetext_memory(&z, "z", text);
	/* Behind the last mistake that is counted one line tells that it is the last. */
	check(errors <= ZONETEXT_ERRORS && s->errors == errors + (errors == ZONETEXT_ERRORS));
	return errors;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct state first = {0}, second = {0};
	read_zone(&first, (struct slice){(const char *)data, len});
	check(read_zone(&second, buf_slice(&first.out)) == 0);
	check(second.records == first.records);
	check(slice_eq(buf_slice(&first.out), buf_slice(&second.out)));
	buf_free(&first.out);
	buf_free(&second.out);
	return 0;
}
