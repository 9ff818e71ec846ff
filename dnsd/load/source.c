/* Where a zone's records come from. */
#include <errno.h>
#include <sys/stat.h>
#include "dnsd/catalog/catalog.h"
#include "dnsd/image/image.h"
#include "libcommon/dns/zonetext.h"

struct reading {
	struct compile *c;
	struct image_maker *maker;
};

static bool on_rr(void *arg, const struct zone_rr *rr)
{
	struct reading *r = arg;
	const char *why;
	char type[DNS_TYPE_TEXT];
	if (image_add(r->maker, rr->owner, rr->type, rr->ttl, rr->rdata, rr->rdlen, &why))
		return true;
	r->c->mistakes++;
	buf_printf(&r->c->errors, "%s:%u: %s: %s\n", rr->file, rr->line,
		   dns_type_text(rr->type, type), why);
	return r->c->mistakes < ZONETEXT_ERRORS;
}

static void on_error(void *arg, const char *line)
{
	struct reading *r = arg;
	r->c->mistakes++;
	buf_printf(&r->c->errors, "%s\n", line);
}

bool source_version(struct compile *c, struct image_origin *out, const char **why)
{
	struct stat text;
	if (c->conf->catalog == CATALOG_OURS)
		return catalog_version(c, out, why);
	if (!c->file && c->store)
		return store_version(c, out, why);
	if (!c->file) {
		*out = (struct image_origin){.id = c->id, .version = c->version};
		*why = "no such zone";
		return c->id != 0;
	}
	if (stat(c->file, &text) != 0) {
		*why = strerror(errno);
		return false;
	}
	*out = (struct image_origin){.version = (uint64_t)text.st_mtim.tv_sec * 1000000000u +
						(uint64_t)text.st_mtim.tv_nsec};
	return true;
}

bool source_read(struct compile *c, struct image_maker *m, struct image_origin *origin)
{
	if (c->conf->catalog == CATALOG_OURS)
		return catalog_records(c, m, origin);
	if (!c->file)
		return store_read(c, m, origin);
	struct reading r = {c, m};
	const struct zonetext z = {
	    .origin = c->zone, .on_rr = on_rr, .on_error = on_error, .arg = &r};
	zonetext_file(&z, c->file);
	return c->mistakes == 0;
}
