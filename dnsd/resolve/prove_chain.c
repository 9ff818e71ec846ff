/* From a trust anchor down to the zone that has signed, or to where signing ends. */
#include "dnsd/resolve/prove.h"
#include "libcommon/dns/rdata.h"

const struct anchors *prove_anchors;

static void brought(struct wait *w, const struct result *r)
{
	struct task *t = w->arg;
	struct prove *p = t->prove;
	p->got.c = put_copy(p->pool, &r->c);
	memcpy(p->got.why, r->why, sizeof(r->why));
	p->answered = true;
	task_wake(t);
}

/* What another task says, or the cache: p->got. */
static enum prove_got get(struct task *t, struct prove *p, const uint8_t *name, uint16_t type,
			  enum task_mode mode)
{
	struct cached c;
	if (wait_is_on(&p->wait))
		return GOT_WAIT;
	if (!p->answered) {
		p->got.why[0] = '\0';
		if (step_known(t->run->cache, t->run->space, name, type, mode, task_now(), false,
			       &c)) {
			p->got.c = put_copy(p->pool, &c);
		} else {
			p->wait = (struct wait){.by = t, .fn = brought, .arg = t};
			if (task_wait(&p->wait, t->run, name, type, mode))
				return GOT_WAIT;
			p->got.c = (struct cached){.kind = CACHE_FAILURE, .ede = EDE_OTHER};
			str_fmt(p->got.why, sizeof(p->got.why),
				"questions that wait for each other");
		}
	}
	p->answered = false;
	if (p->got.c.kind != CACHE_FAILURE)
		return GOT_IT;
	t->ede = p->got.c.ede;
	t->is_bogus = p->got.c.security == RRSET_BOGUS;
	char text[DNS_NAME_TEXT], of[DNS_TYPE_TEXT];
	dns_name_text(text, name);
	str_fmt(t->why, sizeof(t->why), "%s of %.60s: %.120s", dns_type_text(type, of), text,
		*p->got.why ? p->got.why : "failed a moment ago");
	return GOT_NOTHING;
}

/* The zone that says to have signed the reply; NULL: none does. */
static const uint8_t *signer(const struct task *t, const uint8_t *anchored)
{
	const struct scrubbed *r = &t->reply;
	const uint8_t *s = r->main ? validate_signer(r->main, anchored) : NULL;
	if (r->kind == SCRUB_NODATA || r->kind == SCRUB_NXDOMAIN)
		for (unsigned i = 0; i < r->proofs && !s; i++)
			s = validate_signer(r->proof[i], anchored);
	return s;
}

enum prove_verdict chain_begin(struct task *t, struct prove *p)
{
	struct anchor a;
	if (!prove_anchors || !anchors_find(prove_anchors, task_place(t), &a))
		return VERDICT_INDETERMINATE;
	if (a.negative)
		return VERDICT_INSECURE;
	memcpy(p->anchored, a.zone, dns_name_len(a.zone));
	/* The anchors may be others by the time that they are needed. */
	p->anchor = a;
	if (a.ds.n)
		p->anchor.ds = put_copy(p->pool, &(struct cached){.set = a.ds}).set;
	if (a.dnskey.n)
		p->anchor.dnskey = put_copy(p->pool, &(struct cached){.set = a.dnskey}).set;
	const uint8_t *s = signer(t, p->anchored);
	if (s) {
		memcpy(p->signer, s, dns_name_len(s));
		dns_name_lower(p->signer);
		p->phase = PHASE_DS;
		return VERDICT_NONE;
	}
	/* What this process serves itself nobody has stripped of its signatures. */
	if (task_own && task_own->zone(task_place(t)))
		return VERDICT_INSECURE;
	/* First the zone whose servers were asked: it is below the anchor, or the anchor's. */
	task_say(t, "nothing is signed: is a zone above it insecure?");
	p->labels = dns_name_labels(t->deleg.zone);
	if (p->labels <= dns_name_labels(p->anchored))
		p->labels = dns_name_labels(p->anchored) + 1;
	p->phase = PHASE_WALK;
	return VERDICT_NONE;
}

/* What a DS rrset, or that there is none, says of a zone. VERDICT_SECURE: it is signed;
 * VERDICT_NONE: there is no such zone. */
static enum prove_verdict ds_says(const struct cached *c)
{
	uint16_t ede;
	if (c->security == RRSET_INDETERMINATE)
		return VERDICT_INDETERMINATE;
	if (c->security != RRSET_SECURE)
		return VERDICT_INSECURE;
	if (c->kind == CACHE_RRSET && c->set.type == DNS_DS)
		return validate_ds(&c->set, &ede) == RRSET_SECURE ? VERDICT_SECURE
								  : VERDICT_INSECURE;
	return c->kind == CACHE_NODATA && c->labels ? VERDICT_INSECURE : VERDICT_NONE;
}

static enum prove_verdict unsigned_data(struct task *t)
{
	const struct rrset *m = t->reply.main;
	char name[DNS_NAME_TEXT], type[DNS_TYPE_TEXT];
	bool positive = t->reply.kind != SCRUB_NODATA && t->reply.kind != SCRUB_NXDOMAIN;
	dns_name_text(name, positive ? m->owner : t->name);
	if (!positive)
		return bogus(t, EDE_NO_PROOF,
			     "that %.80s has none is not proven: nothing is signed", name);
	return bogus(t, EDE_NO_SIGNATURE, "%.80s %s has no signature", name,
		     dns_type_text(m->type, type));
}

/* Label by label down to the name: every zone on the way is signed until one is found that is not.
 */
enum prove_verdict chain_walk(struct task *t, struct prove *p)
{
	const uint8_t *end = task_place(t);
	unsigned all = dns_name_labels(end);
	for (; p->labels <= all; p->labels++) {
		const uint8_t *name = end;
		for (unsigned skip = all - p->labels; skip; skip--)
			name += 1u + *name;
		/* A question for DS cannot wait for itself; the zone says then that it is none. */
		if (t->type == DNS_DS && name == t->name)
			break;
		switch (get(t, p, name, DNS_DS, TASK_CHAIN)) {
		case GOT_WAIT:
			return VERDICT_WAIT;
		case GOT_NOTHING:
			return VERDICT_BROKEN;
		case GOT_IT:
			break;
		}
		enum prove_verdict v = ds_says(&p->got.c);
		if (v == VERDICT_INSECURE || v == VERDICT_INDETERMINATE)
			return v;
		if (p->got.c.kind == CACHE_NXDOMAIN)
			break;
	}
	return unsigned_data(t);
}

enum prove_verdict chain_above(struct task *t, struct prove *p)
{
	struct anchor a;
	const uint8_t *zone = t->deleg.zone;
	if (!prove_anchors || !anchors_find(prove_anchors, task_place(t), &a))
		return VERDICT_INDETERMINATE;
	if (a.negative)
		return VERDICT_INSECURE;
	if (!dns_name_under(zone, a.zone) || dns_name_eq(zone, a.zone))
		return VERDICT_NONE;
	switch (get(t, p, zone, DNS_DS, TASK_CHAIN)) {
	case GOT_WAIT:
		return VERDICT_WAIT;
	case GOT_NOTHING:
		return VERDICT_BROKEN;
	case GOT_IT:
		break;
	}
	enum prove_verdict v = ds_says(&p->got.c);
	return v == VERDICT_SECURE ? VERDICT_NONE : v;
}

static enum prove_verdict no_zone(struct task *t, const struct prove *p)
{
	char name[DNS_NAME_TEXT];
	dns_name_text(name, p->signer);
	return bogus(t, EDE_NO_KEY, "%.80s, whose signature it is, is no zone", name);
}

enum prove_verdict chain_ds(struct task *t, struct prove *p)
{
	enum prove_verdict v;
	if (dns_name_eq(p->signer, p->anchored)) {
		p->ds = p->anchor.ds;
		p->phase = PHASE_KEYS;
		return VERDICT_NONE;
	}
	switch (get(t, p, p->signer, DNS_DS, TASK_CHAIN)) {
	case GOT_WAIT:
		return VERDICT_WAIT;
	case GOT_NOTHING:
		return VERDICT_BROKEN;
	case GOT_IT:
		break;
	}
	v = ds_says(&p->got.c);
	if (v == VERDICT_NONE)
		return no_zone(t, p);
	if (v != VERDICT_SECURE)
		return v;
	p->ds = p->got.c.set;
	p->phase = PHASE_KEYS;
	return VERDICT_NONE;
}

/* The keys themselves are checked by the DS. */
static bool are_the_keys(const struct task *t, const struct prove *p)
{
	const struct rrset *m = t->reply.main;
	return m && m->type == DNS_DNSKEY && t->reply.kind == SCRUB_ANSWER &&
	       dns_name_eq(p->signer, m->owner);
}

enum prove_verdict chain_keys(struct task *t, struct prove *p)
{
	if (!are_the_keys(t, p)) {
		switch (get(t, p, p->signer, DNS_DNSKEY, TASK_CHECKED)) {
		case GOT_WAIT:
			return VERDICT_WAIT;
		case GOT_NOTHING:
			return VERDICT_BROKEN;
		case GOT_IT:
			break;
		}
		const struct cached *c = &p->got.c;
		if (c->security == RRSET_INSECURE)
			return VERDICT_INSECURE;
		if (c->kind != CACHE_RRSET || c->set.type != DNS_DNSKEY ||
		    c->security != RRSET_SECURE)
			return no_zone(t, p);
		p->keys = c->set;
	}
	p->phase = PHASE_SETS;
	return VERDICT_NONE;
}
