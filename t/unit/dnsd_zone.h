/* Zones from a few lines of text, and responses as text. */
#ifndef T_DNSD_ZONE_H
#define T_DNSD_ZONE_H
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "dnsd/answer/answer.h"

enum { ZONE_WORDS = 64 };

static inline const uint8_t *wire_name(const char *text)
{
	static uint8_t wire[8][DNS_NAME_MAX];
	static unsigned at;
	uint8_t *out = wire[at++ % 8];
	return dns_name_from_text(slice_of(text), out) ? out : NULL;
}

/* --- a folder for images: the one of zone_begin() until zone_end() --------------------------- */
static char zone_path[64];
static int zone_folder = -1;

static inline void zone_begin(void)
{
	strcpy(zone_path, "/tmp/hamlet-zone-XXXXXX");
	if (!mkdtemp(zone_path))
		abort();
	zone_folder = open(zone_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static inline void zone_end(void)
{
	unlinkat(zone_folder, "image", 0);
	unlinkat(zone_folder, "image.journal", 0);
	unlinkat(zone_folder, "image.overlay", 0);
	close(zone_folder);
	rmdir(zone_path);
	zone_folder = -1;
}

/* The same as fixtures. */
static inline int zone_set_up(void **state)
{
	(void)state;
	zone_begin();
	return 0;
}

static inline int zone_tear_down(void **state)
{
	(void)state;
	zone_end();
	return 0;
}

/* --- zones from text: "OWNER TTL TYPE DATA" a line; an owner is relative, "@" the zone ---------
 */
static inline size_t zone_words(struct slice line, struct dns_word word[ZONE_WORDS])
{
	size_t n = 0;
	while (n < ZONE_WORDS) {
		line = slice_trim(line);
		if (!line.len)
			break;
		word[n].quoted = *line.p == '"';
		if (word[n].quoted) {
			slice_cut(&line, '"');
			word[n++].text = slice_cut(&line, '"');
		} else {
			word[n++].text = slice_word(&line);
		}
	}
	return n;
}

static inline bool zone_line(struct image_maker *m, const uint8_t *origin, struct slice line)
{
	static uint8_t rdata[DNS_RDATA_MAX];
	struct dns_word word[ZONE_WORDS];
	uint8_t owner[DNS_NAME_MAX];
	const char *why = "a line has an owner, a TTL, a type and data";
	size_t n = zone_words(line, word), len, bad;
	uint32_t ttl;
	uint16_t type;
	if (n == 0)
		return true;
	if (n >= 3 && dns_name_from_zone(word[0].text, origin, owner, &why) &&
	    str_u32(word[1].text, &ttl) && (type = dns_type_from_text(word[2].text)) &&
	    dns_rdata_from_text(type, word + 3, n - 3, origin, rdata, &len, &why, &bad) &&
	    image_add(m, owner, type, ttl, rdata, len, &why))
		return true;
	fprintf(stderr, "%.*s: %s\n", SLICE_FMT(line), why);
	return false;
}

static inline struct image_maker *zone_maker(const char *zone, const char *text,
					     const struct image_options *o)
{
	const uint8_t *origin = wire_name(zone);
	struct image_maker *m = image_make(zone_folder, "image", origin, o);
	struct slice rest = slice_of(text);
	while (rest.len)
		if (!zone_line(m, origin, slice_cut(&rest, '\n')))
			abort();
	return m;
}

static inline void zone_print(void *arg, bool error, const char *line)
{
	(void)arg;
	fprintf(stderr, "%s: %s\n", error ? "error" : "warning", line);
}

/* What image_finish() reports, "; " in between. */
struct zone_said {
	struct buf errors, warnings;
};

static inline void zone_hear(void *arg, bool error, const char *line)
{
	struct zone_said *s = arg;
	struct buf *b = error ? &s->errors : &s->warnings;
	buf_printf(b, "%s%s", b->len ? "; " : "", line);
}

static inline struct image *zone_image(const char *zone, const char *text)
{
	const char *why;
	struct image *i = NULL;
	if (image_finish(zone_maker(zone, text, NULL), NULL, zone_print, NULL))
		i = image_open(zone_folder, "image", &why);
	if (!i)
		abort();
	return i;
}

/* --- responses as text ------------------------------------------------------------------------ */
static inline void say_name(struct buf *out, const uint8_t *pkt, size_t len, size_t at)
{
	uint8_t wire[DNS_NAME_MAX];
	char text[DNS_NAME_TEXT];
	if (!dns_name_read(pkt, len, &at, wire)) {
		buf_adds(out, "BAD-NAME");
		return;
	}
	dns_name_text(text, wire);
	buf_adds(out, text);
}

static inline void say_edns(struct buf *out, const uint8_t *pkt, const struct dns_rr *rr)
{
	struct dns_edns e;
	uint16_t code;
	struct slice data;
	if (!dns_edns_read(pkt, rr, &e)) {
		buf_adds(out, "opt BAD\n");
		return;
	}
	buf_printf(out, "opt %u%s", e.size, e.dnssec_ok ? " do" : "");
	while (dns_edns_option(&e.options, &code, &data)) {
		if (code == DNS_OPT_EDE)
			buf_printf(out, " ede=%u", dns_u16((const uint8_t *)data.p));
		else if (code == 12)
			buf_adds(out, " padding");
		else if (code == 10)
			buf_adds(out, " cookie");
		else
			buf_printf(out, " %u=%.*s", code, SLICE_FMT(data));
	}
	buf_addc(out, '\n');
}

static inline void say_rr(struct buf *out, const uint8_t *pkt, size_t len, const struct dns_rr *rr)
{
	static uint8_t rdata[DNS_RDATA_MAX];
	static const char *section[] = {"qd", "an", "ns", "ar"};
	char type[DNS_TYPE_TEXT];
	size_t n;
	if (rr->type == DNS_OPT) {
		say_edns(out, pkt, rr);
		return;
	}
	buf_printf(out, "%s ", section[rr->section]);
	say_name(out, pkt, len, rr->owner);
	buf_printf(out, " %u %s ", rr->ttl, dns_type_text(rr->type, type));
	if (rr->type == DNS_RRSIG && rr->rdlen > 2) /* what it covers is enough */
		buf_adds(out, dns_type_text(dns_u16(pkt + rr->rdata), type));
	else if (dns_rdata_read(pkt, len, rr, rdata, &n))
		dns_rdata_text(rr->type, rdata, n, out);
	else
		buf_adds(out, "BAD-DATA");
	buf_addc(out, '\n');
}

/* "NOERROR aa rd\n", a line for each record ("an NAME TTL TYPE DATA"), then that of OPT. */
static inline void say_response(struct buf *out, const uint8_t *pkt, size_t len)
{
	static const char *rcode[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
				      "NOTIMP",  "REFUSED", "YXDOMAIN"};
	static const struct {
		uint16_t bit;
		const char *name;
	} flag[] = {{DNS_AA, " aa"}, {DNS_TC, " tc"}, {DNS_RD, " rd"},
		    {DNS_RA, " ra"}, {DNS_AD, " ad"}, {DNS_CD, " cd"}};
	struct dns_iter it;
	struct dns_header h;
	struct dns_rr rr;
	struct dns_edns e;
	uint16_t code;
	if (!dns_iter_init(&it, pkt, len, &h) || !(h.flags & DNS_QR)) {
		buf_adds(out, "NO-RESPONSE\n");
		return;
	}
	code = h.flags & DNS_RCODE;
	while (dns_iter_rr(&it, &rr))
		if (dns_edns_read(pkt, &rr, &e))
			code |= e.rcode;
	if (code < sizeof(rcode) / sizeof(rcode[0]))
		buf_adds(out, rcode[code]);
	else
		buf_printf(out, "%u", code);
	for (size_t i = 0; i < sizeof(flag) / sizeof(flag[0]); i++)
		if (h.flags & flag[i].bit)
			buf_adds(out, flag[i].name);
	buf_addc(out, '\n');
	dns_iter_init(&it, pkt, len, &h);
	while (dns_iter_rr(&it, &rr))
		say_rr(out, pkt, len, &rr);
	if (it.bad || it.at != len)
		buf_adds(out, "BAD-MESSAGE\n");
}
#endif
