/* Records of a zone file: owner, TTL and class in either order, type, data. */
#include "libcommon/dns/zonetext.h"
#include "libcommon/dns/rdata_int.h"
#include "libcommon/dns/zonetext_int.h"

/* What stands before a record's data. */
struct front {
	bool has_ttl, has_class;
	uint32_t ttl;
	uint16_t type;
};

/* The owner of this record and of those behind it that have none. */
static void set_owner(struct zone_reader *r, const struct dns_word *w)
{
	const char *why;
	char zone[DNS_NAME_TEXT];
	struct slice text = w->text;
	r->has_owner = true;
	r->owner_bad = false;
	if (!dns_name_from_zone(text, r->origin, r->owner, &why)) {
		zone_error_word(r, w, NULL, why);
		r->owner_bad = true;
		return;
	}
	/* A relative name is where its origin is. */
	if (r->origin_in && text.len && text.p[text.len - 1] != '.')
		return;
	if (dns_name_under(r->owner, r->z->origin))
		return;
	dns_name_text(zone, r->z->origin);
	zone_error(r, text.p, "\"%.*s\": the name is not in the zone %s",
		   text.len > 255 ? 255 : (int)text.len, text.p, zone);
	r->owner_bad = true;
}

enum { CLASS_NONE, CLASS_IN, CLASS_OTHER };

static int class_of(struct slice text)
{
	if (text.len == 2) {
		char a = str_lower(text.p[0]), b = str_lower(text.p[1]);
		if (a == 'i' && b == 'n')
			return CLASS_IN;
		return (a == 'c' && (b == 'h' || b == 's')) || (a == 'h' && b == 's') ? CLASS_OTHER
										      : CLASS_NONE;
	}
	uint32_t n;
	if (!slice_istarts(text, "class") || !str_u32((struct slice){text.p + 5, text.len - 5}, &n))
		return CLASS_NONE;
	return n == DNS_IN ? CLASS_IN : CLASS_OTHER;
}

static bool wrong(struct zone_reader *r, const struct dns_word *w, const char *why)
{
	zone_error_word(r, w, NULL, why);
	return false;
}

/* Where the words end: for what is missing. */
static const char *end_of(const struct dns_word *w, size_t words)
{
	return w[words - 1].text.p + w[words - 1].text.len;
}

static bool set_type(struct zone_reader *r, const struct dns_word *w, struct front *f)
{
	f->type = dns_type_from_text(w->text);
	if (f->type && !dns_type_is_meta(f->type))
		return true;
	if (f->type)
		return wrong(r, w, "this type is one of questions, zones do not hold it");
	const char *like = dns_type_like(w->text);
	if (!like)
		return wrong(r, w, "a record type (A, MX, TYPE65400) is wanted");
	char why[64];
	str_fmt(why, sizeof(why), "there is no such record type: %s?", like);
	return wrong(r, w, why);
}

/* Reads up to the type; returns the words used, 0: told. */
static size_t read_front(struct zone_reader *r, const struct dns_word *w, size_t words, size_t i,
			 struct front *f)
{
	for (; i < words; i++) {
		struct slice text = w[i].text;
		if (!f->has_ttl && text.len && *text.p >= '0' && *text.p <= '9') {
			f->has_ttl = rdata_ttl(text, &f->ttl);
			if (!f->has_ttl)
				return wrong(r, &w[i], "a TTL (3600, 1h30m, below 2^31) is wanted");
			continue;
		}
		int class = f->has_class ? CLASS_NONE : class_of(text);
		if (class == CLASS_OTHER)
			return wrong(r, &w[i], "the only class is IN");
		if (class == CLASS_NONE)
			return set_type(r, &w[i], f) ? i + 1 : 0;
		f->has_class = true;
	}
	zone_error(r, end_of(w, words), "the line ends before the record's type");
	return 0;
}

/* The TTL of a record that has none of its own. */
static uint32_t default_ttl(struct zone_reader *r, const struct dns_word *w, size_t words)
{
	if (r->has_default)
		return r->default_ttl;
	if (r->has_last)
		return r->last_ttl;
	if (r->z->ttl)
		return r->z->ttl;
	if (r->has_soa)
		return r->soa_minimum;
	zone_error(r, w[words - 1].text.p, "the record has no TTL, and there is no $TTL before it");
	r->has_last = true; /* told once */
	r->last_ttl = 3600;
	return r->last_ttl;
}

static void bad_data(struct zone_reader *r, uint16_t type, const struct dns_word *w, size_t words,
		     size_t bad, const char *why)
{
	char name[DNS_TYPE_TEXT];
	dns_type_text(type, name);
	if (bad >= words) {
		zone_error(r, end_of(w, words), "%s: the record ends too early: %s", name, why);
		return;
	}
	zone_error_word(r, &w[bad], name, why);
}

void zone_record(struct zone_reader *r, const struct dns_word *w, size_t words, bool blank)
{
	struct front f = {0};
	size_t len, bad;
	const char *why;
	if (!blank)
		set_owner(r, &w[0]);
	else if (!r->has_owner) {
		zone_error(r, w[0].text.p, "the first record has no name before it");
		r->has_owner = r->owner_bad = true;
	}
	unsigned errors = r->errors;
	size_t at = read_front(r, w, words, !blank, &f);
	if (!at)
		return;
	if (!dns_rdata_from_text(f.type, w + at, words - at, r->origin, r->rdata, &len, &why,
				 &bad)) {
		bad_data(r, f.type, w, words, at + bad, why);
		return;
	}
	if (f.type == DNS_SOA && !r->has_soa) {
		r->has_soa = true;
		r->soa_minimum = dns_ttl(dns_u32(r->rdata + len - 4));
	}
	if (f.has_ttl) {
		r->has_last = true;
		r->last_ttl = f.ttl;
	} else {
		f.ttl = default_ttl(r, w, words);
	}
	if (r->owner_bad || r->errors != errors || !r->z->on_rr)
		return;
	struct zone_rr rr = {.owner = r->owner,
			     .type = f.type,
			     .ttl = f.ttl,
			     .rdata = r->rdata,
			     .rdlen = len,
			     .file = r->text->name,
			     .line = r->line};
	if (!r->z->on_rr(r->z->arg, &rr))
		r->stop = true;
}

void zone_read(struct zone_reader *r)
{
	while (zone_scan(r)) {
		if (r->word[0].text.len && *r->word[0].text.p == '$' && !r->word[0].quoted)
			zone_directive(r);
		else
			zone_record(r, r->word, r->words, r->blank);
	}
}

void zonetext_write(struct buf *out, const struct zone_rr *rr)
{
	char type[DNS_TYPE_TEXT], name[DNS_NAME_TEXT];
	buf_add(out, name, dns_name_text(name, rr->owner));
	buf_printf(out, "%s\t%u\tIN\t%s\t", *rr->owner ? "." : "", rr->ttl,
		   dns_type_text(rr->type, type));
	dns_rdata_text(rr->type, rr->rdata, rr->rdlen, out);
	buf_addc(out, '\n');
}
