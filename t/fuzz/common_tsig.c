/* Signed messages from anybody, to a server and to a client, and keys as text. What nobody signed
 * is never taken for signed; what we sign is good on the other side, and no longer so when a bit of
 * it is another. */
#include <stdlib.h>
#include "libcommon/dns/tsig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct tsig_key key;
static const uint64_t NOW = 1700000000;

static void check(bool ok)
{
	if (!ok)
		abort();
}

static const struct tsig_key *find(const uint8_t *name)
{
	check(dns_name_check(name, DNS_NAME_MAX) > 0);
	return dns_name_eq(name, key.name) ? &key : NULL;
}

/* Where the last record begins; 0: there is none, or the message is not whole. */
static size_t last_record(const uint8_t *pkt, size_t len)
{
	struct dns_iter it;
	struct dns_header h;
	struct dns_rr rr;
	size_t at = 0;
	if (!dns_iter_init(&it, pkt, len, &h))
		return 0;
	while (dns_iter_rr(&it, &rr))
		at = rr.owner;
	return it.bad || it.at != len ? 0 : at;
}

static void to_server(const uint8_t *pkt, size_t len)
{
	static uint8_t out[DNS_MSG_MAX];
	struct tsig t;
	size_t at = last_record(pkt, len);
	if (!at)
		return;
	uint16_t rcode = tsig_check(&t, pkt, len, at, find, NOW);
	check(rcode == DNS_FORMERR || rcode == DNS_NOTAUTH);
	check((rcode == DNS_NOTAUTH) == (t.error != 0));
	memcpy(out, pkt, DNS_HEADER);
	memset(out + 4, 0, 8);
	size_t n = tsig_sign(&t, out, DNS_HEADER, sizeof(out), NOW);
	check(n == DNS_HEADER + tsig_room(&t) && (n == DNS_HEADER || last_record(out, n)));
}

/* Messages, each with its length before it, two octets. */
static void to_client(const uint8_t *p, size_t len)
{
	uint8_t query[DNS_HEADER + TSIG_ROOM] = {0};
	struct tsig t;
	check(tsig_ask(&t, &key, query, DNS_HEADER, sizeof(query), NOW) > DNS_HEADER);
	while (len >= 2) {
		size_t n = dns_u16(p);
		p += 2;
		len -= 2;
		if (n > len)
			n = len;
		check(tsig_answer(&t, p, n, NOW) != TSIG_GOOD && !tsig_whole(&t));
		p += n;
		len -= n;
	}
	tsig_end(&t);
}

/* The data as an unsigned message; flip says which bit changes on the way. */
static void between_us(const uint8_t *data, size_t len, unsigned flip)
{
	static uint8_t msg[DNS_MSG_MAX];
	struct tsig client, server;
	if (len < DNS_HEADER || len > sizeof(msg) - TSIG_ROOM)
		return;
	memcpy(msg, data, len);
	memset(msg + 4, 0, 8); /* the rest of it counts as nothing but octets */
	size_t n = tsig_ask(&client, &key, msg, len, sizeof(msg), NOW);
	check(n > len && n <= len + TSIG_ROOM);
	check(tsig_check(&server, msg, n, len, find, NOW) == DNS_NOERROR && server.key == &key);
	struct tsig other = server;
	size_t bit = flip % (8 * (len - 2));
	msg[2 + bit / 8] ^= (uint8_t)(1 << bit % 8);
	check(tsig_check(&other, msg, n, len, find, NOW) != DNS_NOERROR);
	memset(msg, 0, DNS_HEADER);
	for (unsigned i = 0; i < 3; i++) {
		msg[2] = 0x80;
		msg[11] = 0;
		n = tsig_sign(&server, msg, DNS_HEADER, sizeof(msg), NOW + i);
		check(tsig_answer(&client, msg, n, NOW) == TSIG_GOOD && tsig_whole(&client));
	}
	msg[11] = 0;
	check(tsig_answer(&client, msg, DNS_HEADER, NOW) == TSIG_GOOD && !tsig_whole(&client));
	n = tsig_sign(&server, msg, DNS_HEADER, sizeof(msg), NOW);
	check(tsig_answer(&client, msg, n, NOW) == TSIG_FORGED);
	tsig_end(&client);
}

static void as_key(const uint8_t *data, size_t len)
{
	struct tsig_key k = {.name_len = 0}, again = {.name_len = 0};
	char text[TSIG_TEXT];
	if (tsig_key_read(&k, (struct slice){(const char *)data, len}) != NULL || !k.name_len)
		return;
	size_t n = tsig_key_text(text, &k);
	check(n < sizeof(text) && n == strlen(text));
	check(tsig_key_read(&again, (struct slice){text, n}) == NULL);
	check(dns_name_eq(k.name, again.name) && k.algorithm == again.algorithm &&
	      k.mac_len == again.mac_len && k.secret_len == again.secret_len &&
	      memcmp(k.secret, again.secret, k.secret_len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const algorithm[] = {"hmac-sha256", "hmac-sha1", "hmac-sha512-256",
						"hmac-sha384"};
	if (len < 3)
		return 0;
	memset(&key, 0, sizeof(key));
	tsig_algorithm(slice_of(algorithm[data[0] >> 4 & 3]), &key.algorithm, &key.mac_len);
	check(tsig_key_read(&key, slice_of("key.one:bm9ib2R5IGtub3dz")) == NULL);
	uint8_t *copy = malloc(len - 2); /* as long as it is, so that nobody reads on */
	if (!copy)
		return 0;
	memcpy(copy, data + 2, len - 2);
	switch (data[0] & 3) {
	case 0:
		to_server(copy, len - 2);
		break;
	case 1:
		to_client(copy, len - 2);
		break;
	case 2:
		between_us(copy, len - 2, data[1] * 31u);
		break;
	default:
		as_key(copy, len - 2);
	}
	free(copy);
	return 0;
}
