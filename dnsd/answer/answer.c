/* Begins and ends a response. */
#include "dnsd/answer/answer_int.h"

enum { CLASS_CHAOS = 3, UDP_MIN = 512 };

static size_t limit_of(const struct work *w, size_t cap)
{
	size_t limit = cap;
	if (!w->way->stream) {
		size_t udp = w->q->edns ? w->q->udp_size : UDP_MIN;
		if (udp > w->conf->udp_size)
			udp = w->conf->udp_size;
		if (udp < UDP_MIN)
			udp = UDP_MIN;
		limit = udp < cap ? udp : cap;
	}
	return limit - w->way->reserve;
}

/* The header and the question, as it came: its octets are what pointers lead to. */
void answer_begin(struct work *w, const struct answer_conf *c, const struct query *q,
		  const struct answer_way *way, struct answer_info *info, uint8_t *out, size_t cap)
{
	memset(w, 0, offsetof(struct work, out));
	w->conf = c;
	w->q = q;
	w->way = way;
	w->info = info;
	dns_out_init(&w->out, out, cap, q->id, 0);
	w->flags = (uint16_t)(DNS_QR | (q->flags & (DNS_OPCODE | DNS_RD)));
	w->ede = EDE_NONE;
	w->name = q->name;
	w->name_len = q->name_len;
	w->name_at = DNS_HEADER;
	if (q->edns)
		cookie_read(w);
	if (q->question_len) {
		dns_out_bytes(&w->out, q->pkt + DNS_HEADER, q->question_len);
		w->count[DNS_QUESTION] = 1;
	}
	w->limit = limit_of(w, cap);
	w->out.cap = w->limit - edns_room(w);
}

/* Addresses of the names in the answer. Those of a delegation's servers below it are needed:
 * without them the response is truncated, though the rest of it stays (RFC 9471). */
static void more(struct work *w)
{
	static const enum image_part optional[] = {PART_ADDITIONAL, PART_ADDITIONAL_SIGNATURES};
	const struct image_match *m = &w->more.match;
	struct piece main, p;
	if (!image_piece(w->image, m->node, PART_ANSWER, w->more.type, &main))
		return;
	if (w->more.glue && image_piece(w->image, m->node, PART_GLUE, w->more.type, &p) &&
	    !put_piece(w, DNS_ADDITIONAL, m, &main, w->more.main_at, &p)) {
		put_optional(w, m, &main, w->more.main_at, &p);
		w->flags |= DNS_TC;
		w->info->truncated = true;
		return;
	}
	for (unsigned i = 0; w->conf->additional && i < (w->q->dnssec_ok ? 2u : 1u); i++)
		if (image_piece(w->image, m->node, optional[i], w->more.type, &p))
			put_optional(w, m, &main, w->more.main_at, &p);
}

/* Nothing but the question stays. */
static void truncate_all(struct work *w)
{
	w->out.len = DNS_HEADER + w->q->question_len;
	w->count[DNS_ANSWER] = w->count[DNS_AUTHORITY] = w->count[DNS_ADDITIONAL] = 0;
	w->flags |= DNS_TC;
	w->info->truncated = true;
}

size_t answer_end(struct work *w)
{
	uint8_t *p = w->out.p;
	if (w->truncated)
		truncate_all(w);
	if (w->truncated && w->way->stream) { /* there is no larger message to ask for */
		w->flags &= (uint16_t) ~(DNS_TC | DNS_AA);
		w->rcode = DNS_SERVFAIL;
	}
	edns_put(w);
	put_u16(p + 2, w->flags | (w->rcode & DNS_RCODE));
	for (int i = 0; i < 4; i++)
		put_u16(p + 4 + 2 * i, w->count[i]);
	w->info->rcode = w->rcode;
	return w->out.len;
}

static bool is(const struct query *q, const char *text)
{
	uint8_t name[DNS_NAME_MAX];
	size_t len = dns_name_from_text(slice_of(text), name);
	return len == q->name_len && !memcmp(name, q->name, len);
}

/* What the server says of itself. */
static void chaos(struct work *w)
{
	const struct query *q = w->q;
	struct dns_out *o = &w->out;
	const char *text = NULL;
	if (is(q, "version.bind") || is(q, "version.server"))
		text = w->conf->version;
	else if (is(q, "hostname.bind") || is(q, "id.server"))
		text = w->conf->identity;
	size_t len = text ? strlen(text) : 0;
	if (!text || (q->type != DNS_TXT && q->type != DNS_ANY)) {
		w->rcode = DNS_REFUSED;
		return;
	}
	if (len > UINT8_MAX)
		len = UINT8_MAX;
	uint8_t n = (uint8_t)len;
	w->flags |= DNS_AA;
	dns_out_bytes(o, "\xc0\x0c", 2);
	dns_out_u16(o, DNS_TXT);
	dns_out_u16(o, CLASS_CHAOS);
	dns_out_u32(o, 0);
	dns_out_u16(o, (uint16_t)(1 + len));
	dns_out_bytes(o, &n, 1);
	dns_out_bytes(o, text, len);
	w->truncated = o->full;
	w->count[DNS_ANSWER] = 1;
}

bool answer_bad_cookie(struct work *w)
{
	if (!w->conf->bad_cookie || !w->cookie || w->info->cookie_ok || w->way->stream)
		return false;
	w->rcode = DNS_BADCOOKIE;
	return true;
}

static void ask(struct work *w)
{
	if (answer_bad_cookie(w))
		return;
	answer_resolve(w);
	if (w->rcode == DNS_SERVFAIL) { /* what was found before counts for nothing */
		truncate_all(w);
		w->flags &= (uint16_t) ~(DNS_TC | DNS_AA);
		w->info->truncated = w->truncated = false;
	} else if (w->more.wanted && !w->truncated) {
		more(w);
	}
}

void answer_prepare(const struct zones *z, struct query *q, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		q[i].prepared = q[i].kind == QUERY_ASK;
		const struct zones *in = q[i].zones ? q[i].zones : z;
		q[i].zone = q[i].prepared ? zones_find(in, q[i].name, q[i].name_len) : NULL;
		if (q[i].zone && q[i].zone->image)
			q[i].hint = image_hint(q[i].zone->image, q[i].name, q[i].name_len);
	}
	for (size_t i = 0; i < n; i++)
		if (q[i].zone && q[i].zone->image)
			image_hint_node(q[i].zone->image, q[i].hint);
}

size_t answer_query(const struct zones *z, const struct answer_conf *c, const struct query *q,
		    const struct answer_way *way, uint8_t *out, size_t cap,
		    struct answer_info *info)
{
	struct work w;
	*info = (struct answer_info){0};
	if (q->kind == QUERY_DROP)
		return 0;
	answer_begin(&w, c, q, way, info, out, cap);
	w.zones = z;
	switch (q->kind) {
	case QUERY_ASK:
		ask(&w);
		break;
	case QUERY_CHAOS:
		chaos(&w);
		break;
	case QUERY_BAD:
		w.rcode = q->rcode;
		break;
	default:
		w.rcode = DNS_REFUSED;
	}
	return answer_end(&w);
}
