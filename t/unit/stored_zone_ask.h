/* What the tests of zones in the store share: a zone's text goes in and out through the sockets. */
#include "t/unit/stored_running.h"
#include "libcommon/base/log.h"
#include "stored/zone.h"
#include "t/unit/zone_sorted.h"

static struct peer *ctl, *dnsd;
static const uint8_t name_wire[] = "\7example\3org";
static const struct slice name = {"\7Example\3org", sizeof(name_wire)}; /* case does not count */

static inline int setup(void **state)
{
	log_init("test", LOG_TO_STDERR, LOG_LV_ERROR);
	running_setup(state);
	listen_as("ctl");
	listen_as("dnsd");
	ctl = peer_connect(socket_path("ctl"), ROLE_CTL, NULL, NULL);
	dnsd = peer_connect(socket_path("dnsd"), ROLE_DNSD, NULL, NULL);
	zone_start();
	return 0;
}

static inline int teardown(void **state)
{
	if (ctl)
		peer_free(&ctl);
	if (dnsd)
		peer_free(&dnsd);
	return running_teardown(state);
}

static inline uint64_t begin(struct peer *p, uint32_t source)
{
	struct msg_zone_begin m = {name, source};
	const struct msg_ok *ok = ask(p, MSG_zone_begin, &m, MSG_ok);
	return ok->value;
}

/* In chunks of about `size` octets, each a message of its own. */
static inline void put(struct peer *p, uint64_t draft, const char *text, size_t size)
{
	struct zone_sort *s = sorted(name_wire, text);
	struct zone_chunk_out out = {0};
	struct zone_rr rr;
	bool more = zone_sort_next(s, &rr);
	uint8_t last[DNS_NAME_MAX] = {0};
	while (more) {
		zone_chunk_clear(&out);
		do {
			zone_chunk_add(&out, &rr);
			memcpy(last, rr.owner, dns_name_len(rr.owner));
			more = zone_sort_next(s, &rr);
		} while (more && (out.data.len < size || dns_name_eq(last, rr.owner)));
		struct row_zone_chunk c = {buf_slice(&out.data)};
		struct msg_zone_put m = {draft, &c, 1};
		ask(p, MSG_zone_put, &m, MSG_ok);
	}
	buf_free(&out.data);
	zone_sort_free(&s);
}

static inline const struct msg_zone_changed *import_as(struct peer *p, uint32_t source,
						       const char *text)
{
	uint64_t draft = begin(p, source);
	put(p, draft, text, 40);
	struct msg_zone_commit m = {draft};
	return ask(p, MSG_zone_commit, &m, MSG_zone_changed);
}

static inline const struct msg_zone_changed *import(const char *text)
{
	return import_as(ctl, ZONE_STORE, text);
}

static inline void add_text(struct buf *out, struct slice chunk)
{
	struct zone_chunk_in in;
	struct zone_rr rr;
	zone_chunk_open(&in, chunk);
	while (zone_chunk_next(&in, &rr)) {
		char owner[DNS_NAME_TEXT], type[DNS_TYPE_TEXT];
		dns_name_text(owner, rr.owner);
		owner[strlen(owner) - strlen("example.org")] = 0;
		buf_printf(out, "%s %u %s ", owner, rr.ttl, dns_type_text(rr.type, type));
		dns_rdata_text(rr.type, rr.rdata, rr.rdlen, out);
		buf_addc(out, '\n');
	}
	assert_false(in.bad);
}

static inline const struct msg_zone_chunks *read_from(struct slice key, uint32_t max)
{
	struct msg_zone_read m = {name, key, max};
	return ask(dnsd, MSG_zone_read, &m, MSG_zone_chunks);
}

/* The whole zone, two chunks at a time. */
static inline const char *all(void)
{
	static struct buf out;
	struct slice key = SLICE("");
	buf_clear(&out);
	const struct msg_zone_chunks *m;
	do {
		m = read_from(key, 2);
		for (uint32_t i = 0; i < m->chunks_n; i++)
			add_text(&out, m->chunks[i].data);
		key = m->next;
	} while (m->more);
	return buf_cstr(&out);
}

#define APEX "@ 300 NS ns1\n@ 300 SOA ns1 host %u 2 3 4 5\n"
static inline const char *with(uint32_t serial, const char *rest)
{
	static char text[2][4000];
	static int i;
	i = !i;
	snprintf(text[i], sizeof(text[i]), APEX "%s", serial, rest);
	return text[i];
}

static inline const char *stored(uint32_t serial, const char *rest)
{
	static char text[4000];
	snprintf(text, sizeof(text),
		 " 300 NS ns1.example.org.\n"
		 " 300 SOA ns1.example.org. host.example.org. %u 2 3 4 5\n%s",
		 serial, rest);
	return text;
}

static inline uint32_t serial(void)
{
	return read_from(SLICE(""), 0)->zone->serial;
}

static inline struct row_zone_op op(enum zone_change_kind kind, const char *owner, const char *type,
				    uint32_t ttl, const char *data)
{
	struct dns_word w[8];
	size_t words = 0, len = 0, bad;
	const char *why = NULL;
	struct slice rest = slice_of(pool_strdup(run_pool, data ? data : ""));
	uint8_t *rdata = pool_alloc(run_pool, DNS_RDATA_MAX), *o = pool_alloc(run_pool, 256);
	uint16_t t = type ? dns_type_from_text(slice_of(type)) : 0;
	while ((w[words].text = slice_word(&rest)).len)
		w[words++].quoted = false;
	if (data && !dns_rdata_from_text(t, w, words, name_wire, rdata, &len, &why, &bad))
		fail_msg("%s: %s", data, why);
	size_t n = dns_name_from_zone(slice_of(owner), name_wire, o, &why);
	return (struct row_zone_op){kind, {(char *)o, n}, t, ttl, {(char *)rdata, len}};
}
