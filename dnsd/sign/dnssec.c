#include "dnsd/sign/dnssec.h"
#include <stdlib.h>
#include "dnsd/image/image_maker.h"
#include "dnsd/sign/rollover.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/sip.h"
#include "libcommon/ipc/zone_key.h"

enum {
	KEYD_MS = 10000,     /* of a batch of signatures */
	QUIET_MS = 3000,     /* keyd is not asked again so soon after it has not answered */
	STEPS = 32,          /* of the keys at once: more would be a mistake of ours */
	EARLY = 50000,       /* signatures renewed in one build while they are not urgent */
	REFRESH_MAX = 86400, /* seconds that secondaries are waited for */
};

struct dnssec {
	struct compile *c;
	const struct image *before;
	struct pool *pool;
	struct slice zone;
	struct roll roll;
	struct sign sign;
	bool lost; /* the zone was signed before, and nothing of that is here */
};

static const uint8_t HASH_KEY[SIP_KEY] = {1};

static struct zone_keys *keyd;
static uint64_t silent; /* clock_mono() when keyd had not answered; 0: it has */

void dnssec_start(const char *socket)
{
	if (socket)
		keyd = zone_keys_client(socket, ROLE_DNSD, KEYD_MS);
}

uint64_t dnssec_settings(const struct zone_conf *z)
{
	const struct dnssec_conf *d = &z->dnssec;
	const uint64_t all[] = {d->nsec3, d->zonemd, d->lifetime, d->refresh, d->interval};
	return d->on ? sip13(HASH_KEY, all, sizeof(all)) | 1 : 0;
}

bool dnssec_is_due(const struct zone_conf *z, const struct image *i)
{
	const struct image_origin *o = image_origin(i);
	return (o->due && o->due <= clock_sec()) || o->settings != dnssec_settings(z);
}

/* The zone's own name has the record in the image. */
static bool apex_has(const struct image *i, uint16_t type, const uint8_t *rdata, size_t len)
{
	static uint8_t have[DNS_RDATA_MAX];
	struct image_match m;
	struct piece p;
	struct image_rr rr;
	bool ok;
	if (!i || !image_apex(i, &m) || !image_piece(i, m.node, PART_ANSWER, type, &p))
		return false;
	for (size_t at = 0; image_rr(&m, &p, &p, &at, &rr);)
		if (image_rdata(&m, &p, &p, &rr, have, &ok) == len && ok &&
		    !memcmp(have, rdata, len))
			return true;
	return false;
}

/* --- keys ------------------------------------------------------------------------------------- */

/* What keyd says, into the state machine. False: it does not, or not what we understand. */
static bool take(struct dnssec *d, const struct msg_zone_keyset *set)
{
	struct roll *r = &d->roll;
	const char *why;
	if (!set) {
		enum ipc_err e = zone_keys_error(keyd, &why);
		d->c->again = e == ERR_LOST || e == ERR_TEMP;
		silent = d->c->again ? clock_mono() : 0;
		compile_failed(d->c, "dnssec", why);
		return false;
	}
	r->keys = 0;
	for (uint32_t i = 0; i < set->keys_n; i++) {
		const struct row_zone_key *k = &set->keys[i];
		/* A state that is not known says nothing of what may be done with the key. */
		if (k->dnskey.len != SIGN_DNSKEY || k->dnskey.p[3] != SIGN_ALGORITHM ||
		    k->state >= ROLL_STATES || r->keys == SIGN_KEYS) {
			compile_failed(d->c, "dnssec", "keyd has keys that are not known here");
			return false;
		}
		struct roll_key *to = &r->key[r->keys++];
		*to = (struct roll_key){.id = k->id,
					.since = k->since_ms,
					.until = k->until_ms,
					.state = (enum roll_state)k->state};
		memcpy(to->dnskey, k->dnskey.p, SIGN_DNSKEY);
		to->served = apex_has(d->before, DNS_DNSKEY, to->dnskey, SIGN_DNSKEY);
	}
	return true;
}

static void say(struct dnssec *d, uint64_t id, const char *what)
{
	for (unsigned i = 0; i < d->roll.keys; i++)
		if (d->roll.key[i].id == id)
			buf_printf(&d->c->errors, "dnssec: key %u: %s\n",
				   sign_key_tag(d->roll.key[i].dnskey, SIGN_DNSKEY), what);
}

static bool apply(struct dnssec *d, const struct roll_act *a)
{
	switch (a->what) {
	case ROLL_MAKE:
		d->roll.replace = false;
		return take(d, zone_keys_new(keyd, d->pool, d->zone, SIGN_ALGORITHM));
	case ROLL_DELETE:
		say(d, a->id, "deleted");
		return take(d, zone_keys_delete(keyd, d->pool, d->zone, a->id));
	default:
		say(d, a->id, rollover_state_text(a->state));
		return take(
		    d, zone_keys_set(keyd, d->pool, d->zone, a->id, (uint32_t)a->state, a->until));
	}
}

/* Moves the keys as far as they can go now. */
static bool advance(struct dnssec *d)
{
	bool awaited = rollover_awaits_parent(&d->roll);
	unsigned step = 0, keys = d->roll.keys;
	d->roll.parent_done &= awaited;
	bool lost = d->roll.emergency && keys == 1 && d->roll.key[0].state == ROLL_NEW;
	if (d->roll.replace && !lost &&
	    (keys != 1 ||
	     (d->roll.key[0].state != ROLL_ACTIVE && d->roll.key[0].state != ROLL_FRESH)))
		buf_adds(&d->c->errors, "warning: dnssec: the key cannot be replaced now\n");
	for (; step < STEPS; step++) {
		struct roll_act a = rollover_next(&d->roll);
		if (a.what == ROLL_NOTHING)
			break;
		if (!apply(d, &a))
			return false;
	}
	if (step && d->roll.keys)
		rollover_text(&d->roll, d->c->zone, &d->c->errors);
	return true;
}

/* --- a build ---------------------------------------------------------------------------------- */

static struct slice zone_of(const struct compile *c)
{
	return (struct slice){(const char *)c->zone, dns_name_len(c->zone)};
}

static struct dnssec *new_of(struct compile *c, const struct image *before)
{
	const struct dnssec_conf *conf_of = &c->conf->dnssec;
	struct dnssec *d = mem_alloc(sizeof(*d));
	d->c = c;
	d->before = before;
	d->pool = pool_new(0);
	d->zone = zone_of(c);
	d->roll = (struct roll){.wanted = conf_of->on,
				.now = clock_ms(),
				.interval = conf_of->interval == CONF_NEVER ? 0 : conf_of->interval,
				.replace = c->dnssec & DNSSEC_REPLACE,
				.emergency = c->dnssec & DNSSEC_EMERGENCY,
				.parent_done = c->dnssec & DNSSEC_PARENT,
				.ds_ms = c->ds_ttl * 1000ull};
	return d;
}

/* Each zone would wait for a keyd that is not there. */
static bool asked_in_vain(struct compile *c)
{
	if (keyd && (!silent || clock_mono() - silent > QUIET_MS))
		return false;
	c->again = true;
	compile_failed(c, "dnssec", keyd ? "keyd does not answer" : "there is no keyd");
	return true;
}

/* Views share a zone's keys: what one of them does not sign takes nothing from those that do. */
static bool signed_elsewhere(const struct compile *c)
{
	for (unsigned view = 0; view <= conf.views.n; view++) {
		const struct zone_conf *z = conf_zone_in(view, c->zone);
		if (z != c->conf && z->name && z->dnssec.on)
			return true;
	}
	return false;
}

/* keyd knows better than a state folder that was lost whether the zone was signed. */
static bool has_keys(const struct compile *c)
{
	if (!keyd || (silent && clock_mono() - silent <= QUIET_MS))
		return false;
	struct pool *pool = pool_new(0);
	const struct msg_zone_keyset *set = zone_keys_get(keyd, pool, zone_of(c), 0);
	const char *why;
	enum ipc_err e = set ? ERR_OK : zone_keys_error(keyd, &why);
	silent = e == ERR_LOST || e == ERR_TEMP ? clock_mono() : 0;
	bool some = set && set->keys_n;
	pool_free(&pool);
	return some;
}

/* To be signed; or it was, and that must come to its end in order. */
static bool is_wanted(const struct compile *c, const struct image *before)
{
	if (c->conf->dnssec.on)
		return true;
	if (before && !image_origin(before)->dnssec)
		return false;
	return !signed_elsewhere(c) && (before || has_keys(c));
}

static bool keys_are_old(const struct roll *r)
{
	bool old = false;
	for (unsigned i = 0; i < r->keys; i++)
		old |= r->key[i].state != ROLL_FRESH;
	return old;
}

bool dnssec_lost(const struct dnssec *d)
{
	return d && d->lost;
}

struct dnssec *dnssec_begin(struct compile *c, const struct image *before)
{
	bool was = before && image_origin(before)->dnssec;
	static const char lost[] =
	    "keyd has lost the key of this zone: restore its state; if it is "
	    "gone for good, hamletctl zone dnssec NAME --emergency makes "
	    "another, and the parent must replace its DS record";
	if (!is_wanted(c, before) || asked_in_vain(c))
		return NULL;
	struct dnssec *d = new_of(c, before);
	/* A new key in the place of one that the parent vouches for would make the zone wrong. */
	bool may_make = c->conf->dnssec.on && (!was || c->dnssec & DNSSEC_EMERGENCY);
	if (!take(d, zone_keys_get(keyd, d->pool, d->zone, may_make ? SIGN_ALGORITHM : 0))) {
		dnssec_end(&d);
	} else if (c->conf->dnssec.on && !d->roll.keys) {
		compile_failed(c, "dnssec", lost);
		dnssec_end(&d);
	} else {
		d->lost = !before && keys_are_old(&d->roll);
	}
	return d;
}

void dnssec_end(struct dnssec **d)
{
	if (!*d)
		return;
	pool_free(&(*d)->pool);
	free(*d);
	*d = NULL;
}

static bool batch(void *arg, uint64_t key, const struct slice *data, size_t n,
		  uint8_t (*signature)[SIGN_OCTETS], const char **why)
{
	struct dnssec *d = arg;
	struct slice out[SIGN_BATCH];
	struct pool *pool = pool_new(0);
	bool ok = zone_keys_sign(keyd, pool, d->zone, key, data, n, out);
	if (!ok) {
		zone_keys_error(keyd, why);
		d->c->again = true;
	}
	for (size_t i = 0; i < n && ok; i++) {
		ok = out[i].len == SIGN_OCTETS;
		if (ok)
			memcpy(signature[i], out[i].p, SIGN_OCTETS);
		else
			*why = "keyd: a signature of another size";
	}
	pool_free(&pool);
	return ok;
}

static void longest_of(const struct image *i, uint32_t *ttl, uint32_t *refresh)
{
	struct image_walk w;
	struct zone_rr rr;
	struct image_soa soa;
	image_walk_begin(&w, i);
	while (image_walk_name(&w))
		while (image_walk_rr(&w, &rr))
			if (rr.ttl > *ttl && !image_is_signers(rr.type))
				*ttl = rr.ttl;
	if (image_soa(i, &soa) && dns_u32(soa.rdata + soa.len - 16) > *refresh)
		*refresh = dns_u32(soa.rdata + soa.len - 16);
}

/* The zones of that name in other views have the same keys, and TTLs of their own. */
static void longest_elsewhere(struct dnssec *d, uint32_t *ttl, uint32_t *refresh)
{
	for (unsigned view = 0; view <= conf.views.n && conf.views.n; view++) {
		const struct zone_conf *z = conf_zone_in(view, d->c->zone);
		const char *name = compile_image_name_in(d->pool, view, d->c->zone), *why;
		if (!strcmp(name, d->c->image))
			continue;
		struct image *i = image_open(d->c->state, name, &why);
		if (i)
			longest_of(i, ttl, refresh);
		else
			d->roll.unseen |= z->name && z->dnssec.on;
		image_close(&i);
	}
}

/* A key is going to begin its life, or one may. */
static bool key_begins(const struct roll *r)
{
	bool begins = !r->keys || r->replace || r->interval;
	for (unsigned i = 0; i < r->keys; i++)
		begins |= r->key[i].state == ROLL_FRESH;
	return begins;
}

/* How long caches keep what they have of the zone, and secondaries serve it. */
static void waits(struct dnssec *d, const struct image_maker *m)
{
	struct rrset s;
	uint32_t longest = 0, refresh = 0;
	for (uint32_t i = 0; i < m->records; i++)
		if (m->record[i].ttl > longest)
			longest = m->record[i].ttl;
	if (maker_rrset(m, &m->name[0], DNS_SOA, 0, &s)) {
		const struct record *r = &m->record[s.record[0]];
		refresh = dns_u32(r->data + r->len - 16);
	}
	if (key_begins(&d->roll))
		longest_elsewhere(d, &longest, &refresh);
	if (refresh > REFRESH_MAX)
		refresh = REFRESH_MAX;
	/* Until now nobody has seen a DNSKEY of a zone that is being signed the first time. */
	bool signed_before = d->before && image_origin(d->before)->dnssec;
	if (signed_before && longest < SIGN_TTL)
		longest = SIGN_TTL;
	d->roll.wait_data = (longest + (uint64_t)refresh) * 1000;
	d->roll.wait_keys = (SIGN_TTL + (uint64_t)refresh) * 1000;
}

/* Of the keys, and of which of them the parent is to know. */
static uint64_t hash_of(const struct sign *s)
{
	uint64_t sum = s->cds_delete;
	for (unsigned i = 0; i < s->keys; i++) {
		const uint64_t part[] = {sum, s->key[i].cds,
					 sip13(HASH_KEY, s->key[i].dnskey, SIGN_DNSKEY)};
		sum = sip13(HASH_KEY, part, sizeof(part));
	}
	return sum;
}

/* An overlay has the keys, and what is asked of the parent, as they were. */
static bool keys_as_before(const struct dnssec *d)
{
	const struct image_origin *o = image_origin(d->before);
	bool awaits = o->dnssec & IMAGE_AWAITS_PARENT;
	return hash_of(&d->sign) == o->keys && rollover_awaits_parent(&d->roll) == awaits;
}

/* The keys go on as they can; an overlay has no part in that. False: it was told. */
static bool keys_are_ready(struct dnssec *d, struct image_maker *m)
{
	if (!m->patch && advance(d))
		return true;
	if (!m->patch)
		m->stats.errors++;
	else
		m->patch->failed = !d->roll.keys || rollover_next(&d->roll).what != ROLL_NOTHING;
	return m->patch && !m->patch->failed;
}

bool dnssec_sign(void *arg, struct image_maker *m)
{
	struct dnssec *d = arg;
	const struct dnssec_conf *conf_of = &d->c->conf->dnssec;
	waits(d, m);
	if (!keys_are_ready(d, m))
		return false;
	m->origin.dnssec = 0;
	m->origin.due = 0;
	if (!d->roll.keys)
		return true;
	d->sign = (struct sign){.nsec3 = conf_of->nsec3,
				.zonemd = conf_of->zonemd,
				.now = clock_sec(),
				.lifetime = conf_of->lifetime / 1000,
				.refresh = conf_of->refresh / 1000,
				.most = EARLY,
				.before = d->before,
				.batch = batch,
				.arg = d};
	rollover_publish(&d->roll, &d->sign);
	if (m->patch && !keys_as_before(d)) {
		m->patch->failed = true;
		return false;
	}
	if (!sign_zone(&d->sign, m))
		return false;
	/* What it does not have is due as before. */
	uint64_t others = m->patch ? image_origin(d->before)->due : 0;
	if (others && (!d->sign.due || others < d->sign.due))
		d->sign.due = others;
	uint64_t next = (rollover_due(&d->roll) + 999) / 1000;
	m->origin.due = next && next < d->sign.due ? next : d->sign.due;
	m->origin.dnssec = IMAGE_SIGNED;
	m->origin.keys = hash_of(&d->sign);
	if (rollover_awaits_parent(&d->roll))
		m->origin.dnssec |= IMAGE_AWAITS_PARENT;
	return true;
}

/* --- for people ------------------------------------------------------------------------------- */

static void tell_key(const struct dnssec *d, const struct roll_key *k, bool rows)
{
	struct buf *out = &d->c->errors, ds = {0}, next = {0};
	uint8_t rdata[SIGN_DS];
	char since[32];
	unsigned tag = sign_key_tag(k->dnskey, SIGN_DNSKEY);
	clock_iso(since, sizeof(since), k->since);
	sign_ds(d->c->zone, k->dnskey, rdata);
	dns_rdata_text(DNS_DS, rdata, SIGN_DS, &ds);
	rollover_text(&d->roll, d->c->zone, &next);
	for (size_t i = 0; i < next.len; i++)
		if (next.p[i] == '\n')
			next.p[i] = ' ';
	if (rows)
		buf_printf(out,
			   "key=%u algorithm=ECDSAP256SHA256 state=%s since=%s \"ds=%s\" "
			   "\"next=%.*s\"\n",
			   tag, rollover_state_text(k->state), since, buf_cstr(&ds),
			   SLICE_FMT(slice_trim(buf_slice(&next))));
	else
		buf_printf(out, "key %u, ECDSAP256SHA256, %s since %.10s %.5s UTC\n  DS %s\n", tag,
			   rollover_state_text(k->state), since, since + 11, buf_cstr(&ds));
	buf_free(&ds);
	buf_free(&next);
}

static void tell_zone(const struct dnssec *d)
{
	char due[32];
	const struct image_origin *o = d->before ? image_origin(d->before) : NULL;
	if (!o || !o->dnssec)
		return;
	clock_iso(due, sizeof(due), o->due * 1000);
	buf_printf(&d->c->errors,
		   "signed with %s, serial %u; the next signatures or keys are due on %.10s %.5s "
		   "UTC\n",
		   image_denial_type(d->before) == DNS_NSEC3 ? "NSEC3" : "NSEC",
		   image_serial(d->before), due, due + 11);
}

void dnssec_tell(struct compile *c, const struct image *served)
{
	bool rows = c->dnssec & DNSSEC_ROWS;
	if (asked_in_vain(c))
		return;
	struct dnssec *d = new_of(c, served);
	if (take(d, zone_keys_get(keyd, d->pool, d->zone, 0))) {
		if (!rows)
			tell_zone(d);
		for (unsigned i = 0; i < d->roll.keys; i++)
			tell_key(d, &d->roll.key[i], rows);
		if (!rows)
			rollover_text(&d->roll, c->zone, &c->errors);
	}
	dnssec_end(&d);
}
