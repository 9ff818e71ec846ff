/* The rarest types, by ldns. It is given one record's text or one record, whole and bounded, and is
 * not believed: what it makes of data must give the same data again. */
#include "libcommon/dns/rdata_int.h"
#include <ldns/ldns.h>
#include <stdlib.h>

enum {
	LDNS_TEXT = 65535, /* octets of the words of a record: none of these types needs so many */
	HEAD = 11,         /* octets of a record before its data, its owner being the root */
};

/* rr's data in out; false: there is no room. */
static bool to_wire(const ldns_rr *rr, uint8_t *out, size_t *len)
{
	bool ok = false;
	ldns_buffer *b = ldns_buffer_new(DNS_RDATA_MAX);
	if (b && ldns_rr_rdata2buffer_wire(b, rr) == LDNS_STATUS_OK &&
	    ldns_buffer_position(b) <= DNS_RDATA_MAX) {
		*len = ldns_buffer_position(b);
		memcpy(out, ldns_buffer_begin(b), *len);
		ok = true;
	}
	ldns_buffer_free(b);
	return ok;
}

/* The record as a line for ldns: owner, TTL, class, type and the words. */
static void line(uint16_t type, const struct rdata_in *in, struct buf *out)
{
	char name[DNS_TYPE_TEXT];
	buf_printf(out, ". 0 IN %s", dns_type_text(type, name));
	for (size_t i = 0; i < in->words; i++) {
		const char *quote = in->word[i].quoted ? "\"" : "";
		buf_printf(out, " %s%.*s%s", quote, SLICE_FMT(in->word[i].text), quote);
	}
}

static ldns_rr *from_text(uint16_t type, const struct rdata_in *in)
{
	struct buf text = {.max = LDNS_TEXT};
	ldns_rr *rr = NULL;
	line(type, in, &text);
	ldns_rdf *origin = ldns_dname_new_frm_data((uint16_t)dns_name_len(in->origin), in->origin);
	if (!text.failed && origin &&
	    ldns_rr_new_frm_str(&rr, buf_cstr(&text), 0, origin, NULL) != LDNS_STATUS_OK)
		rr = NULL;
	ldns_rdf_deep_free(origin);
	buf_free(&text);
	return rr;
}

static ldns_rr *from_wire(uint16_t type, const uint8_t *p, size_t n)
{
	uint8_t *w = malloc(HEAD + n);
	ldns_rr *rr = NULL;
	size_t at = 0;
	if (!w)
		return NULL;
	memset(w, 0, HEAD);
	w[1] = (uint8_t)(type >> 8);
	w[2] = (uint8_t)type;
	w[4] = DNS_IN;
	w[9] = (uint8_t)(n >> 8);
	w[10] = (uint8_t)n;
	memcpy(w + HEAD, p, n);
	if (ldns_wire2rr(&rr, w, HEAD + n, &at, LDNS_SECTION_ANSWER) != LDNS_STATUS_OK)
		rr = NULL;
	free(w);
	return rr;
}

static bool same(const ldns_rr *rr, const uint8_t *p, size_t n)
{
	uint8_t again[DNS_RDATA_MAX];
	size_t len;
	return to_wire(rr, again, &len) && dns_rdata_cmp(p, n, again, len) == 0;
}

bool rdata_ldns_check(uint16_t type, const uint8_t *p, size_t n)
{
	/* LOC's data has one size (RFC 1876 2), on which ldns does not insist. */
	if (type == LDNS_RR_TYPE_LOC && n != 16)
		return false;
	ldns_rr *rr = from_wire(type, p, n);
	bool ok = rr && same(rr, p, n);
	ldns_rr_free(rr);
	return ok;
}

bool rdata_ldns_parse(uint16_t type, struct rdata_in *in)
{
	ldns_rr *rr = from_text(type, in);
	bool ok = rr && to_wire(rr, in->out, &in->len) && rdata_ldns_check(type, in->out, in->len);
	ldns_rr_free(rr);
	if (!ok)
		return rdata_fail(in, "the data from here on is not what this type wants");
	in->at = in->words;
	return true;
}

/* The text gives the same data again. */
static bool faithful(uint16_t type, const char *text, const uint8_t *p, size_t n)
{
	struct buf one = {0};
	char name[DNS_TYPE_TEXT];
	ldns_rr *rr = NULL;
	buf_printf(&one, ". 0 IN %s %s", dns_type_text(type, name), text);
	if (ldns_rr_new_frm_str(&rr, buf_cstr(&one), 0, NULL, NULL) != LDNS_STATUS_OK)
		rr = NULL;
	bool ok = rr && same(rr, p, n);
	ldns_rr_free(rr);
	buf_free(&one);
	return ok;
}

bool rdata_ldns_print(uint16_t type, const uint8_t *p, size_t n, struct buf *out)
{
	ldns_rr *rr = from_wire(type, p, n);
	char *text = rr && same(rr, p, n) ? ldns_rr2str(rr) : NULL;
	/* Owner, TTL, class and type are followed by a tab each. */
	char *data = text;
	for (int i = 0; i < 4 && data; i++)
		if ((data = strchr(data, '\t')))
			data++;
	if (data) {
		size_t len = strcspn(data, "\n;");
		while (len && data[len - 1] == ' ')
			len--;
		data[len] = 0;
	}
	bool ok = data && faithful(type, data, p, n);
	if (ok)
		buf_adds(out, data);
	free(text);
	ldns_rr_free(rr);
	return ok;
}
