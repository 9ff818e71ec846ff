/* A catalog of ours as a source: a record for each zone that we are a primary of, or that dnsd.conf
 * names as a secondary. What other catalogs brought here is not passed on: two servers that list
 * each other's zones would keep them for ever. */
#include "dnsd/catalog/catalog.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/sip.h"
#include "libcommon/ipc/msg.h"

enum {
	LABEL = 16, /* digits of a member's label */
	REFRESH = 3600,
	RETRY = 600,
	EXPIRE = 28 * 24 * 3600,
	MINIMUM = 3600,
};

static const uint8_t label_key[SIP_KEY] = "catalog: labels", sum_key[SIP_KEY] = "catalog: sum of";

struct members {
	struct compile *c;
	struct image_maker *maker; /* NULL: only the version is wanted */
	uint64_t version;
	const char *why; /* NULL: all went well */
};

static void add(struct members *m, const uint8_t *owner, uint16_t type, const void *rdata,
		size_t len)
{
	const char *why;
	if (!image_add(m->maker, owner, type, 0, rdata, len, &why))
		m->why = why;
}

/* id: of the zone in the store, so that one that was deleted and made again has another label: a
 * secondary fetches it whole (RFC 9432 5.4). */
static void add_member(struct members *m, const uint8_t *wire, uint64_t id)
{
	static const char zones[] = "\5zones";
	uint8_t what[DNS_NAME_MAX + sizeof(id)], owner[DNS_NAME_MAX + 1];
	size_t len = dns_name_len(wire);
	memcpy(what, wire, len);
	for (size_t i = 0; i < sizeof(id); i++)
		what[len + i] = (uint8_t)(id >> 8 * i);
	m->version += sip24(sum_key, what, len + sizeof(id));
	if (!m->maker)
		return;
	uint64_t label = sip24(label_key, what, len + sizeof(id));
	owner[0] = LABEL;
	for (int i = 0; i < LABEL; i++)
		owner[1 + i] = (uint8_t) "0123456789abcdef"[label >> 4 * i & 15];
	memcpy(owner + 1 + LABEL, zones, sizeof(zones) - 1);
	memcpy(owner + LABEL + sizeof(zones), m->c->zone, dns_name_len(m->c->zone));
	add(m, owner, DNS_PTR, wire, len);
}

static void on_row(void *arg, const struct row_zone *row)
{
	struct members *m = arg;
	uint8_t wire[DNS_NAME_MAX];
	if (row->source != ZONE_STORE ||
	    dns_name_check((const uint8_t *)row->name.p, row->name.len) != row->name.len)
		return;
	memcpy(wire, row->name.p, row->name.len);
	dns_name_lower(wire);
	const struct zone_conf *z = conf_zone(wire);
	if (z->listed && !z->text && !z->primaries_n)
		add_member(m, wire, row->id);
}

static bool each(struct members *m)
{
	const struct zone_conf *z;
	for (size_t i = 0; (z = conf_zone_at(i)); i++)
		if (z->listed && !z->view && (z->text || z->primaries_n))
			add_member(m, z->wire, 0);
	return !conf.store || store_rows(m->c->store, on_row, m, &m->why);
}

/* Who is not the builder does not know. */
bool catalog_version(struct compile *c, struct image_origin *out, const char **why)
{
	struct members m = {.c = c};
	*why = "it is not known here";
	if (conf.store && !c->store)
		return false;
	if (!each(&m)) {
		*why = m.why;
		return false;
	}
	*out = (struct image_origin){.id = CATALOG_ORIGIN, .version = m.version};
	return true;
}

static size_t put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 3; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
	return 4;
}

static void add_head(struct members *m)
{
	static const uint8_t invalid[] = "\7invalid", version[] = "\1"
								  "2";
	uint8_t soa[2 * sizeof(invalid) + 20], owner[DNS_NAME_MAX] = "\7version";
	/* The time: also when the image was lost a later one than that before. */
	const uint32_t times[] = {(uint32_t)clock_sec(), REFRESH, RETRY, EXPIRE, MINIMUM};
	size_t n = 2 * sizeof(invalid);
	memcpy(soa, invalid, sizeof(invalid));
	memcpy(soa + sizeof(invalid), invalid, sizeof(invalid));
	for (int i = 0; i < 5; i++)
		n += put_u32(soa + n, times[i]);
	add(m, m->c->zone, DNS_SOA, soa, n);
	add(m, m->c->zone, DNS_NS, invalid, sizeof(invalid));
	memcpy(owner + 8, m->c->zone, dns_name_len(m->c->zone));
	add(m, owner, DNS_TXT, version, sizeof(version) - 1);
}

bool catalog_records(struct compile *c, struct image_maker *maker, struct image_origin *origin)
{
	struct members m = {.c = c, .maker = maker};
	add_head(&m);
	bool ok = each(&m) && !m.why;
	if (!ok)
		compile_failed(c, "catalog", m.why);
	origin->version = m.version;
	return ok;
}
