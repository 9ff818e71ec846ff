/* Goes over the fields of a type's data. */
#include "libcommon/dns/rdata_int.h"

static const uint8_t *fields(uint16_t type)
{
	static const uint8_t none[RDATA_FIELDS];
	const struct rdata_type *t = rdata_type(type);
	return t ? t->field : none;
}

/* Every field is whole and the last ends where the data does. */
static bool whole(const uint8_t *field, const uint8_t *p, size_t len)
{
	size_t at = 0;
	for (; *field; field++) {
		long n = rdata_size(*field, p + at, len - at);
		if (n < 0)
			return false;
		at += (size_t)n;
	}
	return at == len;
}

bool dns_rdata_check(uint16_t type, const uint8_t *rdata, size_t len)
{
	const uint8_t *field = fields(type);
	if (len > DNS_RDATA_MAX)
		return false;
	if (*field == K_LDNS)
		return rdata_ldns_check(type, rdata, len);
	return *field == K_END || whole(field, rdata, len);
}

/* \# LENGTH HEX (RFC 3597 5): also for a type that we know, whose data it must then be. */
static bool parse_generic(uint16_t type, struct rdata_in *in)
{
	const struct dns_word *w;
	uint32_t n;
	in->at++;
	if (!(w = rdata_word(in, "the length of the data is wanted")))
		return false;
	if (!str_u32(w->text, &n) || n > DNS_RDATA_MAX)
		return rdata_fail(in, "the length of the data (0 to 65535) is wanted");
	size_t length = in->at++;
	if ((n > 0 || in->at < in->words) && !rdata_parse_hex(in))
		return false;
	in->at = length;
	if (in->len != n)
		return rdata_fail(in, "the data that follows is longer or shorter than this");
	if (!dns_rdata_check(type, in->out, in->len))
		return rdata_fail(in, "the data that follows is malformed for this type");
	in->at = in->words;
	return true;
}

static bool parse(uint16_t type, struct rdata_in *in)
{
	const uint8_t *field = fields(type);
	if (in->words && !in->word[0].quoted && slice_eqs(in->word[0].text, "\\#"))
		return parse_generic(type, in);
	if (*field == K_END)
		return rdata_fail(in, "the data of this type is written as \\# LENGTH HEX");
	if (*field == K_LDNS)
		return rdata_ldns_parse(type, in);
	for (; *field; field++)
		if (!rdata_ops[*field].parse(in))
			return false;
	return in->at == in->words || rdata_fail(in, "nothing more is wanted in this record");
}

bool dns_rdata_from_text(uint16_t type, const struct dns_word *word, size_t words,
			 const uint8_t *origin, uint8_t out[DNS_RDATA_MAX], size_t *len,
			 const char **why, size_t *bad_word)
{
	struct rdata_in in = {.word = word, .words = words, .origin = origin, .out = out};
	bool ok = parse(type, &in);
	*len = in.len;
	*why = in.why;
	*bad_word = in.at;
	return ok;
}

/* False: not well formed; what was appended is to be dropped. */
static bool print(const uint8_t *field, const uint8_t *p, size_t len, struct buf *out)
{
	size_t at = 0;
	for (bool first = true; *field; field++, first = false) {
		long n = rdata_size(*field, p + at, len - at);
		if (n < 0 || (*field == K_PARAMS && !rdata_params_consistent(p + at, (size_t)n)))
			return false;
		/* An empty bitmap and the like leave no trace, an empty text has its quotes. */
		if (!first && (n > 0 || *field == K_TEXT))
			buf_addc(out, ' ');
		rdata_ops[*field].print(p + at, (size_t)n, out);
		at += (size_t)n;
	}
	return at == len;
}

void dns_rdata_text(uint16_t type, const uint8_t *rdata, size_t len, struct buf *out)
{
	const uint8_t *field = fields(type);
	size_t start = out->len;
	if (*field == K_LDNS && rdata_ldns_print(type, rdata, len, out))
		return;
	if (*field != K_LDNS && *field != K_END && print(field, rdata, len, out))
		return;
	if (out->failed)
		return;
	out->len = start;
	rdata_print_generic(rdata, len, out);
}

static bool is_name(uint8_t kind)
{
	return kind == K_NAME || kind == K_NAME_LOWER || kind == K_NAME_PACKED;
}

bool dns_rdata_read(const uint8_t *pkt, size_t pktlen, const struct dns_rr *rr,
		    uint8_t out[DNS_RDATA_MAX], size_t *len)
{
	const uint8_t *field = fields(rr->type);
	size_t at = rr->rdata, end = rr->rdata + rr->rdlen, n = 0;
	if (end > pktlen)
		return false;
	if (*field == K_END || *field == K_LDNS) {
		memcpy(out, pkt + at, *len = rr->rdlen);
		return dns_rdata_check(rr->type, out, *len);
	}
	for (; *field; field++) {
		uint8_t name[DNS_NAME_MAX];
		const uint8_t *p = pkt + at;
		long got;
		if (*field == K_NAME_LOWER || *field == K_NAME_PACKED) {
			size_t octets = dns_name_read(pkt, end, &at, name);
			p = name;
			got = octets ? (long)octets : -1;
		} else {
			got = rdata_size(*field, p, end - at);
			at += got < 0 ? 0 : (size_t)got;
		}
		if (got < 0 || n + (size_t)got > DNS_RDATA_MAX)
			return false;
		memcpy(out + n, p, (size_t)got);
		n += (size_t)got;
	}
	*len = n;
	return at == end;
}

void dns_rdata_names(uint16_t type, const uint8_t *rdata, size_t len,
		     void (*fn)(void *arg, size_t at, bool lower, bool compress), void *arg)
{
	size_t at = 0;
	for (const uint8_t *field = fields(type); *field && *field != K_LDNS; field++) {
		long n = rdata_size(*field, rdata + at, len - at);
		if (n < 0)
			return;
		if (is_name(*field))
			fn(arg, at, *field != K_NAME, *field == K_NAME_PACKED);
		at += (size_t)n;
	}
}

static void lower(void *arg, size_t at, bool wanted, bool compress)
{
	(void)compress;
	if (wanted)
		dns_name_lower((uint8_t *)arg + at);
}

void dns_rdata_canonical(uint16_t type, uint8_t *rdata, size_t len)
{
	dns_rdata_names(type, rdata, len, lower, rdata);
}

int dns_rdata_cmp(const uint8_t *a, size_t alen, const uint8_t *b, size_t blen)
{
	size_t n = alen < blen ? alen : blen;
	int c = n ? memcmp(a, b, n) : 0;
	return c ? c : (alen > blen) - (alen < blen);
}
