/* Zones from their primaries: a scripted primary on a thread of its own, and a stand-in for the
 * store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <unistd.h>
#include <cmocka.h>
#include "dnsd/secondary/secondary.h"
#include "libcommon/base/clock.h"
#include "libcommon/dns/zonechunk.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/loop.h"

enum { DEADLINE_MS = 30000, DRAFT = 77, SCRIPT = 8 };
#define SOA(n) "b.test. 60 SOA ns.b.test. h.b.test. " #n " 1 2 3 4\n"
#define NS     "b.test. NS ns.b.test.\n"
#define TURN(t, ...)                                    \
	{                                               \
		.type = (t), .message = { __VA_ARGS__ } \
	}
#define CUT(t, ...)                                                    \
	{                                                              \
		.type = (t), .message = {__VA_ARGS__}, .hang_up = true \
	}
#define REFUSAL(t, why)                                      \
	{                                                    \
		.type = (t), .message = {""}, .flags = (why) \
	}
#define END               \
	{                 \
		.type = 0 \
	}

static const uint8_t ZONE[] = "\1b\4test";
static const uint8_t ROOT[] = "";

/* --- messages ----------------------------------------------------------------------------------
 */

static void on_error(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "%s\n", line);
	abort();
}

static bool put_rr(void *arg, const struct zone_rr *rr)
{
	struct dns_out *o = arg;
	size_t at = dns_out_rr(o, DNS_ANSWER, rr->owner, rr->type, rr->ttl);
	dns_out_bytes(o, rr->rdata, rr->rdlen);
	dns_out_rr_end(o, at);
	return true;
}

/* Repeats the question of the query. */
static size_t answer(uint8_t *out, size_t cap, const uint8_t *query, uint16_t flags,
		     const char *records)
{
	struct dns_out o;
	struct zonetext z = {
	    .origin = ROOT, .ttl = 60, .on_rr = put_rr, .on_error = on_error, .arg = &o};
	dns_out_init(&o, out, cap, dns_u16(query), DNS_QR | DNS_AA | flags);
	dns_out_question(&o, ZONE, dns_u16(query + DNS_HEADER + sizeof(ZONE)));
	zonetext_memory(&z, "test", slice_of(records));
	return o.len;
}

/* --- the primary -------------------------------------------------------------------------------
 */

static struct tsig_key key, other_key;

struct turn {
	uint16_t type;          /* the question that is expected */
	const char *message[4]; /* records; NULL: no more */
	uint16_t flags;         /* of the first message */
	bool hang_up;           /* the connection ends then, in place of the last one */
	const struct tsig_key *key;
	bool wrong_key, not_signed, last_not_signed;
	int damaged; /* the message with that number has another signature; 0: none */
};

static struct {
	int listener;
	pthread_t thread;
	const struct turn *turn;
	struct dns_server server;
	char wrong[100]; /* "": the questions were as expected */
} peer;

static bool read_all(int fd, uint8_t *p, size_t n)
{
	for (ssize_t got; n; p += got, n -= (size_t)got)
		if ((got = read(fd, p, n)) <= 0)
			return false;
	return true;
}

static const struct tsig_key *signed_by;
static const struct tsig_key *find_key(const uint8_t *name)
{
	return dns_name_eq(name, signed_by->name) ? signed_by : NULL;
}

/* Where the TSIG record begins; 0: none. */
static size_t tsig_at(const uint8_t *pkt, size_t len)
{
	struct dns_iter it;
	struct dns_header h;
	struct dns_rr rr;
	size_t at = 0;
	dns_iter_init(&it, pkt, len, &h);
	while (dns_iter_rr(&it, &rr))
		at = rr.type == DNS_TSIG ? rr.owner : 0;
	return at;
}

static void play(int fd, const struct turn *t, const uint8_t *query, size_t len)
{
	static uint8_t out[2 + DNS_MSG_MAX];
	struct tsig sign = {0};
	uint16_t type = dns_u16(query + DNS_HEADER + sizeof(ZONE));
	if (type != t->type)
		snprintf(peer.wrong, sizeof(peer.wrong), "type %u", type);
	signed_by = t->key;
	if (t->key && tsig_check(&sign, query, len, tsig_at(query, len), find_key, clock_sec()) &&
	    !t->wrong_key)
		snprintf(peer.wrong, sizeof(peer.wrong), "TSIG error %u", sign.error);
	for (int i = 0; i < 4 && t->message[i]; i++) {
		size_t n = answer(out + 2, DNS_MSG_MAX, query, i ? 0 : t->flags, t->message[i]);
		bool last = i == 3 || !t->message[i + 1];
		if (t->key && !t->not_signed && !(last && t->last_not_signed))
			n = tsig_sign(&sign, out + 2, n, DNS_MSG_MAX, clock_sec());
		if (t->damaged == i + 1)
			out[2 + n - 20] ^= 1; /* in the MAC, behind which there are 6 octets */
		if (t->hang_up && last)
			break;
		out[0] = (uint8_t)(n >> 8);
		out[1] = (uint8_t)n;
		if (send(fd, out, n + 2, MSG_NOSIGNAL) != (ssize_t)(n + 2))
			return;
	}
}

/* Turn by turn; a connection ends when its questions do. */
static void *serve_all(void *arg)
{
	static uint8_t query[DNS_MSG_MAX];
	const struct turn *t = peer.turn;
	(void)arg;
	while (t->type) {
		int fd = accept(peer.listener, NULL, NULL);
		uint8_t head[2];
		while (t->type && read_all(fd, head, 2) && read_all(fd, query, dns_u16(head))) {
			bool hang_up = t->hang_up;
			play(fd, t++, query, dns_u16(head));
			if (hang_up)
				break;
		}
		close(fd);
	}
	return NULL;
}

static void peer_start(const struct turn *turns)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&peer.server.sa;
	socklen_t len = sizeof(*in);
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in->sin_port = 0;
	peer.listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(peer.listener, (struct sockaddr *)in, len), 0);
	assert_int_equal(listen(peer.listener, 5), 0);
	getsockname(peer.listener, (struct sockaddr *)in, &len);
	peer.server.sa_len = len;
	peer.server.text = "the primary";
	peer.server.key = turns->key ? &key : NULL;
	peer.wrong[0] = '\0';
	peer.turn = turns;
	assert_int_equal(pthread_create(&peer.thread, NULL, serve_all, NULL), 0);
}

static void peer_end(void)
{
	pthread_join(peer.thread, NULL);
	close(peer.listener);
	assert_string_equal(peer.wrong, "");
}

/* --- the store ---------------------------------------------------------------------------------
 */

static struct {
	struct buf told; /* what it was asked */
	enum msg_type fails;
	enum ipc_err code; /* with that */
	struct reply {
		peer_reply_fn *fn;
		void *arg;
		enum msg_type asked;
	} reply;
} the_store;

static void reply_now(void *arg)
{
	struct reply r = *(struct reply *)arg;
	struct msg_ok ok = {DRAFT};
	struct msg_zone_changed changed = {.serial = 7};
	struct msg_error error = {.code = the_store.code, .text = SLICE("no good")};
	if (r.asked == the_store.fails)
		r.fn(r.arg, MSG_error, &error);
	else if (r.asked == MSG_zone_commit || r.asked == MSG_zone_edit)
		r.fn(r.arg, MSG_zone_changed, &changed);
	else
		r.fn(r.arg, MSG_ok, &ok);
}

static void tell_records(struct slice data)
{
	struct zone_chunk_in in;
	struct zone_rr rr;
	char name[DNS_NAME_TEXT], type[DNS_TYPE_TEXT];
	zone_chunk_open(&in, data);
	while (zone_chunk_next(&in, &rr)) {
		dns_name_text(name, rr.owner);
		buf_printf(&the_store.told, " %s/%s", name, dns_type_text(rr.type, type));
	}
	assert_false(in.bad);
}

static void tell_ops(const struct msg_zone_edit *m)
{
	char name[DNS_NAME_TEXT], type[DNS_TYPE_TEXT];
	for (uint32_t i = 0; i < m->ops_n; i++) {
		dns_name_text(name, (const uint8_t *)m->ops[i].owner.p);
		buf_printf(&the_store.told, " %c%s/%s", m->ops[i].kind == ZONE_ADD ? '+' : '-',
			   name, dns_type_text((uint16_t)m->ops[i].type, type));
	}
}

static uint32_t store_call(struct peer *p, enum msg_type t, const void *msg, peer_reply_fn *fn,
			   void *arg)
{
	(void)p;
	if (t == MSG_zone_begin) {
		const struct msg_zone_begin *m = msg;
		assert_int_equal(m->source, ZONE_SECONDARY);
		buf_adds(&the_store.told, "begin");
	} else if (t == MSG_zone_put) {
		const struct msg_zone_put *m = msg;
		assert_int_equal(m->draft, DRAFT);
		for (uint32_t i = 0; i < m->chunks_n; i++)
			tell_records(m->chunks[i].data);
	} else if (t == MSG_zone_edit) {
		const struct msg_zone_edit *m = msg;
		buf_printf(&the_store.told, "edit %u", (unsigned)m->serial);
		tell_ops(m);
	} else {
		buf_adds(&the_store.told, t == MSG_zone_commit ? " commit" : " abort\n");
	}
	if (t == MSG_zone_commit || t == MSG_zone_edit)
		buf_addc(&the_store.told, '\n');
	if (t == MSG_zone_abort)
		return 1;
	the_store.reply = (struct reply){fn, arg, t};
	loop_defer(reply_now, &the_store.reply);
	return 1;
}

/* --- a transfer --------------------------------------------------------------------------------
 */

static struct {
	bool over, ours;
	enum xfr_end end;
	char why[200], how[10];
	uint32_t serial;
} done;

static void on_done(void *arg, const struct xfr_done *d)
{
	(void)arg;
	done.over = true;
	done.end = d->end;
	done.ours = d->ours;
	done.serial = d->soa.serial;
	str_fmt(done.why, sizeof(done.why), "%s", d->why);
	str_fmt(done.how, sizeof(done.how), "%s", d->how ? d->how : "");
}

static void run(const struct turn *turns, struct xfr_ask ask)
{
	peer_start(turns);
	ask.zone = ZONE;
	ask.server = &peer.server;
	done.over = false;
	buf_clear(&the_store.told);
	buf_adds(&the_store.told, "");
	xfr_in(&ask, on_done, NULL);
	for (uint64_t until = clock_mono() + DEADLINE_MS; !done.over && clock_mono() < until;)
		uv_run(loop_get(), UV_RUN_ONCE);
	for (int i = 0; i < 3; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	assert_true(done.over);
	peer_end();
	the_store.fails = 0;
}

static void told_is(const char *what)
{
	assert_string_equal(buf_cstr(&the_store.told), what);
}

static void is_new(const char *how, uint32_t serial)
{
	assert_string_equal(done.why, "");
	assert_int_equal(done.end, XFR_NEW);
	assert_string_equal(done.how, how);
	assert_int_equal(done.serial, serial);
}

static const struct xfr_ask FIVE = {.have = true, .serial = 5, .records = 10}, NOTHING = {0};

static void a_whole_zone(void **state)
{
	static const struct turn t[] = {
	    TURN(XFR_AXFR, SOA(7), "www.b.test. A 192.0.2.1\n", NS, SOA(7)), END};
	(void)state;
	run(t, NOTHING);
	is_new("AXFR", 7);
	told_is("begin b.test/NS b.test/SOA www.b.test/A commit\n");
}

static void changes(void **state)
{
	static const struct turn t[] = {TURN(XFR_IXFR,
					     SOA(7) SOA(5) "a.b.test. A 192.0.2.1\n" SOA(7),
					     "c.b.test. A 192.0.2.1\n" SOA(7)),
					END};
	(void)state;
	run(t, FIVE);
	is_new("IXFR", 7);
	told_is("edit 5 -a.b.test/A +c.b.test/A +b.test/SOA\n");
}

static void nothing_newer(void **state)
{
	static const struct turn same[] = {TURN(XFR_IXFR, SOA(5)), END};
	static const struct turn older[] = {TURN(XFR_IXFR, SOA(4)), END};
	(void)state;
	run(same, FIVE);
	assert_int_equal(done.end, XFR_CURRENT);
	run(older, FIVE);
	assert_int_equal(done.end, XFR_OLDER);
	assert_int_equal(done.serial, 4);
	told_is("");
}

/* What is wrong with IXFR is tried with AXFR, by another connection. */
static void axfr_instead(void **state)
{
#define WHOLE TURN(XFR_AXFR, SOA(7) NS SOA(7))
	static const struct turn not_known[] = {REFUSAL(XFR_IXFR, DNS_NOTIMP), WHOLE, END};
	static const struct turn wrong[] = {TURN(XFR_IXFR, SOA(7) SOA(5) SOA(6) SOA(7)), WHOLE,
					    END};
	static const struct turn cut[] = {CUT(XFR_IXFR, SOA(7) SOA(5), ""), WHOLE, END};
	static const struct turn fits_not[] = {TURN(XFR_IXFR, SOA(7) SOA(5) SOA(7) SOA(7)), WHOLE,
					       END};
	(void)state;
	run(not_known, FIVE);
	is_new("AXFR", 7);
	run(wrong, FIVE);
	is_new("AXFR", 7);
	run(cut, FIVE);
	is_new("AXFR", 7);
	the_store.fails = MSG_zone_edit;
	run(fits_not, FIVE);
	is_new("AXFR", 7);
	told_is("edit 5 +b.test/SOA\nbegin b.test/NS b.test/SOA commit\n");
}

/* The limits are the zone's: changes may not lead beyond them, however few they are. */
static void changes_that_make_it_too_large(void **state)
{
	static const struct turn many[] = {
	    TURN(XFR_IXFR, SOA(7) SOA(5) SOA(7) "c.b.test. A 192.0.2.1\n" SOA(7)), END};
	static const struct turn as_many[] = {
	    TURN(XFR_IXFR,
		 SOA(7) SOA(5) "a.b.test. A 192.0.2.1\n" SOA(7) "c.b.test. A 192.0.2.1\n" SOA(7)),
	    END};
	static const struct turn large[] = {
	    TURN(XFR_IXFR, SOA(7) SOA(5) SOA(7) "c.b.test. A 192.0.2.1\n" SOA(7)), WHOLE, END};
	struct xfr_ask ask = FIVE;
	(void)state;
	ask.records = conf.transfer.max_records;
	run(many, ask);
	assert_int_equal(done.end, XFR_NOT);
	assert_string_equal(done.why, "the zone would be too large: over 1000 records");
	told_is("");
	run(as_many, ask);
	is_new("IXFR", 7);
	ask = FIVE; /* what it has of octets a whole transfer tells */
	ask.octets = conf.transfer.max_octets - 20;
	run(large, ask);
	is_new("AXFR", 7);
	told_is("begin b.test/NS b.test/SOA commit\n");
}

static void the_serial_first(void **state)
{
	static const struct turn newer[] = {TURN(DNS_SOA, SOA(7)),
					    TURN(XFR_IXFR, SOA(7) SOA(5) SOA(7) SOA(7)), END};
	static const struct turn same[] = {TURN(DNS_SOA, SOA(5)), END};
	static const struct turn refused[] = {REFUSAL(DNS_SOA, DNS_REFUSED), END};
	static const struct turn whole[] = {TURN(XFR_AXFR, SOA(5) NS SOA(5)), END};
	struct xfr_ask ask = FIVE;
	(void)state;
	ask.poll = true;
	run(newer, ask);
	is_new("IXFR", 7);
	run(same, ask);
	assert_int_equal(done.end, XFR_CURRENT);
	run(refused, ask);
	assert_int_equal(done.end, XFR_NOT);
	assert_string_equal(done.why, "the primary says REFUSED");
	ask.poll = false;
	ask.whole = true;
	run(whole, ask);
	is_new("AXFR", 5);
}

static void failed(const char *why)
{
	assert_int_equal(done.end, XFR_NOT);
	assert_string_equal(done.why, why);
}

static void failures(void **state)
{
	static const struct turn cut[] = {CUT(XFR_AXFR, SOA(7) NS, SOA(7)), END};
	static const struct turn refused[] = {REFUSAL(XFR_AXFR, DNS_REFUSED), END};
	static const struct turn whole[] = {WHOLE, END};
	(void)state;
	run(cut, NOTHING);
	failed("the primary closed the connection");
	told_is("");
	run(refused, NOTHING);
	failed("the primary says REFUSED");
	the_store.fails = MSG_zone_commit;
	run(whole, NOTHING);
	failed("the store: no good");
	told_is("begin b.test/NS b.test/SOA commit\n abort\n");
	assert_false(done.ours);
	the_store.fails = MSG_zone_begin;
	run(whole, NOTHING);
	failed("the store: no good");
	told_is("begin");
	/* Not the primary's fault: it is not asked for the whole of it either. */
	static const struct turn steps[] = {TURN(XFR_IXFR, SOA(7) SOA(5) SOA(7) SOA(7)), END};
	the_store.fails = MSG_zone_edit;
	the_store.code = ERR_FULL;
	run(steps, FIVE);
	failed("the store: no good");
	assert_true(done.ours);
	the_store.code = ERR_BAD;
}

static void signatures(void **state)
{
	static const struct turn good[] = {
	    {.type = XFR_AXFR, .message = {SOA(7), NS, SOA(7)}, .key = &key}, END};
	static const struct turn not_signed[] = {
	    {.type = XFR_AXFR, .message = {SOA(7), NS, SOA(7)}, .key = &key, .not_signed = true},
	    END};
	static const struct turn wrong[] = {{.type = XFR_AXFR,
					     .message = {SOA(7), NS, SOA(7)},
					     .key = &other_key,
					     .wrong_key = true},
					    END};
	static const struct turn last[] = {{.type = XFR_AXFR,
					    .message = {SOA(7), NS, SOA(7)},
					    .key = &key,
					    .last_not_signed = true},
					   END};
	static const struct turn middle[] = {
	    {.type = XFR_AXFR, .message = {SOA(7), NS, SOA(7)}, .key = &key, .damaged = 2}, END};
	(void)state;
	run(good, NOTHING);
	is_new("AXFR", 7);
	run(not_signed, NOTHING);
	failed("a message without the key's signature");
	run(last, NOTHING);
	failed("the last message is not signed");
	told_is("");
	run(middle, NOTHING);
	failed("a message with a wrong signature");
	told_is("");
	run(wrong, NOTHING);
	assert_int_equal(done.end, XFR_NOT);
	told_is("");
}

/* --- the serial --------------------------------------------------------------------------------
 */

static size_t soa_message(uint8_t *out, uint16_t flags, const char *records)
{
	uint8_t query[DNS_QUERY_MAX];
	struct tsig t = {0};
	soa_ask(query, sizeof(query), 99, ZONE, &t, NULL);
	return answer(out, DNS_MSG_MAX, query, flags, records);
}

static void answers_about_the_serial(void **state)
{
	static uint8_t m[DNS_MSG_MAX];
	struct zone_soa soa;
	char why[80];
	(void)state;
	size_t n = soa_message(m, 0, SOA(7));
	assert_int_equal(soa_answer(m, n, 99, ZONE, &soa, why), SOA_HERE);
	assert_true(soa.serial == 7 && soa.refresh == 1 && soa.retry == 2 && soa.expire == 3);
	assert_int_equal(soa_answer(m, n, 98, ZONE, &soa, why), SOA_NONE);
	assert_int_equal(soa_answer(m, n, 99, ROOT, &soa, why), SOA_NONE);
	m[2] &= 0xfb; /* AA */
	assert_int_equal(soa_answer(m, n, 99, ZONE, &soa, why), SOA_NONE);
	assert_string_equal(why, "the primary is not authoritative for the zone");
	n = soa_message(m, DNS_TC, "");
	assert_int_equal(soa_answer(m, n, 99, ZONE, &soa, why), SOA_TCP);
	n = soa_message(m, DNS_SERVFAIL, "");
	assert_int_equal(soa_answer(m, n, 99, ZONE, &soa, why), SOA_NONE);
	assert_string_equal(why, "the primary says SERVFAIL");
	n = soa_message(m, 0, NS);
	assert_int_equal(soa_answer(m, n, 99, ZONE, &soa, why), SOA_NONE);
	n = soa_message(m, 0, SOA(7));
	for (size_t i = 0; i < n; i++)
		assert_int_not_equal(soa_answer(m, i, 99, ZONE, &soa, why), SOA_HERE);
}

static struct {
	bool over;
	enum soa_verdict v;
	uint32_t serial;
} polled;

static void on_soa(void *arg, enum soa_verdict v, const struct zone_soa *soa, const char *why)
{
	(void)arg;
	(void)why;
	polled.over = true;
	polled.v = v;
	polled.serial = soa->serial;
}

/* Asked by UDP; what is not the answer is passed over. */
static void by_udp(void **state)
{
	static uint8_t m[DNS_MSG_MAX];
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_storage from;
	socklen_t len = sizeof(in), from_len = sizeof(from);
	uint8_t query[DNS_QUERY_MAX];
	struct dns_server server = {.text = "it"};
	(void)state;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
	getsockname(fd, (struct sockaddr *)&in, &len);
	memcpy(&server.sa, &in, sizeof(in));
	server.sa_len = len;
	polled.over = false;
	soa_poll(ZONE, &server, on_soa, NULL);
	assert_true(recvfrom(fd, query, sizeof(query), 0, (struct sockaddr *)&from, &from_len) >
		    DNS_HEADER);
	size_t n = answer(m, sizeof(m), query, 0, SOA(7));
	m[0] ^= 1;
	assert_int_equal(sendto(fd, m, n, 0, (struct sockaddr *)&from, from_len), n);
	assert_int_equal(sendto(fd, m, 3, 0, (struct sockaddr *)&from, from_len), 3);
	m[0] ^= 1;
	assert_int_equal(sendto(fd, m, n, 0, (struct sockaddr *)&from, from_len), n);
	for (uint64_t until = clock_mono() + DEADLINE_MS; !polled.over && clock_mono() < until;)
		uv_run(loop_get(), UV_RUN_ONCE);
	assert_int_equal(polled.v, SOA_HERE);
	assert_int_equal(polled.serial, 7);
	close(fd);
	polled.over = false; /* nobody is there now */
	soa_poll(ZONE, &server, on_soa, NULL);
	for (uint64_t until = clock_mono() + DEADLINE_MS; !polled.over && clock_mono() < until;)
		uv_run(loop_get(), UV_RUN_ONCE);
	assert_int_equal(polled.v, SOA_TCP);
}

/* --- when --------------------------------------------------------------------------------------
 */

static void times(void **state)
{
	static const struct refresh_limits l = {60000, 86400000, 30000, 3600000};
	static const struct zone_soa usual = {1, 7200, 600, 1209600}, odd = {1, 1, 0, 0},
				     never = {1, UINT32_MAX, UINT32_MAX, UINT32_MAX};
	(void)state;
	assert_int_equal(refresh_next(&usual, &l, 0), 7200000);
	for (uint32_t random = 0; random < 2000; random++) {
		uint64_t ms = refresh_next(&usual, &l, random);
		assert_true(ms <= 7200000 && ms > 7200000 - 720001);
	}
	assert_int_equal(refresh_next(&odd, &l, 0), 60000);
	assert_int_equal(refresh_next(&never, &l, 0), 86400000);
	assert_int_equal(refresh_retry(&usual, true, 5, &l, 0), 600000);
	assert_int_equal(refresh_retry(&odd, true, 1, &l, 0), 30000);
	assert_int_equal(refresh_retry(&never, true, 1, &l, 0), 3600000);
	/* A zone that was never there. */
	assert_int_equal(refresh_retry(&odd, false, 1, &l, 0), 2000);
	assert_int_equal(refresh_retry(&odd, false, 4, &l, 0), 16000);
	assert_int_equal(refresh_retry(&odd, false, UINT32_MAX, &l, 0), 600000);
	/* A later time than any of conf's would be taken for a clock that went back: at once. */
	const struct refresh_limits brief = {1000, 2000, 1000, 1500};
	assert_int_equal(refresh_retry(&odd, false, 1, &brief, 0), 1500);
	assert_int_equal(refresh_retry(&odd, false, 9, &brief, 0), 1500);
	assert_int_equal(refresh_expire(&usual, &l), 1209600000);
	assert_int_equal(refresh_expire(&odd, &l), 90000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_whole_zone),
	    cmocka_unit_test(changes),
	    cmocka_unit_test(nothing_newer),
	    cmocka_unit_test(axfr_instead),
	    cmocka_unit_test(the_serial_first),
	    cmocka_unit_test(failures),
	    cmocka_unit_test(signatures),
	    cmocka_unit_test(answers_about_the_serial),
	    cmocka_unit_test(by_udp),
	    cmocka_unit_test(times),
	    cmocka_unit_test(changes_that_make_it_too_large),
	};
	clock_init();
	conf.transfer.max_records = 1000;
	conf.transfer.max_octets = 100000;
	conf.transfer.max_time = 60000;
	assert_null(tsig_key_name(&key, SLICE("xfr.test")));
	assert_true(tsig_algorithm(SLICE("hmac-sha256"), &key.algorithm, &key.mac_len));
	tsig_key_make(&key);
	other_key = key;
	tsig_key_make(&other_key);
	the_store.code = ERR_BAD;
	uplink_use(store_call);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
