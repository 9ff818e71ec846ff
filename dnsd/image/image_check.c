/* Goes down the tree of a zone's names: where its cuts are, and what is wrong with it. */
#include "dnsd/image/image_maker.h"

enum { TYPE_KEY = 25 /* may stand beside a CNAME (RFC 2181 10.1) */ };

/* A mistake that a zone of others may have. */
static bool strict(const struct image_maker *m)
{
	return !m->o.lenient;
}

static bool wildcard(const struct made_name *n)
{
	return n->wire[0] == 1 && n->wire[1] == '*';
}

static uint8_t has(uint16_t type)
{
	switch (type) {
	case DNS_SOA:
		return HAS_SOA;
	case DNS_DS:
		return HAS_DS;
	case DNS_NSEC:
		return HAS_NSEC;
	case DNS_NSEC3:
		return HAS_NSEC3;
	case DNS_NS:
	case DNS_MX:
		return HAS_TARGETS;
	default:
		return 0;
	}
}

/* The apex's parent is none of its own; the others' precede them in canonical order. */
static void mark(struct image_maker *m, struct made_name *n)
{
	if (n->patch & PATCH_GONE)
		return;
	if (n->parent != NONE) {
		struct made_name *p = &m->name[n->parent];
		if (p->flags & NODE_BELOW)
			n->above = p->above;
		else if (p->flags & (NODE_CUT | NODE_DNAME))
			n->above = n->parent;
		if (n->above != NONE)
			n->flags |= NODE_BELOW;
		if (wildcard(n))
			p->flags |= NODE_WILD;
	}
	struct rrset s;
	bool nsec3 = n->count > 0;
	for (uint32_t at = 0; maker_next(m, n, &at, &s);) {
		m->stats.rrsets++;
		n->has |= has(s.type);
		nsec3 &= s.type == DNS_NSEC3 || s.covered == DNS_NSEC3;
		/* RFC 4592 4.2, 4.4: what these mean at a wildcard nobody can say. */
		if (s.type == DNS_NS && n->parent != NONE && !(n->flags & NODE_BELOW) &&
		    !wildcard(n))
			n->flags |= NODE_CUT;
		else if (s.type == DNS_DNAME && !wildcard(n))
			n->flags |= NODE_DNAME;
		else if (s.type == DNS_CNAME)
			n->flags |= NODE_CNAME;
	}
	if (nsec3)
		n->flags |= NODE_NSEC3;
}

static void apex(struct image_maker *m)
{
	const struct made_name *n = &m->name[0];
	struct rrset s;
	if (!maker_rrset(m, n, DNS_SOA, 0, &s))
		maker_report(m, true, n, "no SOA record");
	else if (s.n > 1)
		maker_report(m, true, n, "more than one SOA record");
	if (!maker_rrset(m, n, DNS_NS, 0, &s))
		maker_report(m, true, n, "no NS records");
}

/* What may not stand together at one name. */
static void together(struct image_maker *m, const struct made_name *n)
{
	struct rrset s;
	for (uint32_t at = 0; maker_next(m, n, &at, &s);) {
		bool sign = s.type == DNS_RRSIG || s.type == DNS_NSEC || s.type == TYPE_KEY;
		if (s.type == DNS_CNAME && s.n > 1)
			maker_report(m, true, n, "more than one CNAME");
		if (s.type == DNS_DNAME && s.n > 1)
			maker_report(m, true, n, "more than one DNAME");
		if (wildcard(n) && n->parent != NONE && (s.type == DNS_NS || s.type == DNS_DNAME))
			maker_report(m, strict(m), n, "%s at a wildcard has no meaning",
				     s.type == DNS_NS ? "NS" : "DNAME");
		if (s.type != DNS_CNAME && !sign && n->flags & NODE_CNAME) {
			maker_report(m, true, n, "CNAME and other data");
			break;
		}
	}
	if (n->flags & NODE_CUT && n->flags & NODE_DNAME)
		maker_report(m, strict(m), n, "NS and DNAME");
	if (n->parent != NONE && n->has & HAS_SOA)
		maker_report(m, strict(m), n, "SOA below the zone's own name");
	if (!(n->flags & NODE_CUT) && n->has & HAS_DS)
		maker_report(m, n->parent == NONE && strict(m), n, "DS without NS");
}

/* What a name at or below a cut, or below a DNAME, may have. */
static void hidden(struct image_maker *m, const struct made_name *n)
{
	struct rrset s;
	char type[DNS_TYPE_TEXT];
	bool below = n->flags & NODE_BELOW, cut = n->flags & NODE_CUT;
	bool dname = below && !(m->name[n->above].flags & NODE_CUT);
	for (uint32_t at = 0; maker_next(m, n, &at, &s);) {
		bool address = s.type == DNS_A || s.type == DNS_AAAA;
		bool own = s.type == DNS_NS || s.type == DNS_DS || s.type == DNS_NSEC ||
			   s.type == DNS_RRSIG || s.type == DNS_DNAME;
		if (dname)
			maker_report(m, strict(m), n, "%s below a DNAME",
				     dns_type_text(s.type, type));
		else if (below && !address)
			maker_report(m, strict(m), n, "%s below a delegation",
				     dns_type_text(s.type, type));
		else if (cut && !address && !own)
			maker_report(m, strict(m), n, "%s beside the NS of a delegation",
				     dns_type_text(s.type, type));
	}
}

struct target {
	struct image_maker *m;
	const struct made_name *owner;
	uint16_t type;
};

/* A server's name leads to addresses, not to a CNAME (RFC 2181 10.3). */
static void target(void *arg, const uint8_t *name)
{
	const struct target *t = arg;
	struct image_maker *m = t->m;
	uint8_t lower[DNS_NAME_MAX];
	char text[DNS_NAME_TEXT];
	struct rrset s;
	const char *type = t->type == DNS_NS ? "NS" : "MX";
	size_t len = dns_name_len(name);
	memcpy(lower, name, len);
	dns_name_lower(lower);
	if (!dns_name_under(lower, m->zone))
		return;
	dns_name_text(text, lower);
	uint32_t id = maker_find(m, lower, len);
	const struct made_name *n = id == NONE ? NULL : &m->name[id];
	if (n && n->flags & NODE_CNAME) {
		maker_report(m, false, t->owner, "%s %s is a CNAME", type, text);
		return;
	}
	if (n && (maker_rrset(m, n, DNS_A, 0, &s) || maker_rrset(m, n, DNS_AAAA, 0, &s)))
		return;
	/* Below another delegation its addresses are that one's to give, as those of a wildcard. */
	bool needed = t->type == DNS_NS && dns_name_under(lower, t->owner->wire);
	if (needed || n)
		maker_report(m, false, t->owner, "%s %s has no address", type, text);
}

static void targets(struct image_maker *m, const struct made_name *n)
{
	struct target t = {m, n, 0};
	struct rrset s;
	if (n->flags & NODE_BELOW || !(n->has & HAS_TARGETS))
		return;
	for (uint32_t at = 0; maker_next(m, n, &at, &s);) {
		t.type = s.type;
		if (s.type == DNS_NS || s.type == DNS_MX)
			rrset_names(m, &s, target, &t);
	}
}

void maker_mark(struct image_maker *m)
{
	m->stats.rrsets = 0;
	for (uint32_t i = 0; i < m->names; i++)
		mark(m, &m->name[m->order[i]]);
	const struct made_name *n = &m->name[0];
	struct rrset s;
	if (maker_rrset(m, n, DNS_SOA, 0, &s)) {
		const struct record *r = &m->record[s.record[0]];
		m->stats.serial = dns_u32(r->data + r->len - 20);
	}
}

void maker_check(struct image_maker *m)
{
	apex(m);
	for (uint32_t i = 0; i < m->names; i++) {
		const struct made_name *n = &m->name[m->order[i]];
		if (m->patch && !(n->patch & PATCH_CHANGED))
			continue; /* that was told */
		together(m, n);
		if (n->flags & (NODE_CUT | NODE_BELOW))
			hidden(m, n);
		targets(m, n);
	}
}
