/* Pieces of a response: finding them and going over their records. */
#include "dnsd/image/image_int.h"

enum { POINTER = 0xc0, JUMPS = 32 };

static bool piece_at(const struct layer *l, uint32_t at, struct piece *out)
{
	const struct image_head *h = l->head;
	const struct piece_head *p = (const void *)(l->p + (size_t)at * IMAGE_UNIT);
	if (at < h->nodes || at >= h->nodes_end)
		return false;
	size_t left = (size_t)(h->nodes_end - at) * IMAGE_UNIT;
	if (left < sizeof(*p))
		return false;
	size_t pointers = image_pad(sizeof(*p) + p->len, 2);
	if (left < pointers + p->pointers * sizeof(uint16_t))
		return false;
	*out = (struct piece){p->bytes, p->len, p->records, p->pointers,
			      (const void *)((const uint8_t *)p + pointers)};
	return true;
}

bool image_piece(const struct image *i, const struct node *n, enum image_part part, uint16_t type,
		 struct piece *out)
{
	for (unsigned k = 0; k < n->entries; k++) {
		const struct entry *e = &n->entry[k];
		if (e->type == type &&
		    (e->part == part || (part == PART_ANSWER && e->part == PART_REFERRAL)))
			return piece_at(image_layer(i, n), e->at, out);
	}
	return false;
}

bool image_next_type(const struct image *i, const struct node *n, size_t *at, uint16_t *type)
{
	(void)i;
	while (*at < n->entries) {
		const struct entry *e = &n->entry[(*at)++];
		*type = e->type;
		if (e->part == PART_ANSWER || e->part == PART_REFERRAL)
			return true;
	}
	return false;
}

/* The octet at a place of the message that the pointers count on; -1: there is none. */
static int virtual(const struct image_match *m, const struct piece *main, size_t at)
{
	size_t start = DNS_HEADER + m->name_len + 4;
	if (at >= DNS_HEADER && at - DNS_HEADER < m->name_len)
		return m->name[at - DNS_HEADER];
	return at >= start && at - start < main->len ? main->bytes[at - start] : -1;
}

/* Reads on at a place of that message; the name has *len octets already. */
static bool read_virtual(const struct image_match *m, const struct piece *main, size_t at,
			 uint8_t out[DNS_NAME_MAX], size_t *len)
{
	for (unsigned jumps = 0; jumps < JUMPS;) {
		int c = virtual(m, main, at), low;
		if (c < 0)
			return false;
		if (c >= POINTER) {
			if ((low = virtual(m, main, at + 1)) < 0)
				return false;
			at = (size_t)(c & ~POINTER) << 8 | (size_t)low;
			jumps++;
			continue;
		}
		if (c > DNS_LABEL_MAX || *len + 1u + (unsigned)c > DNS_NAME_MAX)
			return false;
		for (int i = 0; i <= c; i++) {
			int octet = virtual(m, main, at++);
			if (octet < 0)
				return false;
			out[(*len)++] = (uint8_t)octet;
		}
		if (c == 0)
			return true;
	}
	return false;
}

static bool read_name(const struct image_match *m, const struct piece *main, const struct piece *p,
		      size_t *at, uint8_t out[DNS_NAME_MAX], size_t *len)
{
	for (*len = 0; *at < p->len;) {
		uint8_t c = p->bytes[*at];
		if (c >= POINTER) {
			if (p->len - *at < 2)
				return false;
			size_t to = dns_u16(p->bytes + *at) & 0x3fff;
			*at += 2;
			return read_virtual(m, main, to, out, len);
		}
		if (c > DNS_LABEL_MAX || p->len - *at < 1u + c || *len + 1u + c > DNS_NAME_MAX)
			return false;
		memcpy(out + *len, p->bytes + *at, 1u + c);
		*len += 1u + c;
		*at += 1u + c;
		if (c == 0)
			return true;
	}
	return false;
}

size_t image_pointed(const struct image_match *m, const struct piece *main, const struct piece *p,
		     size_t at, uint8_t out[DNS_NAME_MAX])
{
	size_t len;
	return read_name(m, main, p, &at, out, &len) ? len : 0;
}

bool image_rr(const struct image_match *m, const struct piece *main, const struct piece *p,
	      size_t *at, struct image_rr *out)
{
	if (*at == 0)
		out->pointer = 0;
	if (*at >= p->len || !read_name(m, main, p, at, out->owner, &out->owner_len) ||
	    p->len - *at < 10)
		return false;
	out->type = dns_u16(p->bytes + *at);
	out->ttl = dns_u32(p->bytes + *at + 4);
	out->rdata = *at + 10;
	out->rdata_end = out->rdata + dns_u16(p->bytes + *at + 8);
	if (out->rdata_end > p->len)
		return false;
	while (out->pointer < p->pointers && p->pointer[out->pointer] < out->rdata)
		out->pointer++;
	*at = out->rdata_end;
	return true;
}

size_t image_rdata(const struct image_match *m, const struct piece *main, const struct piece *p,
		   const struct image_rr *rr, uint8_t out[DNS_RDATA_MAX], bool *ok)
{
	size_t len = 0, from = rr->rdata;
	*ok = true;
	for (unsigned k = rr->pointer; k < p->pointers && p->pointer[k] < rr->rdata_end; k++) {
		uint8_t name[DNS_NAME_MAX];
		size_t at = p->pointer[k], n = image_pointed(m, main, p, at, name);
		if (at < from || !n || len + (at - from) + n > DNS_RDATA_MAX) {
			*ok = false;
			return 0;
		}
		memcpy(out + len, p->bytes + from, at - from);
		memcpy(out + len + (at - from), name, n);
		len += at - from + n;
		from = at + 2;
	}
	if (from > rr->rdata_end || len + (rr->rdata_end - from) > DNS_RDATA_MAX) {
		*ok = false;
		return 0;
	}
	memcpy(out + len, p->bytes + from, rr->rdata_end - from);
	return len + (rr->rdata_end - from);
}

size_t image_target(const struct image *i, const struct image_match *m, uint16_t type,
		    uint8_t out[DNS_NAME_MAX])
{
	struct piece p;
	enum { RDATA = 12 }; /* behind c00c and the fixed fields */
	if (!image_piece(i, m->node, PART_ANSWER, type, &p) || p.len <= RDATA)
		return 0;
	size_t at = RDATA, len;
	return read_name(m, &p, &p, &at, out, &len) && dns_name_check(out, len) == len ? len : 0;
}
