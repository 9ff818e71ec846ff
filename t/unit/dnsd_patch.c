/* Overlays of images: after any change an image with its overlay answers as one that was compiled
 * from all records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "dnsd/image/image_maker.h"
#include "dnsd/image/image_patch.h"
#include "dnsd/image/journal.h"
#include "dnsd/sign/sign.h"
#include "libcommon/base/mem.h"
#include "t/unit/dnsd_verify.h"
#include "t/unit/dnsd_zone.h"

enum { LINES = 400, LINE = 160, MOST = 500, ROUNDS = 200, SIGNED_ROUNDS = 60, MERGE = 25 };

static const char *const names[] = {
    "@",     "ns1",     "mail",   "www",   "a",       "b.a",     "c.b.a",    "*.a",
    "*.b.a", "w",       "*.w",    "x.w",   "y.x.w",   "cut",     "ns.cut",   "a.ns.cut",
    "cut2",  "ns.cut2", "x.cut2", "dn",    "x.dn",    "y.x.dn",  "e.n.t",    "n.t",
    "t",     "f.n.t",   "*.n.t",  "alias", "alias2",  "_s._tcp", "sub.cut3", "cut3",
    "*",     "zz",      "ns.zz",  "Mixed", "d.mixed", "svc",     "x.*.w",    "a.mail"};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

/* Names of the zone as they are asked for, and some that are not there. */
static const char *const more[] = {"nix",   "q.a",   "q.b.a",      "q.w",   "q.q.w",
				   "q.cut", "q.dn",  "q.q.dn",     "q.n.t", "0",
				   "zzz",   "q.x.w", "q.sub.cut3", "_tcp"};
static const uint16_t types[] = {DNS_A,  DNS_AAAA, DNS_NS,    DNS_MX,  DNS_TXT,
				 DNS_DS, DNS_ANY,  DNS_CNAME, DNS_SRV, DNS_SOA};

static struct {
	char line[LINES][LINE];
	size_t n;
	uint32_t serial;
} zone, saved;

static uint64_t seed;
static unsigned dice(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)((seed >> 33) % n);
}

static int begin(void **state)
{
	(void)state; /* the mode of signing */
	zone_begin();
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlinkat(zone_folder, "whole", 0);
	unlinkat(zone_folder, "theirs", 0);
	unlinkat(zone_folder, "theirs.overlay", 0);
	unlinkat(zone_folder, "image.journal", 0);
	zone_end();
	signer_end();
	return 0;
}

static void quiet(void *arg, bool error, const char *line)
{
	(void)arg;
	(void)error;
	(void)line;
}

static const char *owner_of(const char *line)
{
	static char out[LINE];
	size_t n = strcspn(line, " ");
	memcpy(out, line, n);
	out[n] = 0;
	return out;
}

static void some_line(char out[LINE])
{
	const char *owner = names[dice(NAMES)], *to = names[1 + dice(NAMES - 1)];
	unsigned n = dice(3), ttl = 60 * (1 + dice(3));
	switch (dice(13)) {
	case 0:
	case 1:
	case 2:
		snprintf(out, LINE, "%s %u A 192.0.2.%u", owner, ttl, n);
		break;
	case 3:
		snprintf(out, LINE, "%s %u AAAA 2001:db8::%u", owner, ttl, n);
		break;
	case 4:
	case 5:
		snprintf(out, LINE, "%s %u MX %u %s", owner, ttl, n, to);
		break;
	case 6:
		snprintf(out, LINE, "%s %u SRV 1 2 %u %s", owner, ttl, n, to);
		break;
	case 7:
		snprintf(out, LINE, "%s %u CNAME %s", owner, ttl, to);
		break;
	case 8:
		snprintf(out, LINE, "%s %u NS %s", strncmp(owner, "cut", 3) ? "zz" : owner, ttl,
			 to);
		break;
	case 9:
		snprintf(out, LINE, "%s %u NS ns.%s", n ? "cut" : "cut2", ttl, n ? "cut" : "cut2");
		break;
	case 10:
		snprintf(out, LINE, "%s %u DNAME %s", n ? "dn" : "cut3", ttl, to);
		break;
	case 11:
		snprintf(out, LINE, "%s %u HTTPS 1 %s", owner, ttl, to);
		break;
	default:
		snprintf(out, LINE, "%s %u TXT t%u", owner, ttl, n);
	}
}

/* --- signing ------------------------------------------------------------------------------------
 */

static enum { PLAIN, NSEC, NSEC3 } mode;

static struct sign signing(const struct image *before)
{
	enum { DAY = 86400 };
	struct sign s = {.nsec3 = mode == NSEC3,
			 .now = (uint64_t)time(NULL),
			 .lifetime = 14 * DAY,
			 .refresh = 5 * DAY,
			 .before = before,
			 .batch = signer_batch};
	signer_make(0, &s.key[s.keys++]);
	return s;
}

static struct image_options options(struct sign *s)
{
	return (struct image_options){
	    .lenient = true, .sign = mode ? sign_zone : NULL, .sign_arg = s};
}

/* --- building ----------------------------------------------------------------------------------
 */

static void add_lines(struct image_maker *m, const char *owner)
{
	const uint8_t *origin = wire_name("b.test");
	char soa[LINE];
	snprintf(soa, LINE, "@ 3600 SOA ns1.b.test. Root.b.test. %u 1 2 3 300", zone.serial);
	if (!owner || !strcmp(owner, "@"))
		assert_true(zone_line(m, origin, slice_of(soa)));
	for (size_t i = 0; i < zone.n; i++)
		if (!owner || !strcasecmp(owner, owner_of(zone.line[i])))
			assert_true(zone_line(m, origin, slice_of(zone.line[i])));
}

static struct image *whole(const char *path, const struct image *before)
{
	struct sign sign = signing(before);
	const struct image_options o_of = options(&sign);
	const char *why;
	struct image_maker *m = image_make(zone_folder, path, wire_name("b.test"), &o_of);
	add_lines(m, NULL);
	maker_ready(m);
	const struct image_origin o = {.content = maker_content(m), .records = m->stats.records};
	image_set_origin(m, &o);
	return image_finish(m, NULL, quiet, NULL) ? image_open(zone_folder, path, &why) : NULL;
}

static struct image *patched(const struct image *before, const char *const *owner, size_t n,
			     struct buf *changed)
{
	struct sign sign = signing(before);
	const struct image_options o_of = options(&sign);
	const char *why;
	struct image_maker *m = image_patch(zone_folder, "image", before, &o_of, MOST, changed);
	for (size_t i = 0; i < n; i++) {
		uint8_t wire[DNS_NAME_MAX];
		assert_true(
		    dns_name_from_zone(slice_of(owner[i]), wire_name("b.test"), wire, &why));
		assert_true(image_patch_name(m, wire));
		add_lines(m, owner[i]);
	}
	assert_true(image_patch_ready(m));
	const struct image_origin o = {.content = image_patch_content(m),
				       .records = image_patch_records(m)};
	image_set_origin(m, &o);
	return image_finish(m, NULL, quiet, NULL)
		   ? image_open_next(zone_folder, "image", before, &why)
		   : NULL;
}

/* --- a zone that others have signed: its proofs and signatures are records as all others ---------
 */

static const struct image_options theirs = {.lenient = true};

static void add_name(struct image_maker *m, struct image_walk *w)
{
	struct zone_rr rr;
	const char *why;
	while (image_walk_rr(w, &rr))
		assert_true(image_add(m, rr.owner, rr.type, rr.ttl, rr.rdata, rr.rdlen, &why));
}

static struct image *finished(struct image_maker *m, const char *path)
{
	const char *why;
	assert_true(image_finish(m, NULL, quiet, NULL));
	return image_open(zone_folder, path, &why);
}

static struct image *theirs_whole(const struct image *of, const char *path)
{
	struct image_walk *w = mem_alloc(sizeof(*w));
	struct image_maker *m = image_make(zone_folder, path, image_zone(of), &theirs);
	image_walk_begin(w, of);
	while (image_walk_name(w))
		add_name(m, w);
	free(w);
	maker_ready(m);
	const struct image_origin o = {.content = maker_content(m), .records = m->stats.records};
	image_set_origin(m, &o);
	return finished(m, path);
}

static struct image *theirs_patched(const struct image *of, const struct image *before,
				    struct slice changed)
{
	struct image_walk *w = mem_alloc(sizeof(*w));
	struct image_maker *m = image_patch(zone_folder, "theirs", before, &theirs, MOST, NULL);
	size_t len;
	image_walk_begin(w, of);
	for (; changed.len; changed.p += len, changed.len -= len) {
		len = dns_name_len((const uint8_t *)changed.p);
		assert_true(image_patch_name(m, (const uint8_t *)changed.p));
		if (image_walk_to(w, (const uint8_t *)changed.p, len))
			add_name(m, w);
	}
	free(w);
	assert_true(image_patch_ready(m));
	const struct image_origin o = {.content = image_patch_content(m),
				       .records = image_patch_records(m)};
	image_set_origin(m, &o);
	return finished(m, "theirs");
}

/* --- comparing ---------------------------------------------------------------------------------
 */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines in order, so that that of records does not matter. */
static void sort_lines(struct buf *b)
{
	static char *line[20000];
	size_t n = 0;
	struct buf out = {0};
	char *text = strdup(buf_cstr(b)), *rest = text;
	for (char *l; (l = strsep(&rest, "\n"));)
		if (*l && n < 20000)
			line[n++] = l;
	qsort(line, n, sizeof(*line), by_text);
	for (size_t i = 0; i < n; i++)
		buf_printf(&out, "%s\n", line[i]);
	free(text);
	buf_free(b);
	*b = out;
}

static void say_all(const struct image *i, struct buf *out)
{
	struct image_walk *w = mem_alloc(sizeof(*w));
	struct zone_rr rr;
	uint8_t last[DNS_NAME_MAX] = {0};
	image_walk_begin(w, i);
	while (image_walk_name(w)) {
		char name[DNS_NAME_TEXT];
		assert_true(dns_name_cmp(last, w->m.name) < 0);
		memcpy(last, w->m.name, w->m.name_len);
		dns_name_text(name, w->m.name);
		buf_printf(out, "%s\n", name);
		while (image_walk_rr(w, &rr))
			if (rr.type == DNS_RRSIG) /* when it was made does not matter */
				buf_printf(out, "%s %u RRSIG %u\n", name, rr.ttl,
					   dns_u16(rr.rdata));
			else
				zonetext_write(out, &rr);
	}
	assert_false(w->bad);
	free(w);
	sort_lines(out);
}

static void say_answer(const struct image *i, const uint8_t *name, uint16_t type, struct buf *out)
{
	static uint8_t pkt[DNS_QUERY_MAX], response[DNS_MSG_MAX];
	struct zones *z = zones_new();
	struct answer_conf conf = {.udp_size = 1232, .additional = true};
	struct dns_query what = {.type = type, .edns_size = 1232, .dnssec_ok = true};
	struct answer_way way = {.stream = true};
	struct answer_info info;
	struct query q;
	zones_set(z, wire_name("b.test"), i, 0);
	query_read(&q, pkt, dns_query(pkt, name, &what));
	if (type % 2)
		answer_prepare(z, &q, 1);
	size_t len = answer_query(z, &conf, &q, &way, response, sizeof(response), &info);
	say_response(out, response, len);
	sort_lines(out);
	zones_free(&z);
}

static void same_answer(const struct image *a, const struct image *b, const char *text)
{
	uint8_t name[DNS_NAME_MAX];
	const char *why;
	assert_true(dns_name_from_zone(slice_of(text), wire_name("b.test"), name, &why));
	dns_name_lower(name);
	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		struct buf x = {0}, y = {0};
		say_answer(a, name, types[t], &x);
		say_answer(b, name, types[t], &y);
		if (strcmp(buf_cstr(&x), buf_cstr(&y)) != 0)
			print_error("%s %u, serial %u:\n%s-- whole:\n%s", text, types[t],
				    zone.serial, buf_cstr(&x), buf_cstr(&y));
		assert_string_equal(buf_cstr(&x), buf_cstr(&y));
		buf_free(&x);
		buf_free(&y);
	}
}

static void same_image(const struct image *a, const struct image *b)
{
	struct buf x = {0}, y = {0};
	struct image_stats n, k;
	say_all(a, &x);
	say_all(b, &y);
	if (strcmp(buf_cstr(&x), buf_cstr(&y)) != 0)
		print_error("serial %u:\n%s-- whole:\n%s", zone.serial, buf_cstr(&x), buf_cstr(&y));
	assert_string_equal(buf_cstr(&x), buf_cstr(&y));
	buf_free(&x);
	buf_free(&y);
	image_numbers(a, &n);
	image_numbers(b, &k);
	assert_int_equal(n.records, k.records);
	assert_int_equal(n.names, k.names);
	assert_int_equal(n.serial, k.serial);
	assert_int_equal(image_origin(a)->content, image_origin(b)->content);
	assert_int_equal(image_origin(a)->records, image_origin(b)->records);
	for (size_t i = 0; i < NAMES; i++)
		same_answer(a, b, names[i]);
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		same_answer(a, b, more[i]);
}

/* The journal leads from one to the other. */
static void same_journal(const struct image *before, const struct image *a,
			 const struct buf *changed)
{
	struct buf noted = {0}, compared = {0};
	for (int by_names = 0; by_names < 2; by_names++) {
		struct journal_steps s;
		struct zone_rr rr;
		struct buf *out = by_names ? &noted : &compared;
		journal_remove(zone_folder, "image");
		assert_int_equal(by_names ? journal_note_names(zone_folder, "image", before, a,
							       buf_slice(changed))
					  : journal_note(zone_folder, "image", before, a),
				 JOURNAL_STEP);
		struct journal *j = journal_open(zone_folder, "image", image_zone(a));
		assert_non_null(j);
		assert_true(journal_find(j, image_serial(before), image_serial(a), &s));
		while (journal_next(&s, &rr))
			zonetext_write(out, &rr);
		assert_false(s.bad);
		journal_close(&j);
	}
	assert_string_equal(buf_cstr(&noted), buf_cstr(&compared));
	buf_free(&noted);
	buf_free(&compared);
}

/* The same change in a zone that is signed elsewhere. */
static void same_theirs(const struct image *a, const struct buf *changed, struct image **theirs_now)
{
	struct image *next = *theirs_now && changed->len
				 ? theirs_patched(a, *theirs_now, buf_slice(changed))
				 : theirs_whole(a, "theirs");
	struct image *all = theirs_whole(a, "whole");
	same_image(next, all);
	image_close(&all);
	image_close(theirs_now);
	*theirs_now = next;
}

/* --- the property ------------------------------------------------------------------------------
 */

static void start_zone(void)
{
	static const char *const first[] = {
	    "@ 3600 NS ns1",       "ns1 60 A 192.0.2.1", "@ 60 MX 1 mail",
	    "mail 60 A 192.0.2.2", "cut 60 NS ns.cut",   "ns.cut 60 A 192.0.2.3",
	    "e.n.t 60 TXT x",      "*.w 60 A 192.0.2.4", "dn 60 DNAME w",
	    "www 60 CNAME mail",   "cut2 60 NS mail",    "x.cut2 60 A 192.0.2.5"};
	zone.n = 0;
	zone.serial = 1;
	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
		snprintf(zone.line[zone.n++], LINE, "%s", first[i]);
}

/* One change; the name that it is of. */
static const char *change(char owner[LINE])
{
	bool away = zone.n > 5 && (dice(2) || zone.n > 60 || zone.n == LINES);
	size_t i = zone.n;
	if (away) {
		i = 2 + dice((unsigned)zone.n - 2);
		snprintf(owner, LINE, "%s", owner_of(zone.line[i]));
		memmove(zone.line[i], zone.line[i + 1], (--zone.n - i) * LINE);
	} else {
		some_line(zone.line[i]);
		snprintf(owner, LINE, "%s", owner_of(zone.line[i]));
		zone.n++;
	}
	return owner;
}

static void as_if_whole(void **state)
{
	mode = (unsigned)(uintptr_t)*state;
	seed = 1;
	start_zone();
	struct image *before = whole("image", NULL), *elsewhere = NULL;
	unsigned overlaid = 0, refused = 0, rounds = mode ? SIGNED_ROUNDS : ROUNDS;
	assert_non_null(before);
	for (unsigned round = 0; round < rounds; round++) {
		char owner[6][LINE];
		const char *list[6] = {"@"};
		size_t n = 1;
		struct buf changed = {0};
		saved = zone;
		zone.serial++;
		for (unsigned k = 1 + dice(4); n <= k; n++)
			list[n] = change(owner[n]);
		struct image *all = whole("whole", before), *a = NULL;
		if (all && round % MERGE == MERGE - 1)
			a = whole("image", before);
		else
			a = patched(before, list, n, &changed);
		assert_true(!a == !all);
		if (!a) {
			zone = saved;
			refused++;
			buf_free(&changed);
			continue;
		}
		overlaid += image_overlaid(a) > 0;
		same_image(a, all);
		if (mode && round % MERGE == MERGE - 2)
			verify(a);
		if (mode)
			same_theirs(a, &changed, &elsewhere);
		if (changed.len)
			same_journal(before, a, &changed);
		buf_free(&changed);
		image_close(&all);
		image_close(&before);
		before = a;
	}
	assert_true(overlaid > rounds / 2 && refused < rounds / 2);
	image_close(&before);
	image_close(&elsewhere);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_prestate_setup_teardown(as_if_whole, begin, end, (void *)PLAIN),
	    cmocka_unit_test_prestate_setup_teardown(as_if_whole, begin, end, (void *)NSEC),
	    cmocka_unit_test_prestate_setup_teardown(as_if_whole, begin, end, (void *)NSEC3),
	};
	return cmocka_run_group_tests_name("overlays of images", tests, NULL, NULL);
}
