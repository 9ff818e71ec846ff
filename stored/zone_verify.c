/* Every chunk of every zone, as if it came from outside. */
#include "libcommon/base/clock.h"
#include "stored/zone.h"

struct verify {
	struct zone_tx t;
	const struct zone *z;
	const char *name;
	struct zone_run run;
	struct zone_check check;
	void (*fn)(void *arg, const char *finding);
	void *arg;
};

static void found(struct verify *v, const char *what)
{
	char text[DNS_NAME_TEXT + 300];
	str_fmt(text, sizeof(text), "zone %s: %s", v->name, what);
	v->fn(v->arg, text);
}

static bool one(struct verify *v, const struct zone_piece *p)
{
	struct zone_fault fault;
	uint8_t first[ZONE_KEY_MAX];
	size_t first_len = 0;
	uint32_t records;
	char why[DNS_NAME_TEXT + 200];
	if (!zone_chunk_check(&v->run, p->data, &v->check, &records, &first_len, first, &fault)) {
		zone_fault_text(&fault, why, sizeof(why));
		found(v, why);
		return false;
	}
	if (records != p->records)
		found(v, "a chunk counts another number of records than it has");
	if (!slice_eq(p->first, (struct slice){(const char *)first, first_len}) ||
	    !slice_eq(p->last, (struct slice){(const char *)v->run.last, v->run.last_len}))
		found(v, "a chunk stands under another name than its own");
	return true;
}

static void every_chunk(struct verify *v)
{
	uint8_t key[ZONE_KEY_MAX];
	struct slice at = SLICE("");
	struct zone_piece p;
	const char *why;
	bool good = true;
	enum ipc_err e = zone_piece_at(&v->t, v->z->generation, at, &p);
	while (e == ERR_OK && good) {
		good = one(v, &p) && p.first.len <= sizeof(key);
		if (!good)
			break;
		at = (struct slice){(const char *)key, p.first.len};
		memcpy(key, p.first.p, p.first.len);
		pool_clear(v->t.pool);
		e = zone_piece_after(&v->t, v->z->generation, at, &p);
	}
	if (good && e != ERR_NOTFOUND)
		found(v, "it cannot be read");
	else if (good && !zone_check_end(&v->check, &why))
		found(v, why);
	else if (good && v->check.serial != v->z->serial)
		found(v, "its serial is not that of its SOA");
}

void zone_verify(struct base *b, void (*fn)(void *arg, const char *finding), void *arg)
{
	struct pool *pool = pool_new(0);
	struct zone z = {0};
	size_t n = 1;
	while (n) {
		struct zone_tx t = {b, pool, clock_ms(), NULL};
		pool_clear(pool);
		if (zone_list(&t, z.id, &z, 1, &n) != ERR_OK) {
			fn(arg, "the zones cannot be listed");
			break;
		}
		if (!n)
			break;
		struct verify v = {.t = t, .z = &z, .fn = fn, .arg = arg};
		v.t.pool = pool_new(64 << 10);
		v.name = zone_text(pool, z.name);
		v.run =
		    (struct zone_run){.zone = (const uint8_t *)z.name.p, .zone_len = z.name.len};
		zone_check_init(&v.check, v.run.zone, z.source == ZONE_STORE);
		every_chunk(&v);
		pool_free(&v.t.pool);
	}
	pool_free(&pool);
}
