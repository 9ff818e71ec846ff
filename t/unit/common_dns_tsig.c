/* TSIG: against packets that other servers and clients made, and against ourselves. The key is
 * "secretsecret", its name key.one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "libcommon/dns/tsig.h"

#define SECRET "c2VjcmV0c2VjcmV0"

struct packet {
	uint8_t p[1024];
	size_t len;
};

static struct packet unhex(const char *text)
{
	struct packet out = {.len = strlen(text) / 2};
	for (size_t i = 0; i < out.len; i++) {
		const char byte[3] = {text[2 * i], text[2 * i + 1], 0};
		out.p[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
	return out;
}

static struct tsig_key key;

static const struct tsig_key *find(const uint8_t *name)
{
	return dns_name_eq(name, key.name) ? &key : NULL;
}

static void use_key(const char *algorithm)
{
	memset(&key, 0, sizeof(key));
	assert_true(tsig_algorithm(slice_of(algorithm), &key.algorithm, &key.mac_len));
	assert_null(tsig_key_read(&key, slice_of("key.one:" SECRET)));
}

/* Where the record stands: the last octets with its type and class, its name before them. */
static size_t record_at(const struct packet *m)
{
	struct dns_iter it;
	struct dns_header h;
	struct dns_rr rr = {.owner = 0};
	assert_true(dns_iter_init(&it, m->p, m->len, &h));
	while (dns_iter_rr(&it, &rr))
		;
	assert_false(it.bad);
	assert_int_equal(rr.type, DNS_TSIG);
	return rr.owner;
}

static uint16_t check(struct tsig *t, const struct packet *m, uint64_t now)
{
	return tsig_check(t, m->p, m->len, record_at(m), find, now);
}

/* The message without its TSIG record. */
static struct packet bare(const struct packet *m)
{
	struct packet out = *m;
	out.len = record_at(m);
	out.p[11]--;
	return out;
}

/* --- packets of others ------------------------------------------------------------------------ */
static const struct {
	const char *what, *algorithm;
	uint64_t now;
	const char *query, *response;
} seen[] = {
    {"BIND's dig asks knot", "hmac-sha256", 1795536800,
     "fef501200001000000000001016304746573740000060001036b6579036f6e650000fa00ff000000"
     "00003d0b686d61632d7368613235360000006b05b7a0012c00202201c164f2d78db3743a9dac5a91"
     "6e7e05d02497dcc5b2b067a7adcd31805158fef500000000",
     "fef585000001000100000001016304746573740000060001c00c000600010000012c0021036e7331"
     "c00c04686f7374c00c0000000100000002000000030000000400000005036b6579036f6e650000fa"
     "00ff00000000003d0b686d61632d7368613235360000006b05b7a0012c002012cbabb5d20d123625"
     "c9160d5c548f8ee3f364269e4007b8d352e41b73c62a03fef500000000"},
    {"knot's kdig asks knot", "hmac-sha256", 1795536800,
     "a37c01200001000000000001016304746573740000060001036b6579036f6e650000fa00ff000000"
     "00003d0b686d61632d7368613235360000006b05b7a0012c002007a56de34632a3be7933bdfed599"
     "f8e187643c9ab85b7d622d92e5a767ba6213a37c00000000",
     "a37c85000001000100000001016304746573740000060001c00c000600010000012c0021036e7331"
     "c00c04686f7374c00c0000000100000002000000030000000400000005036b6579036f6e650000fa"
     "00ff00000000003d0b686d61632d7368613235360000006b05b7a0012c00200e13895be82b3a4ddc"
     "86d0f79245f6bcc1a8e1f349aebb12584c70e8bf8ff661a37c00000000"},
    {"dig asks nsd", "hmac-sha256", 1795536801,
     "ed3e01200001000000000001016304746573740000060001036b6579036f6e650000fa00ff000000"
     "00003d0b686d61632d7368613235360000006b05b7a1012c002032280c88ff47a8cd372c4179c8a1"
     "ec4b62050f8fe6cc39c65823408d1b185ecaed3e00000000",
     "ed3e85000001000100010002016304746573740000060001c00c000600010000012c0021036e7331"
     "c00c04686f7374c00c0000000100000002000000030000000400000005c00c000200010000012c00"
     "02c024c024000100010000012c0004c0000201036b6579036f6e650000fa00ff00000000003d0b68"
     "6d61632d7368613235360000006b05b7a1012c00201e3eb0fe166533e9d84975d70b9b05b10cac67"
     "61c4e3aadcd5fb54fa9cb18ef6ed3e00000000"},
    {"dig asks nsd for a zone", "hmac-sha256", 1795536800,
     "69fa00200001000000000001016304746573740000fc0001036b6579036f6e650000fa00ff000000"
     "00003d0b686d61632d7368613235360000006b05b7a0012c0020ccdb8f57e91bd6d387e317f9e2b9"
     "a8e79915cf303ee94cbdce07b4116dd0409169fa00000000",
     "69fa84000001000400000001016304746573740000fc0001c00c000600010000012c0021036e7331"
     "c00c04686f7374c00c0000000100000002000000030000000400000005c00c000200010000012c00"
     "02c024c024000100010000012c0004c0000201c00c000600010000012c0018c024c02a0000000100"
     "000002000000030000000400000005036b6579036f6e650000fa00ff00000000003d0b686d61632d"
     "7368613235360000006b05b7a0012c00202c452126342bbfbfc2c4f425d3d326e926122ccadf0b07"
     "e270536f482e1244a369fa00000000"},
    {"dig asks knot for a zone", "hmac-sha256", 1795536800,
     "f96a00200001000000000001016304746573740000fc0001036b6579036f6e650000fa00ff000000"
     "00003d0b686d61632d7368613235360000006b05b7a0012c00206e9060cf1fde6f5fa7e8889e2180"
     "6d86cd21cbb71ec5fb4874aa77b383a78d8af96a00000000",
     "f96a80000001000400000001016304746573740000fc0001c00c000600010000012c0021036e7331"
     "c00c04686f7374c00c0000000100000002000000030000000400000005c00c000200010000012c00"
     "06036e7331c00cc051000100010000012c0004c0000201c00c000600010000012c0021036e7331c0"
     "0c04686f7374c00c0000000100000002000000030000000400000005036b6579036f6e650000fa00"
     "ff00000000003d0b686d61632d7368613235360000006b05b7a0012c0020908fcdf944e8e5500eb2"
     "3c730e528b24f7a2d8a17c74f16ae36f21879c60c6c8f96a00000000"},
    {"dig, hmac-sha1", "hmac-sha1", 1795536800,
     "71bb01200001000000000001016304746573740000060001036b6579036f6e650000fa00ff000000"
     "00002f09686d61632d736861310000006b05b7a0012c0014df291f0e199887689079b0ae3bb9d80e"
     "a6fe09a771bb00000000",
     NULL},
    {"dig, hmac-sha224", "hmac-sha224", 1795536800,
     "4f4301200001000000000001016304746573740000060001036b6579036f6e650000fa00ff000000"
     "0000390b686d61632d7368613232340000006b05b7a0012c001c30a5378344722576473eff0eb374"
     "043afba18e369bd9e18d2b68e3324f4300000000",
     NULL},
    {"dig, hmac-sha384", "hmac-sha384", 1795536800,
     "479601200001000000000001016304746573740000060001036b6579036f6e650000fa00ff000000"
     "00004d0b686d61632d7368613338340000006b05b7a0012c0030ebfbe981ede738cff73fae48849b"
     "f4953dccb5f9d587bdd168383b9c8968b25afd419191fdee176f82e84ab30a2984bc479600000000",
     NULL},
    {"dig, hmac-sha512", "hmac-sha512", 1795536800,
     "9f8401200001000000000001016304746573740000060001036b6579036f6e650000fa00ff000000"
     "00005d0b686d61632d7368613531320000006b05b7a0012c004021ee024018bf223c5eb944b05bc2"
     "7d1dc520a4cf2fbc769c7089d2fc1498fc4e5750873061820008e6f44940ebce474c50c22cd118be"
     "0912dd8cdb7a03e3789c9f8400000000",
     NULL},
    {"dig, 128 bits", "hmac-sha256-128", 1795536801,
     "15fe01200001000000000001016304746573740000060001036b6579036f6e650000fa00ff000000"
     "00002d0b686d61632d7368613235360000006b05b7a1012c0010a4f18f65d1cfa6eff1be0bfd262f"
     "ff4815fe00000000",
     NULL},
};
enum { SEEN = sizeof(seen) / sizeof(seen[0]) };

static void requests_of_others(void **state)
{
	(void)state;
	for (int i = 0; i < SEEN; i++) {
		struct packet query = unhex(seen[i].query), ours = bare(&query);
		struct tsig t;
		use_key(seen[i].algorithm);
		assert_int_equal(check(&t, &query, seen[i].now), DNS_NOERROR);
		assert_ptr_equal(t.key, &key);
		/* What we make of the same message is the same, octet by octet. */
		ours.len = tsig_ask(&t, &key, ours.p, ours.len, sizeof(ours.p), seen[i].now);
		assert_int_equal(ours.len, query.len);
		assert_memory_equal(ours.p, query.p, query.len);
		tsig_end(&t);
	}
}

static void responses_of_others(void **state)
{
	(void)state;
	for (int i = 0; i < SEEN; i++) {
		if (!seen[i].response)
			continue;
		struct packet query = unhex(seen[i].query), response = unhex(seen[i].response);
		struct packet ours = bare(&query), theirs = bare(&response);
		struct tsig t;
		use_key(seen[i].algorithm);
		tsig_ask(&t, &key, ours.p, ours.len, sizeof(ours.p), seen[i].now);
		assert_false(tsig_whole(&t));
		assert_int_equal(tsig_answer(&t, response.p, response.len, seen[i].now), TSIG_GOOD);
		assert_true(tsig_whole(&t));
		tsig_end(&t);
		/* And as the server that made it. */
		assert_int_equal(check(&t, &query, seen[i].now), DNS_NOERROR);
		size_t room = tsig_room(&t);
		theirs.len = tsig_sign(&t, theirs.p, theirs.len, sizeof(theirs.p), seen[i].now);
		assert_int_equal(theirs.len, response.len);
		assert_int_equal(theirs.len, record_at(&response) + room);
		assert_memory_equal(theirs.p, response.p, response.len);
	}
}

/* One bit of anything that is signed is changed: no more good. */
static void changed_messages(void **state)
{
	(void)state;
	struct packet query = unhex(seen[0].query), response = unhex(seen[0].response);
	struct tsig t;
	use_key(seen[0].algorithm);
	size_t at = record_at(&query);
	for (size_t i = 2 /* the id is the forwarders' */; i < query.len; i++) {
		query.p[i] ^= 1;
		assert_int_not_equal(tsig_check(&t, query.p, query.len, at, find, seen[0].now),
				     DNS_NOERROR);
		query.p[i] ^= 1;
	}
	struct packet ours = bare(&query);
	for (size_t i = 2; i < response.len; i++) {
		ours.len = record_at(&query);
		ours.p[11] = 0;
		tsig_ask(&t, &key, ours.p, ours.len, sizeof(ours.p), seen[0].now);
		response.p[i] ^= 1;
		assert_int_not_equal(tsig_answer(&t, response.p, response.len, seen[0].now),
				     TSIG_GOOD);
		response.p[i] ^= 1;
		assert_false(tsig_whole(&t));
		/* What was forged leaves the way open for the right one. */
		assert_int_equal(tsig_answer(&t, response.p, response.len, seen[0].now), TSIG_GOOD);
		tsig_end(&t);
	}
}

/* --- errors ----------------------------------------------------------------------------------- */
static const struct {
	uint16_t error;
	uint64_t now;
	const char *query, *response; /* of knot */
} wrong[] = {
    {TSIG_BADKEY, 1795536800,
     "1dc301200001000000000001016304746573740000060001036b65790374776f0000fa00ff000000"
     "00003d0b686d61632d7368613235360000006b05b7a0012c0020e0fdc620daae637165a804c595fd"
     "e4e16007ea71b160847e5342926cb6195b8b1dc300000000",
     "1dc381090001000000000001016304746573740000060001036b65790374776f0000fa00ff000000"
     "00001d0b686d61632d7368613235360000006b05b7a0012c00001dc300110000"},
    {TSIG_BADSIG, 1795536800,
     "8f5601200001000000000001016304746573740000060001036b6579036f6e650000fa00ff000000"
     "00003d0b686d61632d7368613235360000006b05b7a0012c002092f743e54c291adba4886f650b49"
     "50826963e7defc23baaff3c83df40f555d628f5600000000",
     "8f5681090001000000000001016304746573740000060001036b6579036f6e650000fa00ff000000"
     "00001d0b686d61632d7368613235360000006b05b7a0012c00008f5600100000"},
};

static void keys_and_signatures_that_are_wrong(void **state)
{
	(void)state;
	use_key("hmac-sha256");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct packet query = unhex(wrong[i].query), response = unhex(wrong[i].response);
		struct packet ours = bare(&response);
		struct tsig t;
		assert_int_equal(check(&t, &query, wrong[i].now), DNS_NOTAUTH);
		assert_null(t.key);
		assert_int_equal(t.error, wrong[i].error);
		size_t room = tsig_room(&t);
		ours.len = tsig_sign(&t, ours.p, ours.len, sizeof(ours.p), wrong[i].now);
		assert_int_equal(ours.len, record_at(&response) + room);
		assert_int_equal(ours.len, response.len);
		assert_memory_equal(ours.p, response.p, response.len);
	}
	/* A client is told so by anybody: it can only ask again. */
	struct packet query = unhex(wrong[1].query), response = unhex(wrong[1].response);
	struct packet ours = bare(&query);
	struct tsig t;
	tsig_ask(&t, &key, ours.p, ours.len, sizeof(ours.p), wrong[1].now);
	assert_int_equal(tsig_answer(&t, response.p, response.len, wrong[1].now), TSIG_REFUSED);
	assert_int_equal(t.error, TSIG_BADSIG);
	tsig_end(&t);
	/* Another algorithm than the key's is another key. */
	query = unhex(seen[0].query);
	use_key("hmac-sha512");
	assert_int_equal(check(&t, &query, seen[0].now), DNS_NOTAUTH);
	assert_int_equal(t.error, TSIG_BADKEY);
}

/* Made by Python's hmac: a request at T, what answers it. */
static const uint64_t T = 1700000000;
static const char request[] =
    "000700000001000000000001016304746573740000fc0001036b6579036f6e650000fa00ff000000"
    "00003d0b686d61632d7368613235360000006553f100012c002043d17253b9745cfc58b4e0a18cd8"
    "b5d4e1291ff79ac61a7e86fc2225f1e2ab0d000700000000";
static const char bad_time[] =
    "000780090001000000000001016304746573740000fc0001036b6579036f6e650000fa00ff000000"
    "0000430b686d61632d7368613235360000006553f100012c002072be7b1085a6cb5c208930a9c867"
    "ef447cc7b3e9ae5c4a7a72d969449163afc300070012000600006553f4e8";

static void clocks_that_differ(void **state)
{
	(void)state;
	struct packet query = unhex(request), theirs = unhex(bad_time), ours = bare(&theirs);
	struct tsig t;
	use_key("hmac-sha256");
	for (int sign = -1; sign <= 1; sign += 2) {
		assert_int_equal(check(&t, &query, T + (uint64_t)(sign * 300)), DNS_NOERROR);
		assert_int_equal(check(&t, &query, T + (uint64_t)(sign * 301)), DNS_NOTAUTH);
		assert_int_equal(t.error, TSIG_BADTIME);
	}
	check(&t, &query, T + 1000);
	ours.len = tsig_sign(&t, ours.p, ours.len, sizeof(ours.p), T + 1000);
	assert_int_equal(ours.len, theirs.len);
	assert_memory_equal(ours.p, theirs.p, theirs.len);
	ours = bare(&query);
	tsig_ask(&t, &key, ours.p, ours.len, sizeof(ours.p), T);
	assert_int_equal(tsig_answer(&t, theirs.p, theirs.len, T), TSIG_REFUSED);
	assert_int_equal(t.error, TSIG_BADTIME);
	assert_int_equal(t.time, T + 1000);
	tsig_end(&t);
}

static void signatures_that_are_cut(void **state)
{
	(void)state;
	struct packet query = unhex(seen[SEEN - 1].query), response = bare(&query);
	uint64_t now = seen[SEEN - 1].now;
	struct tsig t, client;
	size_t mac = record_at(&query) + 9 + 10 + 13 + 8;
	use_key("hmac-sha256-128");
	response.p[2] |= 0x80;
	assert_int_equal(check(&t, &query, now), DNS_NOERROR);
	struct packet good = response;
	good.len = tsig_sign(&t, good.p, good.len, sizeof(good.p), now);
	assert_int_equal(dns_u16(good.p + mac), 16);
	struct packet ours = bare(&query);
	tsig_ask(&client, &key, ours.p, ours.len, sizeof(ours.p), now);
	assert_int_equal(tsig_answer(&client, good.p, good.len, now), TSIG_GOOD);
	/* A client that signs at length is answered at length. */
	use_key("hmac-sha256");
	ours = bare(&query);
	ours.len = tsig_ask(&client, &key, ours.p, ours.len, sizeof(ours.p), now);
	use_key("hmac-sha256-128");
	assert_int_equal(check(&t, &ours, now), DNS_NOERROR);
	good = response;
	good.len = tsig_sign(&t, good.p, good.len, sizeof(good.p), now);
	assert_int_equal(dns_u16(good.p + mac), 32);
	/* Less than the key asks for is told, by a response that is signed. */
	use_key("hmac-sha256");
	assert_int_equal(check(&t, &query, now), DNS_NOTAUTH);
	assert_int_equal(t.error, TSIG_BADTRUNC);
	assert_ptr_equal(t.key, &key);
	good = response;
	good.len = tsig_sign(&t, good.p, good.len, sizeof(good.p), now);
	use_key("hmac-sha256-128");
	ours = bare(&query);
	tsig_ask(&client, &key, ours.p, ours.len, sizeof(ours.p), now);
	assert_int_equal(tsig_answer(&client, good.p, good.len, now), TSIG_REFUSED);
	assert_int_equal(client.error, TSIG_BADTRUNC);
	/* What is shorter than any may be is malformed. */
	for (unsigned len = 0; len < 16; len++) {
		ours = bare(&query);
		key.mac_len = len;
		ours.len = tsig_ask(&client, &key, ours.p, ours.len, sizeof(ours.p), now);
		assert_int_equal(check(&t, &ours, now), DNS_FORMERR);
		assert_null(t.key);
		assert_int_equal(t.error, 0);
	}
}

/* --- streams ---------------------------------------------------------------------------------- */
static const char *const stream[] = {
    /* two without a record, between two with one */
    "000784000001000000000001016304746573740000fc0001036b6579036f6e650000fa00ff000000"
    "00003d0b686d61632d7368613235360000006553f101012c00204c2d78975c6f5aaf4fe38bc6a97b"
    "a15ab67bf4114855ef1236b7fbbdfc1cef3c000700000000",
    "000784000000000000000000",
    "000784100000000000000000",
    "000784000001000000000001016304746573740000fc0001036b6579036f6e650000fa00ff000000"
    "00003d0b686d61632d7368613235360000006553f102012c0020d837eff57d33764628494e03cb7f"
    "807bac65644f78895d20bfa53347ae7c43d1000700000000",
    "000784200000000000000001036b6579036f6e650000fa00ff00000000003d0b686d61632d736861"
    "3235360000006553f103012c0020ab8a30ce7197ae5e6ba34abd2f6e44f985e408c5056b1155fa23"
    "d538fea91f9a000700000000",
};
enum { STREAM = sizeof(stream) / sizeof(stream[0]) };

static void ask(struct tsig *t)
{
	struct packet query = unhex(request), ours = bare(&query);
	use_key("hmac-sha256");
	assert_int_equal(tsig_ask(t, &key, ours.p, ours.len, sizeof(ours.p), T), query.len);
}

static void streams_of_others(void **state)
{
	(void)state;
	struct tsig t;
	ask(&t);
	for (int i = 0; i < STREAM - 1; i++) {
		struct packet m = unhex(stream[i]);
		assert_int_equal(tsig_answer(&t, m.p, m.len, T + 4), TSIG_GOOD);
		assert_int_equal(tsig_whole(&t), i == 0 || i == 3);
	}
	struct packet last = unhex(stream[STREAM - 1]), early = bare(&last);
	assert_int_equal(tsig_answer(&t, early.p, early.len, T + 4), TSIG_GOOD);
	assert_int_equal(tsig_answer(&t, last.p, last.len, T + 4), TSIG_FORGED);
	tsig_end(&t);
	/* Left out, changed, begun without a signature, late. */
	for (int without = 0; without < STREAM - 1; without++) {
		enum tsig_verdict v = TSIG_GOOD;
		ask(&t);
		for (int i = 0; i < STREAM && v == TSIG_GOOD; i++) {
			struct packet m = unhex(stream[i]);
			if (i != without)
				v = tsig_answer(&t, m.p, m.len, T + 4);
		}
		assert_int_equal(v, without == 0 ? TSIG_UNSIGNED : TSIG_FORGED);
		tsig_end(&t);
	}
	ask(&t);
	struct packet first = unhex(stream[0]);
	assert_int_equal(tsig_answer(&t, first.p, first.len, T + 302), TSIG_LATE);
	assert_int_equal(tsig_answer(&t, first.p, first.len, T + 301), TSIG_GOOD);
	for (int i = 0; i < TSIG_GAP_MAX; i++)
		assert_int_equal(tsig_answer(&t, early.p, early.len, T), TSIG_GOOD);
	assert_int_equal(tsig_answer(&t, early.p, early.len, T), TSIG_UNSIGNED);
	assert_false(tsig_whole(&t));
	tsig_end(&t);
}

static void our_streams(void **state)
{
	(void)state;
	struct tsig t, client;
	struct packet query = unhex(request), first = unhex(stream[0]);
	ask(&client);
	assert_int_equal(check(&t, &query, T), DNS_NOERROR);
	for (int i = 0; i < 5; i++) {
		struct packet m = bare(&first);
		uint64_t now = T + (uint64_t)i;
		m.p[3] = (uint8_t)(i % 2 ? 0 : DNS_AD);
		m.len = tsig_sign(&t, m.p, m.len, sizeof(m.p), now);
		assert_int_equal(m.len, first.len);
		assert_int_equal(tsig_answer(&client, m.p, m.len, now), TSIG_GOOD);
		assert_true(tsig_whole(&client));
	}
	tsig_end(&client);
}

static void no_room(void **state)
{
	(void)state;
	static uint8_t big[DNS_MSG_MAX + 1];
	struct packet query = unhex(request);
	struct tsig t;
	use_key("hmac-sha256");
	check(&t, &query, T);
	size_t room = tsig_room(&t);
	assert_true(room <= TSIG_ROOM);
	big[2] = 0x80;
	assert_int_equal(tsig_sign(&t, big, 500, 499 + room, T), 0);
	assert_int_equal(tsig_sign(&t, big, DNS_MSG_MAX + 1 - room, sizeof(big), T), 0);
	assert_int_equal(tsig_sign(&t, big, 500, 500 + room, T), 500 + room);
	assert_int_equal(dns_u16(big + 10), 1);
	memset(big + 10, 0xff, 2);
	assert_int_equal(tsig_sign(&t, big, 500, sizeof(big), T), 0);
	/* Nothing to sign with: nothing is added. */
	memset(&t, 0, sizeof(t));
	assert_int_equal(tsig_room(&t), 0);
	assert_int_equal(tsig_sign(&t, big, 500, 500, T), 500);
}

/* --- keys ------------------------------------------------------------------------------------- */
static void keys_are_text(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out, *why;
	} row[] = {
	    {"hmac-sha256:Key.One.:" SECRET, "hmac-sha256:key.one:" SECRET, NULL},
	    {"key.one:" SECRET, "hmac-sha256:key.one:" SECRET, NULL},
	    {"HMAC-SHA1:k:" SECRET, "hmac-sha1:k:" SECRET, NULL},
	    {"hmac-sha512.:k:" SECRET, "hmac-sha512:k:" SECRET, NULL},
	    {"hmac-sha384-192:k:" SECRET, "hmac-sha384-192:k:" SECRET, NULL},
	    {"hmac-sha384-384:k:" SECRET, "hmac-sha384:k:" SECRET, NULL},
	    {"hmac-sha1-80:k:" SECRET, "hmac-sha1-80:k:" SECRET, NULL},
	    {"hmac-sha1-72:k:" SECRET, NULL, "unknown algorithm"},
	    {"hmac-sha384-184:k:" SECRET, NULL, "unknown algorithm"},
	    {"hmac-sha256-129:k:" SECRET, NULL, "unknown algorithm"},
	    {"hmac-sha256-264:k:" SECRET, NULL, "unknown algorithm"},
	    {"hmac-sha256-:k:" SECRET, NULL, "unknown algorithm"},
	    {"hmac-sha256x:k:" SECRET, NULL, "unknown algorithm"},
	    {"hmac-md5:k:" SECRET, NULL, "unknown algorithm"},
	    {":k:" SECRET, NULL, "unknown algorithm"},
	    {"a..b:" SECRET, NULL, "is not a name"},
	    {".:" SECRET, NULL, "is not a name"},
	    {"k:", NULL, "8 to 256 octets"},
	    {"k:AAAA", NULL, "8 to 256 octets"},
	    {"k:AAAAAAAAAAA", NULL, "not base64"},
	    {"k:c2VjcmV0c2V*cmV0", NULL, "not base64"},
	    {"a123456789.123456789.123456789.123456789.123456789.123456789.1:" SECRET,
	     "hmac-sha256:a123456789.123456789.123456789.123456789.123456789.123456789.1:" SECRET,
	     NULL},
	    {"a123456789.123456789.123456789.123456789.123456789.123456789.12:" SECRET, NULL,
	     "more than 62"},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct tsig_key k = {.name_len = 0};
		char text[TSIG_TEXT];
		const char *why = tsig_key_read(&k, slice_of(row[i].in));
		if (row[i].why) {
			assert_non_null(why);
			assert_non_null(strstr(why, row[i].why));
			continue;
		}
		assert_null(why);
		assert_int_equal(tsig_key_text(text, &k), strlen(row[i].out));
		assert_string_equal(text, row[i].out);
	}
}

static void keys_as_expected(void **state)
{
	(void)state;
	struct tsig_key k = {.name_len = 0}, again = {.name_len = 0};
	char text[TSIG_TEXT], long_secret[400];
	assert_null(tsig_key_name(&k, slice_of("One.Test")));
	assert_non_null(strstr(tsig_key_read(&k, slice_of("two.test:" SECRET)), "another name"));
	assert_null(tsig_key_read(&k, slice_of(SECRET)));
	assert_true(tsig_algorithm(slice_of("hmac-sha224"), &k.algorithm, &k.mac_len));
	assert_non_null(strstr(tsig_key_read(&k, slice_of("hmac-sha256:one.test:" SECRET)),
			       "another algorithm"));
	assert_null(tsig_key_read(&k, slice_of("hmac-sha224:one.test:" SECRET)));
	memset(long_secret, 'A', sizeof(long_secret));
	assert_non_null(tsig_key_read(&k, (struct slice){long_secret, 344})); /* 258 octets */
	assert_non_null(tsig_key_read(&k, (struct slice){long_secret, 400}));
	long_secret[342] = long_secret[343] = '=';
	assert_null(tsig_key_read(&k, (struct slice){long_secret, 344}));
	assert_int_equal(k.secret_len, TSIG_SECRET_MAX);
	tsig_key_make(&k);
	assert_int_equal(k.secret_len, 28);
	size_t len = tsig_key_text(text, &k);
	assert_null(tsig_key_read(&again, (struct slice){text, len}));
	assert_int_equal(again.secret_len, 28);
	assert_memory_equal(again.secret, k.secret, 28);
	tsig_key_make(&k);
	assert_memory_not_equal(again.secret, k.secret, 28);
	tsig_key_wipe(&k);
	assert_int_equal(k.name_len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(requests_of_others),
	    cmocka_unit_test(responses_of_others),
	    cmocka_unit_test(changed_messages),
	    cmocka_unit_test(keys_and_signatures_that_are_wrong),
	    cmocka_unit_test(clocks_that_differ),
	    cmocka_unit_test(signatures_that_are_cut),
	    cmocka_unit_test(streams_of_others),
	    cmocka_unit_test(our_streams),
	    cmocka_unit_test(no_room),
	    cmocka_unit_test(keys_are_text),
	    cmocka_unit_test(keys_as_expected),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
