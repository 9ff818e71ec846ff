/* A damaged image: answers may be wrong or SERVFAIL, nothing else happens. The first octet says
 * whose image it is (the last one's has an overlay); then each three octets are a place, counted
 * from the end of the head, and each fourth is what is written there. */
#include "dnsd/answer/answer.h"
#include "dnsd/catalog/catalog_int.h"
#include "dnsd/image/image_int.h"
#include "dnsd/image/image_patch.h"
#include "t/unit/dnsd_odd.h"
#include "t/unit/dnsd_zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { ZONES = 5, OVERLAID = 4 };
static const struct {
	const char *name, *text;
} zone[ZONES] = {{"b.test", odd_plain},
		 {"s.test", odd_nsec},
		 {"example", odd_nsec3},
		 {"cat.test", "@ 0 SOA a. b. 1 2 3 4 5\n@ 0 NS a.\nversion 0 TXT \"2\"\n"
			      "1.zones 0 PTR a.test.\ncoo.1.zones 0 PTR b.test.\n"
			      "2.zones 0 PTR b.test.\n"},
		 {"b.test", odd_plain}};
static const char *asked[] = {
    "b.test",       "www.b.test",  "nix.b.test",      "q.w.b.test",      "alias2.b.test",
    "cut.b.test",   "x.dn.b.test", "towild.b.test",   "a.ns.cut.b.test", "mxalias.b.test",
    "s.test",       "b.s.test",    "q.w.s.test",      "wc.s.test",       "un.s.test",
    "x.sec.s.test", "example",     "a.c.x.w.example", "a.z.w.example",   "mc.c.example"};
static const uint16_t types[] = {DNS_A, DNS_MX, DNS_ANY, DNS_DS, DNS_RRSIG, DNS_NS, DNS_CNAME};

/* Everything that one can ask of it. */
static void ask(const struct zones *z, const uint8_t *origin)
{
	static uint8_t out[DNS_MSG_MAX];
	struct answer_conf conf = {.udp_size = 1232, .additional = true};
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		const uint8_t *name = wire_name(asked[i]);
		bool ours = dns_name_under(name, origin);
		for (size_t t = 0; ours && t < sizeof(types) / sizeof(types[0]); t++) {
			uint8_t pkt[DNS_QUERY_MAX];
			struct dns_query what = {
			    .type = types[t], .edns_size = 1232, .dnssec_ok = t % 2 == 0};
			struct answer_way way = {.stream = (t + i) % 3 == 0};
			struct answer_info info;
			struct query q;
			query_read(&q, pkt, dns_query(pkt, name, &what));
			if (i % 2)
				answer_prepare(z, &q, 1);
			if (!answer_query(z, &conf, &q, &way, out, sizeof(out), &info))
				abort();
		}
	}
}

static void walk(const struct image *i)
{
	static uint8_t data[DNS_RDATA_MAX];
	struct image_match m;
	for (uint64_t at = 0; image_next(i, &at, &m);) {
		uint16_t type;
		struct piece p;
		struct image_rr rr;
		bool ok;
		for (size_t t = 0; image_next_type(i, m.node, &t, &type);) {
			if (!image_piece(i, m.node, PART_ANSWER, type, &p))
				continue;
			for (size_t r = 0; image_rr(&m, &p, &p, &r, &rr);)
				image_rdata(&m, &p, &p, &rr, data, &ok);
		}
	}
}

/* The same with a change over it. */
static struct image *changed(struct image *before)
{
	const uint8_t *origin = wire_name("b.test");
	const char *why;
	struct image_maker *m = image_patch(zone_folder, "image", before, NULL, 100, NULL);
	image_patch_name(m, wire_name("cut.b.test"));
	image_patch_name(m, wire_name("www.b.test"));
	if (!zone_line(m, origin, SLICE("@ 3600 SOA ns1 root 8 1 2 3 300")) ||
	    !zone_line(m, origin, SLICE("@ 60 MX 10 www")) ||
	    !zone_line(m, origin, SLICE("@ 60 NS ns1")) ||
	    !zone_line(m, origin, SLICE("cut 60 NS mail")) ||
	    !zone_line(m, origin, SLICE("a.new 60 NS ns1")) || !image_patch_ready(m) ||
	    !image_finish(m, NULL, zone_print, NULL))
		abort();
	struct image *i = image_open(zone_folder, "image", &why);
	if (!i || !image_overlaid(i))
		abort();
	image_close(&before);
	return i;
}

static size_t over_at(size_t base)
{
	return image_pad(base, sizeof(uint64_t));
}

/* Both files, one behind the other. */
static struct image *read_both(uint8_t *bytes, size_t base, size_t size)
{
	struct image_head *h = (struct image_head *)(void *)bytes;
	const char *why;
	h->sum = image_sum(h);
	struct image *i = image_from(bytes, base, &why);
	if (i && base < size) {
		h = (struct image_head *)(void *)(bytes + over_at(base));
		h->over = i->base.head->sum;
		h->sum = image_sum(h);
		image_cover(i, h, size - over_at(base), &why);
	}
	return i;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t *whole[ZONES];
	static size_t size[ZONES], base[ZONES];
	for (unsigned k = 0; !whole[ZONES - 1] && k < ZONES; k++) {
		zone_begin();
		struct image *i = zone_image(zone[k].name, zone[k].text);
		if (k == OVERLAID)
			i = changed(i);
		base[k] = i->base.size;
		size[k] = i->over.p ? over_at(base[k]) + i->over.size : base[k];
		whole[k] = calloc(1, size[k]);
		memcpy(whole[k], i->base.p, base[k]);
		if (i->over.p)
			memcpy(whole[k] + over_at(base[k]), i->over.p, i->over.size);
		image_close(&i);
		zone_end();
	}
	if (len < 1)
		return 0;
	unsigned k = data[0] % ZONES;
	uint8_t *bytes = malloc(size[k]);
	memcpy(bytes, whole[k], size[k]);
	for (size_t at = 1; at + 4 <= len; at += 4) {
		size_t place = (size_t)data[at] << 16 | dns_u16(data + at + 1);
		/* Places in the head come last. */
		bytes[(place + sizeof(struct image_head)) % size[k]] = data[at + 3];
	}
	struct image *i = read_both(bytes, base[k], size[k]);
	if (i) {
		struct zones *z = zones_new();
		uint8_t origin[DNS_NAME_MAX];
		dns_name_from_text(slice_of(zone[k].name), origin);
		zones_set(z, origin, i, 0);
		ask(z, origin);
		walk(i);
		struct catalog_list members;
		catalog_read(i, &members);
		catalog_list_free(&members);
		zones_free(&z);
		image_close(&i);
	}
	free(bytes);
	return 0;
}
