/* Whether the parents of signed zones have the DS records that they should: asked of the recursive
 * servers as long as a zone waits for that, soon at first, then every few minutes. All others are
 * asked about now and then, for a zone whose keys were lost looks well from here. Every process
 * does it for itself: it is little, and who comes second finds it done. */
#include <stdlib.h>
#include "dnsd/sign/dnssec.h"
#include "dnsd/sign/sign.h"
#include "dnsd/alias/resolver.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"

enum { SOON_MS = 3000, EVERY_MS = 300000, ALL_MS = 3600000 };

struct question {
	unsigned number;
	uint8_t zone[DNS_NAME_MAX];
};

static struct {
	struct timer timer;
	uint64_t wait_ms; /* until it is asked again: longer and longer */
	uint64_t next;    /* clock_mono() of the next time */
	uint64_t all;     /* clock_mono() when all zones are asked about */
} self;

/* The DS records are those that the zone asks for by CDS (RFC 7344 4.1), or there are none and it
 * asks for none (RFC 8078 4). */
static bool as_asked(const struct image *i, const struct stub_answer *a)
{
	static const uint8_t none[] = {0, 0, 0, 0, 0};
	static uint8_t rdata[DNS_RDATA_MAX];
	struct image_match m;
	struct piece p;
	struct image_rr rr;
	size_t n = a->kind == STUB_OK ? a->n : 0, found = 0;
	bool ok = true;
	if (!image_apex(i, &m) || !image_piece(i, m.node, PART_ANSWER, DNS_CDS, &p))
		return false;
	for (size_t at = 0; image_rr(&m, &p, &p, &at, &rr) && ok;) {
		size_t len = image_rdata(&m, &p, &p, &rr, rdata, &ok);
		if (len == sizeof(none) && !memcmp(rdata, none, len))
			return n == 0;
		for (size_t k = 0; k < n; k++)
			found += a->rr[k].data.len == len && !memcmp(a->rr[k].data.p, rdata, len);
	}
	return ok && n > 0 && found == n && found == p.records;
}

/* The DS is of the key. Of digests other than SHA-256 the rest has to do. */
static bool is_of(const uint8_t *zone, const uint8_t *ds, size_t len, const uint8_t *key)
{
	uint8_t want[SIGN_DS];
	sign_ds(zone, key, want);
	return len > 4 && !memcmp(ds, want, 3) &&
	       (ds[3] != want[3] || (len == SIGN_DS && !memcmp(ds, want, len)));
}

/* One of the DS records is of a key of the zone. */
static bool some_match(const struct image *i, const struct stub_answer *a)
{
	static uint8_t key[DNS_RDATA_MAX];
	struct image_match m;
	struct piece p;
	struct image_rr rr;
	bool ok = true;
	if (!image_apex(i, &m) || !image_piece(i, m.node, PART_ANSWER, DNS_DNSKEY, &p))
		return false;
	for (size_t at = 0; image_rr(&m, &p, &p, &at, &rr) && ok;) {
		if (image_rdata(&m, &p, &p, &rr, key, &ok) != SIGN_DNSKEY || !ok)
			continue;
		for (size_t k = 0; k < a->n; k++)
			if (is_of(image_zone(i), (const uint8_t *)a->rr[k].data.p,
				  a->rr[k].data.len, key))
				return true;
	}
	return false;
}

/* A zone that nobody who checks signatures believes is told of loudly, and as long as it is so. */
static void look_match(const struct served *s, const struct stub_answer *a)
{
	static const char why[] = "none of the DS records that its parent has is of a key of this "
				  "zone, which is wrong for all who check: restore keyd's state, "
				  "or: hamletctl zone dnssec NAME --emergency";
	bool mismatch = a->kind == STUB_OK && a->n && !some_match(s->image, a);
	if (mismatch)
		log_event(LOG_LV_ERROR, NULL, "zone-mismatch", LS("zone", s->name), LU("ds", a->n),
			  LS("reason", why));
	else if (s->mismatch)
		log_event(LOG_LV_INFO, NULL, "zone-match", LS("zone", s->name));
	load_mismatch(s->number, mismatch);
}

static bool is_signed(const struct served *s)
{
	return s && s->image && image_origin(s->image)->dnssec & IMAGE_SIGNED;
}

static bool awaits(const struct served *s)
{
	return s && s->image && image_origin(s->image)->dnssec & IMAGE_AWAITS_PARENT;
}

static void on_answer(const struct stub_answer *a, void *arg)
{
	struct question *q = arg;
	const struct served *s = load_zone(q->number);
	bool said = a->kind == STUB_OK || a->kind == STUB_NODATA || a->kind == STUB_NXDOMAIN;
	if (said && is_signed(s) && dns_name_eq(s->wire, q->zone))
		look_match(s, a);
	if (said && awaits(s) && dns_name_eq(s->wire, q->zone) && as_asked(s->image, a)) {
		log_event(LOG_LV_INFO, NULL, "zone-parent", LS("zone", s->name),
			  LU("ds", a->kind == STUB_OK ? a->n : 0));
		load_dnssec(s->number, DNSSEC_PARENT, a->ttl);
	}
	free(q);
}

static void ask(const struct served *s)
{
	struct question *q = mem_alloc(sizeof(*q));
	char name[DNS_NAME_TEXT];
	size_t len = dns_name_text(name, s->wire);
	q->number = s->number;
	memcpy(q->zone, s->wire, dns_name_len(s->wire));
	if (!stub_ask(resolver(), (struct slice){name, len}, DNS_DS, on_answer, q))
		free(q);
}

static void on_timer(struct timer *t)
{
	bool all = clock_mono() >= self.all;
	for (unsigned i = 0; i < load_end(); i++) {
		const struct served *s = load_zone(i);
		if (awaits(s) || (is_signed(s) && (all || s->mismatch)))
			ask(s);
	}
	if (all)
		self.all = clock_mono() + ALL_MS;
	self.wait_ms = 2 * self.wait_ms < EVERY_MS ? 2 * self.wait_ms : EVERY_MS;
	self.next = clock_mono() + self.wait_ms;
	timer_set(t, self.wait_ms, on_timer);
}

void parent_look(void)
{
	self.wait_ms = SOON_MS;
	if (clock_mono() + SOON_MS >= self.next)
		return;
	self.next = clock_mono() + SOON_MS;
	timer_set(&self.timer, SOON_MS, on_timer);
}

static void on_change(unsigned zone, uint32_t before, uint32_t serial)
{
	const struct served *s = load_zone(zone);
	(void)serial;
	if (is_signed(s) && (!before || s->mismatch))
		self.all = 0; /* a key may have been made in the place of one that was lost */
	if (is_signed(s) && (!before || awaits(s) || s->mismatch))
		parent_look();
}

void parent_start(void)
{
	load_changed(on_change);
	self.next = UINT64_MAX;
	parent_look();
}
