/* The zones where trust begins, or where it is not asked for. */
#include "dnsd/validate/anchor.h"
#include <stdlib.h>
#include "dnsd/validate/validate_int.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/zonetext.h"

enum { DS, DNSKEY, KINDS, TEXT_MAX = 1 << 20 };

struct entry {
	uint8_t zone[DNS_NAME_MAX];
	bool negative;
	uint16_t n[KINDS];
	struct buf data[KINDS]; /* as in an rrset */
};
struct anchors {
	struct map *by_zone;
	char why[VALIDATE_WHY];
};

/* https://data.iana.org/root-anchors/root-anchors.xml: the keys of 2017 and 2024. */
static const char ROOT[] =
    ". DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n"
    ". DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16\n";

struct anchors *anchors_new(void)
{
	struct anchors *a = mem_alloc(sizeof(*a));
	a->by_zone = map_new();
	return a;
}

static int free_entry(const void *key, size_t len, void *value, void *arg)
{
	struct entry *e = value;
	(void)key;
	(void)len;
	(void)arg;
	buf_free(&e->data[DS]);
	buf_free(&e->data[DNSKEY]);
	free(e);
	return 0;
}

void anchors_free(struct anchors **a)
{
	if (*a) {
		map_each((*a)->by_zone, free_entry, NULL);
		map_free(&(*a)->by_zone);
		free(*a);
	}
	*a = NULL;
}

/* The zone's entry, made when it is new; NULL: there are too many. */
static struct entry *entry_of(struct anchors *a, const uint8_t *zone)
{
	uint8_t name[DNS_NAME_MAX];
	size_t len = dns_name_len(zone);
	memcpy(name, zone, len);
	dns_name_lower(name);
	struct entry *e = map_get(a->by_zone, name, len);
	if (e || map_count(a->by_zone) >= ANCHOR_ZONES)
		return e;
	e = mem_alloc(sizeof(*e));
	memcpy(e->zone, name, len);
	map_set(a->by_zone, name, len, e);
	return e;
}

static struct slice rdata_of(const struct zone_rr *rr)
{
	return (struct slice){(const char *)rr->rdata, rr->rdlen};
}

static void append(struct entry *e, int kind, struct slice rdata)
{
	const uint8_t size[] = {(uint8_t)(rdata.len >> 8), (uint8_t)rdata.len};
	struct slice data = buf_slice(&e->data[kind]), old;
	while (rrset_next(&data, &old))
		if (slice_eq(old, rdata))
			return;
	buf_add(&e->data[kind], size, sizeof(size));
	buf_add_slice(&e->data[kind], rdata);
	e->n[kind]++;
}

/* --- text ------------------------------------------------------------------------------------- */

/* NULL, or why the record is none that trust may begin with. */
static const char *unfit(const struct zone_rr *rr)
{
	struct slice rdata = rdata_of(rr), one = rdata;
	uint8_t size[2 + UINT8_MAX] = {0};
	struct key k;
	uint16_t ede;
	if (rr->type == DNS_DNSKEY) {
		if (!key_read(rdata, &k) || k.protocol != 3 || !(k.flags & KEY_ZONE))
			return "it is not a key of a zone";
		if (k.flags & KEY_REVOKED)
			return "the key is revoked";
		return validate_algorithm(k.algorithm) ? NULL : "its algorithm is not supported";
	}
	if (rr->type != DNS_DS)
		return "a trust anchor is a DS or a DNSKEY record";
	if (one.len > UINT8_MAX)
		return "it is too long";
	size[1] = (uint8_t)one.len;
	memcpy(size + 2, one.p, one.len);
	struct rrset set = {
	    .owner = rr->owner, .type = DNS_DS, .n = 1, .data = {(char *)size, 2 + one.len}};
	return validate_ds(&set, &ede) == RRSET_SECURE ? NULL
						       : "its algorithm or digest is not supported";
}

static void complain(void *arg, const char *line)
{
	struct anchors *a = arg;
	if (!*a->why)
		str_fmt(a->why, sizeof(a->why), "%s", line);
}

static bool on_rr(void *arg, const struct zone_rr *rr)
{
	struct anchors *a = arg;
	struct entry *e;
	int kind = rr->type == DNS_DS ? DS : DNSKEY;
	const char *why = unfit(rr);
	if (!why && !(e = entry_of(a, rr->owner)))
		why = "there are too many trust anchors";
	if (!why && e->n[kind] >= ANCHOR_RECORDS)
		why = "there are too many trust anchors of that zone";
	if (why) {
		if (!*a->why)
			str_fmt(a->why, sizeof(a->why), "%s:%u: %s", rr->file, rr->line, why);
		return false;
	}
	append(e, kind, rdata_of(rr));
	return true;
}

bool anchors_add_text(struct anchors *a, struct slice text, const char **why)
{
	static const uint8_t root[] = {0};
	struct zonetext z = {.origin = root,
			     .ttl = 1,
			     .no_include = true,
			     .on_rr = on_rr,
			     .on_error = complain,
			     .arg = a};
	a->why[0] = 0;
	*why = a->why;
	if (text.len > TEXT_MAX)
		complain(a, "that is too long");
	else
		zonetext_memory(&z, "trust-anchor", text);
	return !*a->why;
}

void anchors_add_root(struct anchors *a)
{
	const char *why;
	anchors_add_text(a, SLICE(ROOT), &why);
}

bool anchors_add_negative(struct anchors *a, const uint8_t *zone)
{
	struct entry *e = entry_of(a, zone);
	if (e)
		e->negative = true;
	return e != NULL;
}

bool anchors_set(struct anchors *a, const uint8_t *zone, uint16_t type, const struct rrset *set)
{
	struct entry *e = entry_of(a, zone);
	int kind = type == DNS_DS ? DS : DNSKEY;
	struct slice data = set->data, rdata;
	if (!e)
		return false;
	buf_clear(&e->data[kind]);
	e->n[kind] = 0;
	for (unsigned i = 0; i < set->n && i < ANCHOR_RECORDS && rrset_next(&data, &rdata); i++)
		append(e, kind, rdata);
	return true;
}

/* --- finding ---------------------------------------------------------------------------------- */

static struct rrset view(const struct entry *e, int kind)
{
	return (struct rrset){.owner = e->zone,
			      .type = kind == DS ? DNS_DS : DNS_DNSKEY,
			      .n = e->n[kind],
			      .data = buf_slice(&e->data[kind])};
}

static void show(const struct entry *e, struct anchor *out)
{
	*out = (struct anchor){
	    .zone = e->zone, .negative = e->negative, .ds = view(e, DS), .dnskey = view(e, DNSKEY)};
}

bool anchors_find(const struct anchors *a, const uint8_t *name, struct anchor *out)
{
	for (size_t left = dns_name_len(name);;) {
		const struct entry *e = map_get(a->by_zone, name, left);
		if (e && (e->negative || e->n[DS] || e->n[DNSKEY])) {
			show(e, out);
			return true;
		}
		if (!*name)
			return false;
		left -= 1u + *name;
		name += 1u + *name;
	}
}

struct each {
	anchors_fn *fn;
	void *arg;
};

static int each_entry(const void *key, size_t len, void *value, void *arg)
{
	const struct each *e = arg;
	struct anchor out;
	(void)key;
	(void)len;
	show(value, &out);
	e->fn(e->arg, &out);
	return 0;
}

void anchors_each(const struct anchors *a, anchors_fn *fn, void *arg)
{
	struct each e = {fn, arg};
	map_each(a->by_zone, each_entry, &e);
}
