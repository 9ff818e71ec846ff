/* $ORIGIN, $INCLUDE (RFC 1035 5.1) and $TTL (RFC 2308 4). */
#include <limits.h>
#include "libcommon/dns/rdata_int.h"
#include "libcommon/dns/zonetext_int.h"

void zone_set_origin(struct zone_reader *r, const uint8_t *origin)
{
	memmove(r->origin, origin, dns_name_len(origin));
	r->origin_in = dns_name_under(r->origin, r->z->origin);
}

static void set_origin(struct zone_reader *r)
{
	uint8_t name[DNS_NAME_MAX];
	const char *why;
	if (dns_name_from_zone(r->word[1].text, r->origin, name, &why))
		zone_set_origin(r, name);
	else
		zone_error_word(r, &r->word[1], NULL, why);
}

static void set_ttl(struct zone_reader *r)
{
	uint32_t ttl;
	if (!rdata_ttl(r->word[1].text, &ttl)) {
		zone_error_word(r, &r->word[1], NULL, "a TTL (3600, 1h30m) is wanted");
		ttl = 0; /* not to complain of its absence, too */
	}
	r->default_ttl = ttl;
	r->has_default = true;
}

/* The file's path, in the folder of the one that has it; false: told. */
static bool path_of(struct zone_reader *r, const struct dns_word *w, char out[PATH_MAX])
{
	struct slice text = w->text;
	const char *slash = strrchr(r->text->name, '/');
	size_t n = text.len && *text.p != '/' && slash ? (size_t)(slash + 1 - r->text->name) : 0;
	bool ok = text.len > 0 && n < PATH_MAX;
	if (ok)
		memcpy(out, r->text->name, n);
	for (size_t i = 0; ok && i < text.len;) {
		uint8_t c = 0;
		ok = n + 1 < PATH_MAX && rdata_octet(text, &i, &c) && c != 0;
		out[n++] = (char)c;
	}
	if (!ok) {
		zone_error_word(r, w, NULL, "the name of a file is wanted");
		return false;
	}
	out[n] = 0;
	return true;
}

static void include(struct zone_reader *r)
{
	uint8_t origin[DNS_NAME_MAX], owner[DNS_NAME_MAX], inner[DNS_NAME_MAX];
	char path[PATH_MAX];
	const char *why, *at = r->word[1].text.p;
	if (r->z->no_include || r->depth > ZONETEXT_DEPTH || r->includes == ZONETEXT_INCLUDES) {
		zone_error(r, r->word[0].text.p, "%s",
			   r->z->no_include            ? "$INCLUDE is not allowed here"
			   : r->depth > ZONETEXT_DEPTH ? "files include one another too deep"
						       : "too many files are included");
		return;
	}
	r->includes++;
	memcpy(origin, r->origin, sizeof(origin));
	memcpy(owner, r->owner, sizeof(owner));
	memcpy(inner, r->origin, sizeof(inner));
	if (r->words == 3 && !dns_name_from_zone(r->word[2].text, r->origin, inner, &why)) {
		zone_error_word(r, &r->word[2], NULL, why);
		return;
	}
	if (!path_of(r, &r->word[1], path))
		return;
	bool has_owner = r->has_owner, owner_bad = r->owner_bad;
	zone_set_origin(r, inner);
	zone_include(r, path, at);
	zone_set_origin(r, origin);
	memcpy(r->owner, owner, sizeof(owner));
	r->has_owner = has_owner;
	r->owner_bad = owner_bad;
}

void zone_directive(struct zone_reader *r)
{
	static const struct {
		const char *name;
		void (*fn)(struct zone_reader *r);
		size_t least, most; /* words behind it */
		const char *usage;
	} directive[] = {
	    {"$ORIGIN", set_origin, 1, 1, "$ORIGIN NAME is wanted"},
	    {"$TTL", set_ttl, 1, 1, "$TTL TIME is wanted"},
	    {"$INCLUDE", include, 1, 2, "$INCLUDE FILE or $INCLUDE FILE ORIGIN is wanted"},
	    {"$GENERATE", zone_generate, 4, 64,
	     "$GENERATE FIRST-LAST NAME [TTL] TYPE DATA is wanted"},
	};
	for (size_t i = 0; i < sizeof(directive) / sizeof(directive[0]); i++) {
		if (!slice_ieqs(r->word[0].text, directive[i].name))
			continue;
		if (r->words - 1 < directive[i].least || r->words - 1 > directive[i].most)
			zone_error(r, r->word[0].text.p, "%s", directive[i].usage);
		else
			directive[i].fn(r);
		return;
	}
	zone_error_word(r, &r->word[0], NULL,
			"a directive is $ORIGIN, $TTL, $INCLUDE or $GENERATE; a name is \\$...");
}
