/* Rebinding: a stranger's name that has an address inside our own network lets a page from outside
 * speak to what trusts the inside. Such addresses are taken out of answers. */
#include "dnsd/policy/policy_int.h"
#include "dnsd/upstream/forward.h"

enum { DATA_MOST = 65535, EDE_BLOCKED = 15 };

static bool is_private(const struct rebind *b, const struct slice *data)
{
	uint8_t addr[16];
	if (data->len != 4 && data->len != 16)
		return false;
	net_addr((const uint8_t *)data->p, data->len, addr);
	return net_has(b->nets, b->nets_n, addr) && !net_has(b->fine, b->fine_n, addr);
}

static bool any_private(const struct rebind *b, const struct cached *c)
{
	struct slice data = c->set.data, one;
	if (c->kind != CACHE_RRSET || (c->set.type != DNS_A && c->set.type != DNS_AAAA) ||
	    c->trust == CACHE_LOCAL)
		return false;
	for (unsigned i = 0; i < c->set.n && rrset_next(&data, &one); i++)
		if (is_private(b, &one))
			return true;
	return false;
}

/* Names of which it is expected: those allowed, our own, and those that servers of our choice are
 * asked for. */
static bool is_fine(const struct rebind *b, unsigned view, const uint8_t *name)
{
	for (size_t i = 0; i < b->names_n; i++)
		if (dns_name_under(name, b->names[i]))
			return true;
	const struct forward *f = forward_find(view, name);
	return (f && *f->zone) || (b->ours && b->ours(name));
}

static void take_out(const struct rebind *b, struct cached *c)
{
	static uint8_t left[DATA_MOST];
	struct slice data = c->set.data, one;
	size_t len = 0;
	uint16_t n = 0;
	for (unsigned i = 0; i < c->set.n && rrset_next(&data, &one); i++) {
		if (is_private(b, &one) || len + 2 + one.len > sizeof(left))
			continue;
		memcpy(left + len, one.p - 2, 2 + one.len);
		len += 2 + one.len;
		n++;
	}
	c->set.data = (struct slice){(const char *)left, len};
	c->set.n = n;
	c->set.sigs = 0;
	c->extra.len = c->extras = c->labels = 0;
	c->security = RRSET_INSECURE;
	if (!n)
		c->kind = CACHE_NODATA;
}

bool rebind_filter(const struct rebind *b, const struct policy_query *q, const struct resolved *r,
		   struct resolved *out)
{
	const struct cached *last = r->n ? &r->part[r->n - 1] : NULL;
	if (!b->on || !last || !any_private(b, last) || is_fine(b, q->view, last->set.owner))
		return false;
	if (out != r)
		*out = *r;
	take_out(b, &out->part[out->n - 1]);
	out->ede = EDE_BLOCKED;
	if (out->security > RRSET_INSECURE)
		out->security = RRSET_INSECURE;
	str_fmt(out->why, sizeof(out->why), "a private address was taken out");
	return true;
}
