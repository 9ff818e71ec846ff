/* Trust anchors at work: the keys of their zones are asked for in the intervals of RFC 5011, and
 * what was learned is kept in the state folder. Every process does so for itself; what they learn
 * is the same. */
#include "dnsd/image/beside.h"
#include "dnsd/recurse/recurse_int.h"
#include "dnsd/validate/anchor_roll.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/net/loop.h"

enum { LOOK_MS = 3600 * 1000, FIRST_MS = 10000 };
/* The file trust.anchors. */
static const char name[] = "trust", what[] = "anchors";

static struct {
	struct anchor_roll *roll;
	struct timer timer;
	struct resolution *resolution;
	const uint8_t *zone; /* that is asked for its keys */
} self;

static void look(struct timer *t);

static void save(void)
{
	struct buf text = {0};
	anchor_roll_save(self.roll, &text);
	if (!beside_write(recurse_self.state, name, what, buf_slice(&text)))
		log_event(LOG_LV_ERROR, NULL, "anchors-not-saved", LS("file", "trust.anchors"));
	else
		log_event(LOG_LV_INFO, NULL, "anchors-changed", LS("file", "trust.anchors"));
	buf_free(&text);
}

static void on_keys(void *arg, const struct resolved *r)
{
	const struct cached *c = r->n ? &r->part[r->n - 1] : NULL;
	(void)arg;
	self.resolution = NULL;
	if (c && c->kind == CACHE_RRSET && c->set.type == DNS_DNSKEY &&
	    c->security == RRSET_SECURE) {
		if (anchor_roll_seen(self.roll, &c->set, clock_sec()))
			save();
	} else {
		anchor_roll_failed(self.roll, self.zone, clock_sec());
	}
	look(&self.timer);
}

/* The clock may be set: what is due later is looked at again. */
static void look(struct timer *t)
{
	uint64_t when = 0, now = clock_sec();
	self.zone = anchor_roll_next(self.roll, &when);
	if (!self.zone)
		return;
	if (when > now) {
		uint64_t ms = (when - now) * 1000;
		timer_set(t, ms < LOOK_MS ? ms : LOOK_MS, look);
		return;
	}
	const struct resolve_ask ask = {.name = self.zone, .type = DNS_DNSKEY, .renew = true};
	self.resolution = resolve(&ask, on_keys, NULL);
	if (!self.resolution)
		timer_set(t, FIRST_MS, look);
}

void recurse_anchors_start(void)
{
	struct buf text;
	const char *why;
	if (!conf_anchors())
		return;
	self.roll = anchor_roll_new(conf_anchors());
	if (beside_read(recurse_self.state, name, what, ANCHOR_ROLL_TEXT, &text) &&
	    !anchor_roll_load(self.roll, buf_slice(&text), &why))
		log_event(LOG_LV_ERROR, NULL, "anchors-damaged", LS("file", "trust.anchors"),
			  LS("reason", why));
	buf_free(&text);
	resolve_anchors(conf_anchors());
	timer_set(&self.timer, FIRST_MS, look);
}

void recurse_anchors_stop(void)
{
	timer_clear(&self.timer);
	if (self.resolution)
		resolve_cancel(&self.resolution);
	resolve_anchors(NULL);
	anchor_roll_free(&self.roll);
}
